"""How noisy each camera's sight of each joint is, from the residuals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import gammaincinv

from lab.checks import FloatArray
from reconstruct.consensus import agree
from reconstruct.sightlines import Sightlines

# The median of |z| of a standard normal variable.
_MEDIAN = 0.6744897501960817
# Of the median of normal residuals, against their root mean square.
_MEDIAN_EFFICIENCY = 0.37
# Fewer degrees of freedom than this say nothing of a noise.
_LEAST_FREEDOM = 4.0
# Sweeps over the parts of cameras and joints; standard errors by which a part is drawn down or up
# at most: noise taken for half its size does more harm than noise taken for twice.
_SWEEPS = 20
_DOWN, _UP = 1.0, 1.5
_FLOOR_PX = 0.05
_LEAST_SCORE = 0.05
_FRAMES = 500  # enough of a recording to know its noise by
_ROUNDS = 10
_SETTLED = 0.02
# A camera's joint is not believed to be better than this part of the average.
_FLOOR_PART = 0.25


def information_of(cov_px: FloatArray, sigma_px: FloatArray) -> FloatArray:
    """Return xx, xy, yy of the inverse of covariances (..., 2, 2), where not known of sigma (...).

    Args:
        cov_px: Given covariances, px^2; NaN where not known.
        sigma_px: Noise in each direction, px, to stand in for them.
    """
    a, b, d = cov_px[..., 0, 0], cov_px[..., 0, 1], cov_px[..., 1, 1]
    known = np.isfinite(a) & np.isfinite(b) & np.isfinite(d)
    with np.errstate(divide="ignore", invalid="ignore"):
        given = np.stack([d, -b, a], axis=-1) / (a * d - b * b)[..., None]
    isotropic = sigma_px[..., None] ** -2 * np.array([1.0, 0.0, 1.0])
    return np.where(known[..., None], given, isotropic)


def estimate_noise(
    s: Sightlines, cov_px: FloatArray, score: FloatArray, volume: tuple[FloatArray, float]
) -> FloatArray:
    """Return the noise (C, K) px of each camera's sight of each joint.

    A detector's scores serve as first weights only; from then on the views that agree are found
    with the noise so far, and the noise is the median of their standardised residuals (so the
    redundancy of each residual is accounted for: Foerstner, Allg Vermessungs-Nachr 86:446, 1979),
    until it no longer changes; then, once, their root mean square. Cameras and joints are drawn
    together as far as their differences are chance.

    Args:
        s: Sightlines of T times K points, K running fastest.
        cov_px: (C, T, K, 2, 2) known covariances; NaN where not known.
        score: (C, T, K); NaN where there is none.
        volume: Centre m and radius m of the space in which a point can be.
    """
    cameras, frames, joints = score.shape
    some = np.unique(np.linspace(0, frames - 1, min(frames, _FRAMES)).astype(int))
    which = (some[:, None] * joints + np.arange(joints)).ravel()
    s, cov_px, score = s.select(which), cov_px[:, some], score[:, some]
    first = 1 / np.clip(np.where(np.isfinite(score), score, 1.0), _LEAST_SCORE, 1.0)
    flat = (cameras, len(which), 3)
    rough = s.weighted(information_of(np.full_like(cov_px, np.nan), first).reshape(flat))
    sigma = np.full((cameras, joints), _first_noise(rough, volume))
    size: Callable[[FloatArray, FloatArray], float] = _median_size
    for _ in range(_ROUNDS):
        spread = np.broadcast_to(sigma[:, None], score.shape)
        weighted = s.weighted(information_of(cov_px, spread).reshape(flat))
        agreement = agree(weighted, volume)
        by_joint = (cameras, len(some), joints, 2)
        found = _joint_noise(
            np.abs(agreement.standardised).reshape(by_joint),
            agreement.redundancy.reshape(by_joint),
            sigma,
            size,
        )
        change = np.abs(np.log(found / sigma)).max()
        sigma = found
        if size is _efficient_size:
            break
        if change < _SETTLED:
            size = _efficient_size
    return sigma


def estimate_scale(
    s: Sightlines, cov_px: FloatArray, volume: tuple[FloatArray, float]
) -> FloatArray:
    """Return by which factor (C, K) the given standard deviations are too small.

    A network's own covariance tells a sharp sight from a blurred one, but not how far both are
    off: the size comes from the residuals, for each camera's sight of each joint, in the same way
    as in `estimate_noise`.

    Args:
        s: Sightlines of T times K points, K running fastest.
        cov_px: (C, T, K, 2, 2) px^2, known wherever a point is seen.
        volume: Centre m and radius m of the space in which a point can be.
    """
    cameras, frames, joints = cov_px.shape[:3]
    some = np.unique(np.linspace(0, frames - 1, min(frames, _FRAMES)).astype(int))
    which = (some[:, None] * joints + np.arange(joints)).ravel()
    s, shape = s.select(which), (cameras, len(some), joints)
    given = information_of(cov_px[:, some], np.ones(shape))
    flat = (cameras, len(which), 3)
    factor = np.full((cameras, joints), _first_noise(s.weighted(given.reshape(flat)), volume))
    size: Callable[[FloatArray, FloatArray], float] = _median_size
    for _ in range(_ROUNDS):
        scaled = given / (factor**2)[:, None, :, None]
        agreement = agree(s.weighted(scaled.reshape(flat)), volume)
        found = _joint_noise(
            np.abs(agreement.standardised).reshape(*shape, 2),
            agreement.redundancy.reshape(*shape, 2),
            factor,
            size,
        )
        change = np.abs(np.log(found / factor)).max()
        factor = found
        if size is _efficient_size:
            break
        if change < _SETTLED:
            size = _efficient_size
    return factor


def _first_noise(s: Sightlines, volume: tuple[FloatArray, float]) -> float:
    """Return the noise with which half of the points fit all of their views."""
    n = s.seen.sum(0)
    everything = agree(s, volume, robust=False)
    x, y = everything.residual_px[..., 0], everything.residual_px[..., 1]
    xx, xy, yy = (s.information[..., j] for j in range(3))
    total = np.nansum(xx * x * x + 2 * xy * x * y + yy * y * y, axis=0)
    # What no point fits tells of noise without end.
    total[everything.status > 0] = np.inf
    with np.errstate(all="ignore"):
        # The median of a chi-squared variable.
        ratio = total / (2 * gammaincinv(np.maximum(2 * n - 3, 1) / 2, 0.5))
    enough = n > 2 if (n > 2).any() else n > 1
    return max(float(np.sqrt(np.median(ratio[enough]))) if enough.any() else 1.0, _FLOOR_PX)


def _joint_noise(
    values: FloatArray,
    redundancy: FloatArray,
    sigma: FloatArray,
    size: Callable[[FloatArray, FloatArray], float],
) -> FloatArray:
    """Return the noise (C, K) from standardised residuals (C, T, K, 2) under the old one."""
    in_px = values * sigma[:, None, :, None]
    everywhere = size(in_px, redundancy)
    if not np.isfinite(everywhere):
        return sigma
    own, freedom = np.full(sigma.shape, np.nan), np.zeros(sigma.shape)
    for c, k in np.ndindex(*sigma.shape):
        own[c, k] = size(in_px[c, :, k], redundancy[c, :, k])
        if np.isfinite(own[c, k]):
            own[c, k] = max(own[c, k], _FLOOR_PX)
            freedom[c, k] = np.nansum(redundancy[c, :, k])
    if size is _median_size:
        freedom *= _MEDIAN_EFFICIENCY
    found = _draw_together(own, freedom, everywhere)
    of_joint = np.sqrt(np.mean(found**2, axis=0))
    return np.maximum(np.maximum(found, _FLOOR_PART * of_joint), _FLOOR_PX)


def _draw_together(own: FloatArray, freedom: FloatArray, everywhere: float) -> FloatArray:
    """Return noise (C, K) drawn towards a part of each camera times a part of each joint.

    Few residuals know their noise badly, and a weight taken from noise that came out too small by
    chance makes a point worse and its covariance smaller. The logarithm of the variance is a sum of
    what is common, the camera's, the joint's and the cell's own part; each part is shrunk by as
    much as its spread is what chance alone would give (empirical Bayes: Efron and Morris, J Am Stat
    Assoc 68:117, 1973), but by no more than about its standard error (limited translation: the
    same, 67:130, 1972), so that what is truly different stays so.

    Args:
        own: (C, K) the noise as the cell's residuals have it; NaN without any.
        freedom: (C, K) degrees of freedom of it.
        everywhere: The noise of all together.
    """
    weight = np.where(freedom >= _LEAST_FREEDOM, freedom / 2, 0.0)
    known = weight > 0
    if not known.any():
        return np.full(own.shape, everywhere)
    # The logarithm of a chi-squared variable over its n degrees is 1/n too low on average.
    log = np.where(known, 2 * np.log(np.where(known, own, 1.0)) + 0.5 / np.maximum(weight, 1), 0.0)
    common = float((weight * log).sum() / weight.sum())
    cameras, joints = np.zeros(len(own)), np.zeros(own.shape[1])
    for _ in range(_SWEEPS):
        cameras = _mean(weight, log - common - joints, axis=1)
        joints = _mean(weight, log - common - cameras[:, None], axis=0)
    rest = np.where(known, log - common - cameras[:, None] - joints, 0.0)
    spare = (known.sum() - known.any(1).sum() - known.any(0).sum() + 1) / known.sum()
    result = common + _shrunk(rest, weight, spare)
    result += _shrunk(cameras, weight.sum(1), 1 - 1 / max(known.any(1).sum(), 1))[:, None]
    result += _shrunk(joints, weight.sum(0), 1 - 1 / max(known.any(0).sum(), 1))
    return np.exp(result / 2)


def _mean(weight: FloatArray, values: FloatArray, axis: int) -> FloatArray:
    total = weight.sum(axis)
    mean = (weight * values).sum(axis) / np.where(total > 0, total, 1.0)
    return np.asarray(mean, np.float64)


def _shrunk(effect: FloatArray, weight: FloatArray, spare: float) -> FloatArray:
    """Return effects drawn towards 0 by what of their spread is chance.

    Args:
        effect: Estimates with mean 0; those of weight 0 are 0.
        weight: Inverse variances of the estimates.
        spare: Share of the degrees of freedom that the fit has left.
    """
    n = int((weight > 0).sum())
    if spare * n < 1:
        return effect
    excess = float((weight * effect**2).sum()) - spare * n
    spread = max(excess, 0.0) / (float(weight.sum()) * spare)
    sampling = np.where(weight > 0, 1 / np.where(weight > 0, weight, 1.0), 1.0)
    kept = spread / (spread + sampling)
    error = np.sqrt(sampling)
    shrunk = np.clip(kept * effect, effect - _DOWN * error, effect + _UP * error)
    return np.asarray(shrunk, np.float64)


def _median_size(residuals: FloatArray, redundancy: FloatArray) -> float:
    """Return the standard deviation of normal residuals by their median, NaN without any."""
    known = residuals[np.isfinite(residuals)]
    return float(np.median(known)) / _MEDIAN if len(known) else np.nan


def _efficient_size(residuals: FloatArray, redundancy: FloatArray) -> float:
    """Return their root mean square, weighted by redundancy, NaN without any.

    Three times as efficient as the median, and what covariances are made of; of use only once the
    wrong views are gone.
    """
    known = np.isfinite(residuals)
    weight = redundancy[known]
    return (
        float(np.sqrt((weight * residuals[known] ** 2).sum() / weight.sum()))
        if known.any()
        else np.nan
    )
