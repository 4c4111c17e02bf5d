"""Which views of a point agree: every pair of cameras proposes, all views vote. Compiled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import chdtri

from lab.checks import FloatArray
from lab.cores import over_cores
from reconstruct.bulk import LANES, agree_block, workspace
from reconstruct.gates import (
    FALSE_ALARM,
    GATE_PAIR,
    GATE_VIEW,
    blank,
    figures_of,
    fits,
    foretell,
    misfit,
    verdict,
)
from reconstruct.optics import AREA, CHUNK, COMPILED, FISHEYE, KIND, invert, middle_of
from reconstruct.pairs import can_meet, pair_cameras, without_lenses
from reconstruct.sightlines import STEPS, Estimate, Sightlines, solve_point, start_point

BoolArray = NDArray[np.bool_]

_GATE_APART = float(chdtri(3, FALSE_ALARM))
# Nine observations in ten are taken to be right before they are looked at.
_PRIOR = float(np.log(9.0))
# A rival this many times less likely is no rival.
_MARGIN = float(np.log(20.0))
_ROUNDS = 4
# Pairs within the best party so far are not asked once it has this many members.
_FIRM = 4

GOOD, TOO_FEW, DISAGREE, AMBIGUOUS, OUTSIDE, SIDES, MOVEMENT = range(7)
REASONS = (
    "",
    "seen by fewer than two cameras",
    "the cameras do not agree",
    "several pairs of cameras agree on different points",
    "behind a camera or far outside the volume",
    "left and right cannot be told apart",
    "the movement contradicts what the cameras agree on",
)


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Points from the views that agree.

    Attributes:
        estimate: Points (N, 3) and covariances (N, 6); NaN where withheld.
        used: (C, N) views that the point is made from.
        status: (N,) index into `REASONS`; `GOOD` where the point stands.
        residual_px: (C, N, 2) observation minus image of the point; NaN where not used.
        standardised: (C, N, 2) the residual, whitened by the information, over the standard
            deviation sqrt(1 - h) that the fit leaves it (h: leverage). NaN where not used, or
            where the fit has nearly swallowed it.
        redundancy: (C, N, 2) 1 - h; NaN where not used.
    """

    estimate: Estimate
    used: BoolArray
    status: NDArray[np.uint8]
    residual_px: FloatArray
    standardised: FloatArray
    redundancy: FloatArray


def agree(
    s: Sightlines, inside_volume: tuple[FloatArray, float], *, robust: bool = True
) -> Agreement:
    """Find the points on which the views agree.

    All views of a point are taken first. Where the misfit or one view's disagreement is too
    large, every pair of cameras whose sights can meet proposes a point, each further view votes
    with its likelihood against that of an error anywhere in the image, and the best pair's party
    is taken; then views leave or join, the worst first, until all that take part agree and the
    others do not. A point of two views is withheld where another pair would have done as well. The
    points that stand are the most likely ones for their views, all with full weight.

    Args:
        s: The sightlines, with information.
        inside_volume: Centre (3,) m and radius m of the space in which a point can be.
        robust: Whether to look for wrong observations; without, all are used.
    """
    cameras, n = s.seen.shape
    middle = middle_of(s.cameras)
    gates, pairs = _gates(cameras), pair_cameras(s.packed)
    volume = np.array([*(inside_volume[0] - middle), inside_volume[1] ** 2])
    used, status = np.ascontiguousarray(s.seen.T), np.empty(n, np.uint8)
    xyz, cov = np.empty((n, 3)), np.empty((n, 6))
    figures = np.empty((3, cameras, n, 2))
    # Whole blocks, so that which points lie side by side does not depend on the cores.
    side_by_side = robust and not (s.packed[:, KIND] == FISHEYE).any()
    over_cores(
        lambda a, b: _agree_all(
            s.packed, s.xy_px, s.xy, s.information, pairs, gates, volume, robust, side_by_side,
            used, status, xyz, cov, figures, LANES * a, min(LANES * b, n),
        ),
        -(-n // LANES),
        chunk=CHUNK // LANES,
    )  # fmt: skip
    xyz += middle
    return Agreement(
        Estimate(xyz, cov), np.ascontiguousarray(used.T), status, figures[0], figures[1], figures[2]
    )


@cache
def _gates(cameras: int) -> FloatArray:
    """Return the largest misfits of right views, by degrees of freedom from 1 on."""
    return np.asarray(chdtri(np.arange(1, max(2 * cameras - 2, 2)), FALSE_ALARM / 10), np.float64)


def withhold(agreement: Agreement, which: BoolArray, reason: int) -> Agreement:
    """Return the agreement without some of the points that stood (N,), for a reason."""
    gone = which & (agreement.status == GOOD)
    nowhere = gone[:, None]
    return Agreement(
        Estimate(
            np.where(nowhere, np.nan, agreement.estimate.xyz),
            np.where(nowhere, np.nan, agreement.estimate.cov),
        ),
        agreement.used & ~gone,
        np.where(gone, reason, agreement.status).astype(np.uint8),
        np.where(nowhere, np.nan, agreement.residual_px),
        np.where(nowhere, np.nan, agreement.standardised),
        np.where(nowhere, np.nan, agreement.redundancy),
    )


@njit(**COMPILED)
def _solve(packed, xy_px, xy, information, used, i, steps):
    x, y, z = start_point(packed, xy, information, used, i)
    return solve_point(packed, xy_px, information, used, i, x, y, z, steps)


@njit(**COMPILED)
def _join(at, told):
    """Add a view that took no part, by the update of Kalman (1960)."""
    x, y, z, a, b, c, d, e, f = at
    _, _, r, s, xx, xy, yy, p0, p1, p2, q0, q1, q2 = told
    u0, u1, u2 = a * p0 + b * p1 + c * p2, b * p0 + d * p1 + e * p2, c * p0 + e * p1 + f * p2
    v0, v1, v2 = a * q0 + b * q1 + c * q2, b * q0 + d * q1 + e * q2, c * q0 + e * q1 + f * q2
    g0, g1, g2 = xx * u0 + xy * v0, xx * u1 + xy * v1, xx * u2 + xy * v2
    h0, h1, h2 = xy * u0 + yy * v0, xy * u1 + yy * v1, xy * u2 + yy * v2
    return (
        x + g0 * r + h0 * s,
        y + g1 * r + h1 * s,
        z + g2 * r + h2 * s,
        a - g0 * u0 - h0 * v0,
        b - g0 * u1 - h0 * v1,
        c - g0 * u2 - h0 * v2,
        d - g1 * u1 - h1 * v1,
        e - g1 * u2 - h1 * v2,
        f - g2 * u2 - h2 * v2,
    )


@njit(**COMPILED)
def _propose(
    packed, xy_px, xy, information, pairs, seen, i, volume, party, two, votes, rivals, spread
):
    """Find the party of the best pair, and for each camera the best proposal that it is part of.

    Returns where the best pair's party is, nearly.
    """
    cameras = len(packed)
    numbers, essential = pairs
    best, members = -np.inf, 0
    x = y = z = np.nan
    party[:] = False
    votes[:] = -np.inf
    without_lenses(packed, xy, information, seen, i, spread)
    for pair in range(len(numbers)):
        k, m = numbers[pair]
        if not (seen[k] and seen[m]):
            continue
        if members >= _FIRM and party[k] and party[m]:
            continue  # would propose the same party again
        if not can_meet(essential[pair], xy, spread, k, m, i):
            continue
        two[:] = False
        two[k] = two[m] = True
        at = _solve(packed, xy_px, xy, information, two, i, 2)
        own = misfit(packed, xy_px, information, two, i, at)
        far = (at[0] - volume[0]) ** 2 + (at[1] - volume[1]) ** 2 + (at[2] - volume[2]) ** 2
        if not (own < GATE_PAIR and far < volume[3]):
            continue
        count, joined = -own / 2, 2
        for c in range(cameras):
            if c in (k, m) or not seen[c]:
                continue
            told = foretell(packed, xy_px, information, c, i, False, at)
            if not told[0] < GATE_VIEW:
                continue
            # An error may lie anywhere in the image.
            gain = _PRIOR + np.log(packed[c, AREA] / (2 * np.pi))
            gain -= (told[0] + np.log(told[1])) / 2
            if gain > 0:
                two[c] = True
                count += gain
                joined += 1
                at = _join(at, told)
        if count > best:
            best, members = count, joined
            x, y, z = at[0], at[1], at[2]
            party[:] = two
        for c in range(cameras):
            if two[c] and count > votes[c]:
                votes[c] = count
                for j in range(9):
                    rivals[c, j] = at[j]
    return x, y, z


@njit(**COMPILED)
def _settle(packed, xy_px, xy, information, seen, i, party, start):
    """Let views leave and join until nothing changes (or the rounds are over)."""
    x, y, z = start
    at = solve_point(packed, xy_px, information, party, i, x, y, z, STEPS)
    for _ in range(_ROUNDS):
        n = 0
        for k in range(len(packed)):
            n += party[k]
        worst, nearest = -1, -1
        leaving, joining = -np.inf, np.inf
        for k in range(len(packed)):
            if not seen[k] or n < 2 or (party[k] and n == 2):
                continue  # a pair's own two views cannot disagree with what they alone foretell
            told = foretell(packed, xy_px, information, k, i, party[k], at)[0]
            if party[k] and told > leaving:
                worst, leaving = k, told
            if not party[k] and told < joining:
                nearest, joining = k, told
        if worst >= 0 and leaving >= GATE_VIEW:
            party[worst] = False
        elif nearest >= 0 and joining < GATE_VIEW:
            party[nearest] = True
        else:
            break
        at = _solve(packed, xy_px, xy, information, party, i, STEPS)
    return at


@njit(**COMPILED)
def _doubt(seen, party, votes, rivals, at):
    """Return whether a view left out is part of a rival proposal that is elsewhere."""
    most = votes.max()
    for k in range(len(votes)):
        if not seen[k] or party[k] or not votes[k] > most - _MARGIN:
            continue
        r = rivals[k]
        x, y, z = r[0] - at[0], r[1] - at[1], r[2] - at[2]
        a, b, c, d, e, f = invert(
            r[3] + at[3], r[4] + at[4], r[5] + at[5], r[6] + at[6], r[7] + at[7], r[8] + at[8]
        )
        apart = a * x * x + d * y * y + f * z * z + 2 * (b * x * y + c * x * z + e * y * z)
        if not apart < _GATE_APART:
            return True
    return False


@njit(**COMPILED)
def _agree_all(
    packed,
    xy_px,
    xy,
    information,
    pairs,
    gates,
    volume,
    robust,
    side_by_side,
    used,
    status,
    xyz,
    cov,
    figures,
    first,
    end,
):
    cameras = len(packed)
    seen, two = np.zeros(cameras, np.bool_), np.zeros(cameras, np.bool_)
    votes, rivals, spread = np.zeros(cameras), np.zeros((cameras, 9)), np.zeros((cameras, 3))
    w, kept = workspace(cameras)
    settled = np.zeros(LANES, np.bool_)
    for i in range(first, end):
        lane = (i - first) % LANES
        if side_by_side and lane == 0:
            count = min(LANES, end - i)
            for j in range(i, i + count):
                blank(figures, j)
            agree_block(
                packed, xy_px, xy, information, gates, volume, used, i, count, w, kept,
                xyz, cov, figures, settled,
            )  # fmt: skip
        if settled[lane]:
            status[i] = GOOD
            continue
        n = 0
        for k in range(cameras):
            n += used[i, k]
        blank(figures, i)
        done = False
        code = TOO_FEW
        at = (np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)
        if n >= 2:
            code = GOOD
            # What was looked at side by side is known to disagree.
            search = side_by_side and n > 2
            if not search:
                at = _solve(packed, xy_px, xy, information, used[i], i, STEPS)
            if not robust:
                if not np.isfinite(at[0] + at[1] + at[2] + at[3] + at[6] + at[8]):
                    code = TOO_FEW
            elif not search and verdict(packed, xy_px, information, used[i], i, at, gates, figures):
                done = True
            else:
                code = DISAGREE
                blank(figures, i)
                if n > 2:
                    party = used[i]
                    seen[:] = party
                    start = _propose(
                        packed, xy_px, xy, information, pairs, seen, i, volume, party, two, votes,
                        rivals, spread,
                    )  # fmt: skip
                    at = _settle(packed, xy_px, xy, information, seen, i, party, start)
                    if fits(packed, xy_px, information, party, i, at, gates):
                        code = AMBIGUOUS if _doubt(seen, party, votes, rivals, at) else GOOD
            if robust and code == GOOD:
                far = (at[0] - volume[0]) ** 2 + (at[1] - volume[1]) ** 2 + (at[2] - volume[2]) ** 2
                if not far < volume[3]:
                    code = OUTSIDE
        status[i] = code
        if code == GOOD:
            xyz[i, 0], xyz[i, 1], xyz[i, 2] = at[0], at[1], at[2]
            for j in range(6):
                cov[i, j] = at[3 + j]
            if not done:
                figures_of(packed, xy_px, information, used[i], i, at, figures)
        else:
            if done:
                blank(figures, i)
            used[i] = False
            xyz[i] = np.nan
            cov[i] = np.nan
