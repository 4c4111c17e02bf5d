"""When the feet come to rest on the ground and when they leave it: sub-frame, over all strides.

Around a foot strike the path of a point of the foot is a smooth curve up to an instant and a point
at rest on the ground or belt after it; around a foot off it is the reverse. The shape of the curve
is taken to be the same in every stride of one foot, while the instant and the place are each
stride's own. All are found together by weighted least squares on the unsmoothed positions (a
change-point regression with continuous segments: Hudson, J Am Stat Assoc 61:1097, 1966, pooled over
strides). One stride alone leaves the instant uncertain by many milliseconds, because a bend of the
curve and a shift of the instant look alike; pooled strides tell them apart, and nothing is smoothed
beforehand, so that the instant is not smeared. What the shift in common may still be is read off
its posterior (`analysis.contact_shift`), not off the curvature of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.contact_shift import common_shift
from lab.checks import FloatArray

# Powers of the time to a strike: the foot arrives with a velocity. It leaves from rest, so the
# curve after a foot off begins with the square.
_POWERS = {"foot_strike": (1, 2, 3), "foot_off": (2, 3)}
# The foot moves before a strike and after an off.
_SIGN = {"foot_strike": 1.0, "foot_off": -1.0}
# Size of the coefficient of each power at 50 ms, m, one standard deviation before anything is seen:
# a foot lands with some 2 m/s and leaves with some 50 m/s^2. Wide, so that the samples decide where
# they can: recorded walkers and runners lie within one of each.
_SHAPE_M = {"foot_strike": (0.10, 0.05, 0.03), "foot_off": (0.07, 0.02)}
# How far the samples reach into either phase from a start that is good to some 15 ms. The curve
# after a foot off is soon no longer the polynomial: of several reaches the shortest is taken that
# leaves the mean instant as certain as `_CERTAIN_S`.
_MOVING_S = {"foot_strike": (0.085,), "foot_off": (0.06, 0.052, 0.045)}
_CERTAIN_S = 0.002
_REST_S = {"foot_strike": 0.06, "foot_off": 0.075}
_MIN_MOVING = 4
_MIN_REST = 3
# Unit of time inside the fit, so that the columns are of one size.
_SCALE_S = 0.05
_MAX_STEP_S = 0.01
_CONVERGED_S = 1e-6
_STEPS = 30
# How far the common shift is sought: in sigmas of the fit, and at most as far as samples reach.
_SPAN_SIGMAS = 10.0
_SPAN_S = 0.035
# A solution further from the posterior's median than this belongs to another corner.
_STRAY_SIGMAS = 2.0
_STRAY_S = 0.001
# A misfit that noise alone passes once in twenty fits, in its standard deviations.
_CHANCE = 1.645


@dataclass(frozen=True, slots=True, eq=False)
class ContactFit:
    """The instants of one kind for one foot.

    Attributes:
        t: (B, N) s of N strides in B replicates; NaN where a stride had too few samples.
        sigma: (N,) s.
        chi2: Weighted sum of squares per degree of freedom; about 1 where the model and the
            stated noise fit, larger where strides differ more than their noise.
    """

    t: FloatArray
    sigma: FloatArray
    chi2: float


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """The samples around one instant: where they stand, when, how they weigh."""

    index: NDArray[np.intp]
    t: FloatArray
    root: FloatArray


def fit_contacts(
    kind: str, t: FloatArray, path: FloatArray, variance: FloatArray, near: FloatArray
) -> ContactFit:
    """Find the instants of contact or lift-off near N times.

    Args:
        kind: foot_strike or foot_off.
        t: (T,) s.
        path: (B, T, D) m, unsmoothed, D components relative to the ground or belt. The first
            replicate is fitted; the others follow by the derivative of the fit, or are fitted, too,
            where that leads further than the samples reach.
        variance: (T, D) m^2 of the noise of each component; NaN throughout where it is not known.
        near: (N,) s, within about 30 ms of the instants.

    Returns:
        The fit. The stated variance is scaled up by chi2 where that exceeds 1, or by chi2 outright
        where it was not known.
    """
    known = bool(np.isfinite(variance).any())
    weight_of = variance if known else np.full_like(variance, 1e-6)
    near = np.asarray(near, float)
    count, strides = path.shape[0], len(near)
    reaches = _MOVING_S[kind]
    windows = [_cut(kind, reaches[0], t, path[0], weight_of, instant) for instant in near]
    usable = np.array([w is not None for w in windows], bool)
    if not usable.any():
        return ContactFit(np.full((count, strides), np.nan), np.full(strides, np.nan), np.nan)
    kept = [w for w in windows if w is not None]
    result = _settle(kind, kept, path[0], near[usable], 1.0)
    # A start that is off leaves the samples lopsided: they are taken anew around the first answer.
    for reach in reaches:
        centred = [_cut(kind, reach, t, path[0], weight_of, i) for i in result.instants]
        anew = [w for w in centred if w is not None]
        if len(anew) < len(centred):
            break
        closer = _settle(kind, anew, path[0], result.instants, _stretch2(result, known))
        if reach != reaches[0] and np.sqrt(closer.cov.mean()) > _CERTAIN_S:
            break
        kept, result = anew, closer
    stretch2 = _stretch2(result, known)
    change = np.concatenate(
        [(path[:, w.index] - path[:1, w.index]) * w.root for w in kept],
        axis=1,
    ).reshape(count, -1)
    moved = np.nan_to_num(change) @ result.gain.T * (np.sqrt(stretch2) if known else 1.0)
    together, certainty = _common(result.cov * stretch2)
    span = min(_SPAN_SIGMAS * certainty, _SPAN_S)
    shift, wide = _posterior_shift(kind, kept, path[0], result.instants, stretch2, span)
    # The strides' differences are as the fit has them; what they share is as uncertain as it is.
    moved += (wide / certainty - 1) * (moved @ together)[:, None]
    # Further off than the samples reach the derivative says nothing: those are fitted themselves.
    for b in np.flatnonzero(np.abs(moved).max(axis=1) > _SPAN_S):
        drawn = np.where(np.isfinite(path[b]), path[b], path[0])
        own = _settle(kind, kept, drawn, result.instants, stretch2)
        own_shift, _ = _posterior_shift(kind, kept, drawn, own.instants, stretch2, span)
        moved[b] = own.instants + own_shift - result.instants - shift
    times = np.full((count, strides), np.nan)
    times[:, usable] = result.instants + shift + moved
    sigma = np.full(strides, np.nan)
    alone = np.clip(np.diag(result.cov) * stretch2 - certainty**2, 0, None)
    sigma[usable] = np.sqrt(alone + wide**2)
    # An instant that has left its samples has nothing that tells it, which looks like certainty.
    shown = [_moving(kind, w, i) >= 2 for w, i in zip(kept, result.instants, strict=True)]
    lost = np.flatnonzero(usable)[~np.array(shown, bool)]
    times[:, lost] = np.nan
    sigma[lost] = np.nan
    return ContactFit(times, sigma, result.chi2)


def _stretch2(result: _Solution, known: bool) -> float:
    """Return by how much the variances are understated, where more than chance says so."""
    chance = 1 + _CHANCE * np.sqrt(2 / result.freedom)
    return 1.0 if known and result.chi2 < chance else result.chi2


def _settle(
    kind: str,
    windows: list[_Window],
    path: FloatArray,
    near: FloatArray,
    stretch2: float,
) -> _Solution:
    """Solve from the most likely common shift, and do not let the solution stray from it.

    A bend of the curve can pose as a corner some 20 ms away; where the samples hardly tell, the
    steps of the fit would run out of them.
    """
    shift, wide = _posterior_shift(kind, windows, path, near, stretch2, _SPAN_S)
    result = _solve(kind, windows, path, near + shift)
    together, _ = _common(result.cov)
    strayed = float(together @ (result.instants - near)) - shift
    if abs(strayed) > _STRAY_SIGMAS * wide + _STRAY_S:
        result = replace(result, instants=result.instants - strayed)
    return result


def _common(cov: FloatArray) -> tuple[FloatArray, float]:
    """Return the weights (N,) by which the common shift is read off N instants, and its sigma."""
    weights = np.linalg.pinv(cov, hermitian=True).sum(axis=0)
    return weights / weights.sum(), float(1 / np.sqrt(weights.sum()))


def _posterior_shift(
    kind: str,
    windows: list[_Window],
    path: FloatArray,
    instants: FloatArray,
    stretch2: float,
    span: float,
) -> tuple[float, float]:
    """Return median and sigma of what is to be added to all instants."""
    sign = _SIGN[kind]
    stride_of = np.repeat(np.arange(len(windows)), [len(w.t) for w in windows])
    times = np.concatenate([w.t for w in windows])
    middle, sigma = common_shift(
        sign * (instants[stride_of] - times),
        stride_of,
        np.concatenate([path[w.index] for w in windows]),
        np.concatenate([w.root for w in windows]),
        np.array(_POWERS[kind]),
        _SCALE_S,
        np.array(_SHAPE_M[kind]),
        stretch2,
        span,
    )
    return sign * middle, sigma


def _moving(kind: str, window: _Window, instant: float) -> int:
    """Count the samples of the moving side."""
    return int((window.t < instant if kind == "foot_strike" else window.t > instant).sum())


@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    """Instants (N,), their covariance (N, N) at the stated noise, and their derivative.

    `gain` (N, M D) is by the weighted samples.
    """

    instants: FloatArray
    cov: FloatArray
    gain: FloatArray
    chi2: float
    freedom: int


def _cut(
    kind: str,
    reach: float,
    t: FloatArray,
    path: FloatArray,
    variance: FloatArray,
    instant: float,
) -> _Window | None:
    """Return the samples around an instant, or None where too few are seen on either side."""
    frame = float(np.median(np.diff(t)))
    moving = max(reach, (_MIN_MOVING + 0.5) * frame)
    rest = max(_REST_S[kind], (_MIN_REST + 0.5) * frame)
    before, after = (moving, rest) if kind == "foot_strike" else (rest, moving)
    seen = np.isfinite(path).all(-1) & np.isfinite(variance).all(-1)
    inside = np.flatnonzero(seen & (t >= instant - before) & (t <= instant + after))
    earlier = int((t[inside] < instant).sum())
    later = len(inside) - earlier
    wanted = (_MIN_MOVING, _MIN_REST) if kind == "foot_strike" else (_MIN_REST, _MIN_MOVING)
    if earlier < wanted[0] - 1 or later < wanted[1] - 1:
        return None
    return _Window(inside, t[inside], 1 / np.sqrt(variance[inside]))


def _solve(
    kind: str,
    windows: list[_Window],
    path: FloatArray,
    instants: FloatArray,
) -> _Solution:
    """Gauss-Newton over the shared curve, the places and the instants of N strides."""
    sign = _SIGN[kind]
    powers = np.array(_POWERS[kind])
    order, strides = len(powers), len(windows)
    axes = path.shape[-1]
    stride_of = np.repeat(np.arange(strides), [len(w.t) for w in windows])
    times = np.concatenate([w.t for w in windows])
    root = np.concatenate([w.root for w in windows])  # (M, D)
    y = np.concatenate([path[w.index] for w in windows])
    rows = np.arange(len(times))
    place = axes * (order + stride_of)
    width = axes * (order + strides) + strides
    prior = np.zeros((axes * order, width))
    prior[:, : axes * order] = np.diag(np.tile(1 / np.array(_SHAPE_M[kind]), axes))

    def design(at: FloatArray, shape: FloatArray | None) -> FloatArray:
        away = np.clip(sign * (at[stride_of] - times), 0, None) / _SCALE_S
        basis = away[:, None] ** powers
        jacobian = np.zeros((len(times), axes, width))
        for d in range(axes):
            jacobian[:, d, d * order : (d + 1) * order] = basis
            jacobian[rows, d, place + d] = 1.0
            if shape is not None:
                speed = (powers * shape[d] * away[:, None] ** (powers - 1)).sum(-1)
                jacobian[rows, d, width - strides + stride_of] = (
                    sign * speed * (away > 0) / _SCALE_S
                )
        return jacobian

    def weighted(jacobian: FloatArray) -> FloatArray:
        """Weigh the samples' rows, and put what is known of the shape beforehand below them."""
        return np.concatenate([(jacobian * root[..., None]).reshape(-1, width), prior])

    def solve_linear(at: FloatArray) -> FloatArray:
        rows = weighted(design(at, None))[:, : width - strides]
        values = np.concatenate([(y * root).reshape(-1), np.zeros(len(prior))])
        return np.asarray(np.linalg.lstsq(rows, values, rcond=None)[0], np.float64)

    def misfit(at: FloatArray, linear: FloatArray) -> FloatArray:
        left = (y - design(at, None)[..., : width - strides] @ linear) * root
        return np.concatenate([left.reshape(-1), -prior[:, : width - strides] @ linear])

    linear = solve_linear(instants)
    cost = float((misfit(instants, linear) ** 2).sum())
    for _ in range(_STEPS):
        shape = linear[: axes * order].reshape(axes, order)
        jacobian = weighted(design(instants, shape))
        step = np.linalg.lstsq(jacobian, misfit(instants, linear), rcond=None)[0]
        move = np.clip(step[width - strides :], -_MAX_STEP_S, _MAX_STEP_S)
        # The corner makes the misfit kinked: halve the step until it goes down.
        for _ in range(5):
            trial = instants + move
            trial_linear = solve_linear(trial)
            trial_cost = float((misfit(trial, trial_linear) ** 2).sum())
            if trial_cost <= cost:
                break
            move = move / 2
        else:
            break
        instants, linear, cost = trial, trial_linear, trial_cost
        if np.abs(move).max() < _CONVERGED_S:
            break
    shape = linear[: axes * order].reshape(axes, order)
    jacobian = weighted(design(instants, shape))
    inverse = np.asarray(np.linalg.pinv(jacobian.T @ jacobian, hermitian=True), np.float64)
    freedom = max(y.size - width, 1)
    return _Solution(
        instants=instants,
        cov=inverse[width - strides :, width - strides :],
        gain=inverse[width - strides :] @ jacobian[: y.size].T,
        chi2=float((misfit(instants, linear)[: y.size] ** 2).sum()) / freedom,
        freedom=freedom,
    )
