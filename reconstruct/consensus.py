"""Which views of a point agree: every pair of cameras proposes, all views vote."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from lab.checks import FloatArray
from reconstruct.sightlines import Estimate, Sightlines, View, look, solve

BoolArray = NDArray[np.bool_]

# Part of the right observations that a gate may turn away.
_FALSE_ALARM = 1e-3
GATE_VIEW = float(chi2.isf(_FALSE_ALARM, 2))
GATE_PAIR = float(chi2.isf(_FALSE_ALARM, 1))
_ROUNDS = 4
_CHUNK = 8192

GOOD, TOO_FEW, DISAGREE, AMBIGUOUS, OUTSIDE = range(5)
REASONS = (
    "",
    "seen by fewer than two cameras",
    "the cameras do not agree",
    "several pairs of cameras agree on different points",
    "behind a camera or far outside the volume",
)


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Points from the views that agree.

    Attributes:
        estimate: Points (N, 3) and covariances (N, 6).
        used: (C, N) views that the point is made from.
        status: (N,) index into `REASONS`; `GOOD` where the point stands.
    """

    estimate: Estimate
    used: BoolArray
    status: NDArray[np.uint8]


def seen_spread(view: View, cov: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return J P J' (xx, xy, yy) of points with covariance (6, N) in a view."""
    xx, xy, xz, yy, yz, zz = cov
    turned = []
    for p in view.rows:
        turned.append(
            (
                xx * p[0] + xy * p[1] + xz * p[2],
                xy * p[0] + yy * p[1] + yz * p[2],
                xz * p[0] + yz * p[1] + zz * p[2],
            )
        )
    (u, v), (p, q) = turned, view.rows
    return (
        u[0] * p[0] + u[1] * p[1] + u[2] * p[2],
        u[0] * q[0] + u[1] * q[1] + u[2] * q[2],
        v[0] * q[0] + v[1] * q[1] + v[2] * q[2],
    )


def disagreement(
    s: Sightlines, c: int, estimate: Estimate, inside: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return how far view c is from what the other views foretell.

    The residual r of a view that took part has covariance C - J P J', that of a view that did not
    has C + J P J'; r' cov^-1 r is in both cases the squared distance, in standard deviations, from
    the foretelling of the other views (the deleted residual: Cook and Weisberg, Residuals and
    Influence in Regression, 1982, section 2.2.1).

    Args:
        s: The sightlines.
        c: The camera.
        estimate: Of N points.
        inside: (N,) whether the view took part.

    Returns:
        The distance (N,), chi-squared with two degrees of freedom; and the determinant (N,) of the
        covariance. Infinite where the point is behind the camera.
    """
    view = look(s, c, estimate.xyz.T)
    xx, xy, yy = s.information[c].T
    determinant = xx * yy - xy * xy
    pxx, pxy, pyy = seen_spread(view, estimate.cov.T)
    sign = np.where(inside, -1.0, 1.0)
    a = yy / determinant + sign * pxx
    b = -xy / determinant + sign * pxy
    d = xx / determinant + sign * pyy
    determinant = a * d - b * b
    x, y = view.residual
    distance = (d * x * x - 2 * b * x * y + a * y * y) / determinant
    return np.where(np.isfinite(distance), distance, np.inf), determinant


def misfit(s: Sightlines, used: BoolArray, estimate: Estimate) -> FloatArray:
    """Return the sum of squared standardised residuals (N,) of the used views."""
    total = np.zeros(used.shape[1])
    for c in range(len(s.cameras)):
        x, y = look(s, c, estimate.xyz.T).residual
        xx, xy, yy = s.information[c].T
        square = xx * x * x + 2 * xy * x * y + yy * y * y
        total += np.where(used[c], square, 0.0)
    return np.where(np.isfinite(total), total, np.inf)


def agree(s: Sightlines, inside_volume: tuple[FloatArray, float]) -> Agreement:
    """Find the points on which the views agree.

    All views of a point are taken first. Where the misfit or one view's disagreement is too
    large, every pair of cameras proposes a point, each further view votes with its likelihood
    against that of an error anywhere in the image, and the best pair's party is taken; then views
    leave or join, the worst first, until all that take part agree and the others do not. A point
    of two views is withheld where another pair would have done as well.

    Args:
        s: The sightlines, with information.
        inside_volume: Centre (3,) m and radius m of the space in which a point can be.
    """
    parts = []
    for first in range(0, s.seen.shape[1], _CHUNK):
        with np.errstate(all="ignore"):
            parts.append(_agree(s.select(slice(first, first + _CHUNK)), inside_volume))
    return Agreement(
        Estimate(
            np.concatenate([p.estimate.xyz for p in parts]),
            np.concatenate([p.estimate.cov for p in parts]),
        ),
        np.concatenate([p.used for p in parts], axis=1),
        np.concatenate([p.status for p in parts]),
    )


def _agree(s: Sightlines, volume: tuple[FloatArray, float]) -> Agreement:
    used = s.seen.copy()
    estimate = solve(s, used)
    n = used.sum(0)
    bad = ~_fits(s, used, estimate)
    status = np.full(len(n), GOOD, np.uint8)
    status[bad] = DISAGREE
    status[n < 2] = TOO_FEW
    ask = np.flatnonzero(bad & (n > 2))
    if len(ask):
        part = s.select(ask)
        party, ambiguous = _propose(part, volume)
        party, found = _settle(part, party)
        fits = _fits(part, party, found)
        doubtful = ambiguous & (party.sum(0) == 2)
        used[:, ask] = party
        estimate.xyz[ask], estimate.cov[ask] = found.xyz, found.cov
        status[ask] = np.where(fits, np.where(doubtful, AMBIGUOUS, GOOD), DISAGREE)
    outside = ~(np.linalg.norm(estimate.xyz - volume[0], axis=1) < volume[1])
    status[(status == GOOD) & outside] = OUTSIDE
    withheld = status != GOOD
    used[:, withheld] = False
    estimate.xyz[withheld], estimate.cov[withheld] = np.nan, np.nan
    return Agreement(estimate, used, status)


def _fits(s: Sightlines, used: BoolArray, estimate: Estimate) -> BoolArray:
    """Return whether the used views of each point (at least two) agree."""
    n = used.sum(0)
    total = misfit(s, used, estimate)
    freedom = np.maximum(2 * n - 3, 1)
    fits = (n >= 2) & (
        total < chi2.isf(_FALSE_ALARM / 10, np.arange(1, freedom.max() + 1))[freedom - 1]
    )
    pair = n == 2
    fits[pair] &= total[pair] < GATE_PAIR
    for c in range(len(s.cameras)):
        distance, _ = disagreement(s, c, estimate, used[c])
        fits &= ~used[c] | pair | (distance < GATE_VIEW)
    return fits


def _propose(s: Sightlines, volume: tuple[FloatArray, float]) -> tuple[BoolArray, BoolArray]:
    """Return the party (C, N) of the best pair, and whether other pairs agree as well (N,)."""
    cameras, n = s.seen.shape
    best = np.full(n, -np.inf)
    party = np.zeros((cameras, n), bool)
    agreeing = np.zeros(n, int)
    for pair in combinations(range(cameras), 2):
        on = np.flatnonzero(s.seen[pair[0]] & s.seen[pair[1]])
        if not len(on):
            continue
        part = s.select(on)
        two = np.zeros((cameras, len(on)), bool)
        two[list(pair)] = True
        estimate = solve(part, two, steps=2)
        own = misfit(part, two, estimate)
        far = np.linalg.norm(estimate.xyz - volume[0], axis=1)
        valid = (own < GATE_PAIR) & (far < volume[1])
        agreeing[on] += valid
        votes = np.where(valid, -own / 2, -np.inf)
        for c in range(cameras):
            if c in pair:
                continue
            distance, determinant = disagreement(part, c, estimate, two[c])
            joins = part.seen[c] & (distance < GATE_VIEW)
            camera = s.cameras[c]
            room = np.prod(np.array(camera.size_px) / camera.intrinsics[:2])
            gain = np.log(room / (2 * np.pi)) - (distance + np.log(determinant)) / 2
            joins &= gain > 0
            votes += np.where(joins, gain, 0.0)
            two[c] = joins
        better = votes > best[on]
        chosen = on[better]
        best[chosen] = votes[better]
        party[:, chosen] = two[:, better]
    return party, agreeing > 1


def _settle(s: Sightlines, party: BoolArray) -> tuple[BoolArray, Estimate]:
    """Let views leave and join until nothing changes (or the rounds are over)."""
    party = party.copy()
    estimate = solve(s, party)
    columns = np.arange(party.shape[1])
    for _ in range(_ROUNDS):
        distance = np.stack(
            [disagreement(s, c, estimate, party[c])[0] for c in range(len(s.cameras))]
        )
        n = party.sum(0)
        # A pair's own two views cannot disagree with what they alone foretell.
        leaving = np.where(party & (n > 2), distance, -np.inf)
        joining = np.where(s.seen & ~party & (n >= 2), distance, np.inf)
        worst, nearest = leaving.argmax(0), joining.argmin(0)
        leaves = leaving[worst, columns] >= GATE_VIEW
        joins = ~leaves & (joining[nearest, columns] < GATE_VIEW)
        if not (leaves | joins).any():
            break
        party[worst[leaves], columns[leaves]] = False
        party[nearest[joins], columns[joins]] = True
        estimate = solve(s, party)
    return party, estimate
