"""Which views of a point agree: every pair of cameras proposes, all views vote."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from lab.checks import FloatArray
from reconstruct.sightlines import (
    Estimate,
    Sightlines,
    View,
    inverse_symmetric,
    look,
    solve,
    times_symmetric,
)

BoolArray = NDArray[np.bool_]

# Part of the right observations that a gate may turn away.
_FALSE_ALARM = 1e-4
GATE_VIEW = float(chi2.isf(_FALSE_ALARM, 2))
GATE_PAIR = float(chi2.isf(_FALSE_ALARM, 1))
_GATE_APART = float(chi2.isf(_FALSE_ALARM, 3))
# Nine observations in ten are taken to be right before they are looked at.
_PRIOR = float(np.log(9.0))
# A rival this many times less likely is no rival.
_MARGIN = float(np.log(20.0))
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
    turned = [
        (
            xx * p[0] + xy * p[1] + xz * p[2],
            xy * p[0] + yy * p[1] + yz * p[2],
            xz * p[0] + yz * p[1] + zz * p[2],
        )
        for p in view.rows
    ]
    (u, v), (p, q) = turned, view.rows
    return (
        u[0] * p[0] + u[1] * p[1] + u[2] * p[2],
        u[0] * q[0] + u[1] * q[1] + u[2] * q[2],
        v[0] * q[0] + v[1] * q[1] + v[2] * q[2],
    )


@dataclass(frozen=True, slots=True, eq=False)
class Foretelling:
    """A view against what the other views foretell.

    Attributes:
        distance: (N,) squared distance in standard deviations, chi-squared with two degrees of
            freedom; infinite where the point is behind the camera.
        determinant: (N,) of the covariance of the residual.
        view: The residual and its derivative.
        inverse: xx, xy, yy of the inverse covariance of the residual.
    """

    distance: FloatArray
    determinant: FloatArray
    view: View
    inverse: tuple[FloatArray, FloatArray, FloatArray]


def foretell(s: Sightlines, c: int, estimate: Estimate, inside: BoolArray) -> Foretelling:
    """Return how far view c is from what the other views foretell.

    The residual r of a view that took part has covariance C - J P J', that of a view that did not
    has C + J P J'; r' cov^-1 r is in both cases the squared distance from the foretelling of the
    other views (the deleted residual: Cook and Weisberg, Residuals and Influence in Regression,
    1982).

    Args:
        s: The sightlines.
        c: The camera.
        estimate: Of N points.
        inside: (N,) whether the view took part.
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
    inverse = (d / determinant, -b / determinant, a / determinant)
    return Foretelling(
        np.where(np.isfinite(distance), distance, np.inf), determinant, view, inverse
    )


def _join(estimate: Estimate, test: Foretelling, joins: BoolArray) -> Estimate:
    """Add a view that took no part, where it joins, by the update of Kalman (1960)."""
    cov = estimate.cov.T
    p, q = (times_symmetric(cov, row) for row in test.view.rows)
    xx, xy, yy = test.inverse
    gain = (xx * p + xy * q, xy * p + yy * q)
    step = gain[0] * test.view.residual[0] + gain[1] * test.view.residual[1]
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    less = np.stack([gain[0][i] * p[j] + gain[1][i] * q[j] for i, j in pairs])
    return Estimate(
        estimate.xyz + np.where(joins, step, 0.0).T, estimate.cov - np.where(joins, less, 0.0).T
    )


def misfit(s: Sightlines, used: BoolArray, estimate: Estimate) -> FloatArray:
    """Return the sum of squared standardised residuals (N,) of the used views."""
    total = np.zeros(used.shape[1])
    for c in np.flatnonzero(used.any(1)).tolist():
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
        party, rivals = _propose(part, volume)
        party, found = _settle(part, party)
        fits = _fits(part, party, found)
        doubtful = rivals.doubt(part.seen & ~party, found)
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
        distance = foretell(s, c, estimate, used[c]).distance
        fits &= ~used[c] | pair | (distance < GATE_VIEW)
    return fits


@dataclass(frozen=True, slots=True, eq=False)
class _Rivals:
    """For each camera the best proposal that it has a part in.

    Attributes:
        votes: (C, N) log likelihood ratio; minus infinity without a proposal.
        xyz: (C, N, 3) m.
        cov: (C, N, 6) m^2.
    """

    votes: FloatArray
    xyz: FloatArray
    cov: FloatArray

    def doubt(self, out: BoolArray, found: Estimate) -> BoolArray:
        """Return whether a view left out (C, N) is part of a rival that is elsewhere, (N,)."""
        near = self.votes > self.votes.max(0) - _MARGIN
        gap = (self.xyz - found.xyz).T.swapaxes(1, 2).reshape(3, -1)
        cov = (self.cov + found.cov).T.swapaxes(1, 2).reshape(6, -1)
        apart = (gap * times_symmetric(inverse_symmetric(cov), gap)).sum(0).reshape(out.shape)
        return (out & near & ~(apart < _GATE_APART)).any(0)


def _propose(s: Sightlines, volume: tuple[FloatArray, float]) -> tuple[BoolArray, _Rivals]:
    """Return the party (C, N) of the best pair, and the proposals that speak against it."""
    cameras, n = s.seen.shape
    party = np.zeros((cameras, n), bool)
    best = np.full(n, -np.inf)
    rivals = _Rivals(
        np.full((cameras, n), -np.inf),
        np.full((cameras, n, 3), np.nan),
        np.full((cameras, n, 6), np.nan),
    )
    for pair in combinations(range(cameras), 2):
        on = np.flatnonzero(s.seen[pair[0]] & s.seen[pair[1]])
        part = s.select(on)
        two = np.zeros((cameras, len(on)), bool)
        two[list(pair)] = True
        estimate = solve(part, two, steps=2)
        own = misfit(part, two, estimate)
        far = np.linalg.norm(estimate.xyz - volume[0], axis=1)
        valid = (own < GATE_PAIR) & (far < volume[1])
        votes = np.where(valid, -own / 2, -np.inf)
        for c in sorted(set(range(cameras)) - set(pair)):
            test = foretell(part, c, estimate, two[c])
            camera = s.cameras[c]
            # An error may lie anywhere in the image.
            room = np.prod(np.array(camera.size_px) / camera.intrinsics[:2])
            likelihood = -(test.distance + np.log(test.determinant)) / 2 - np.log(2 * np.pi)
            gain = likelihood + np.log(room) + _PRIOR
            two[c] = part.seen[c] & (test.distance < GATE_VIEW) & (gain > 0)
            votes += np.where(two[c], gain, 0.0)
            estimate = _join(estimate, test, two[c])
        better = votes > best[on]
        best[on[better]] = votes[better]
        party[:, on[better]] = two[:, better]
        for c in range(cameras):
            better = two[c] & (votes > rivals.votes[c, on])
            chosen = on[better]
            rivals.votes[c, chosen] = votes[better]
            rivals.xyz[c, chosen] = estimate.xyz[better]
            rivals.cov[c, chosen] = estimate.cov[better]
    return party, rivals


def _settle(s: Sightlines, party: BoolArray) -> tuple[BoolArray, Estimate]:
    """Let views leave and join until nothing changes (or the rounds are over)."""
    party = party.copy()
    estimate = solve(s, party)
    columns = np.arange(party.shape[1])
    for _ in range(_ROUNDS):
        distance = np.stack(
            [foretell(s, c, estimate, party[c]).distance for c in range(len(s.cameras))]
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
