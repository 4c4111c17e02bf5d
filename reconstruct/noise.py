"""How noisy each camera's sight of each joint is, from the residuals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import chi2

from lab.checks import FloatArray
from reconstruct.consensus import agree
from reconstruct.sightlines import Sightlines

# The median of |z| of a standard normal variable.
_MEDIAN = 0.6744897501960817
# Weight of the camera's and the joint's common noise, in residuals, against those of one joint.
_PRIOR = 10.0
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
    until it no longer changes; then, once, their root mean square. Few residuals are drawn
    towards the joint's noise in all cameras.

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
        ratio = total / chi2.median(np.maximum(2 * n - 3, 1))
    enough = n > 2 if (n > 2).any() else n > 1
    return max(float(np.sqrt(np.median(ratio[enough]))) if enough.any() else 1.0, _FLOOR_PX)


def _joint_noise(
    values: FloatArray,
    redundancy: FloatArray,
    sigma: FloatArray,
    size: Callable[[FloatArray, FloatArray], float],
) -> FloatArray:
    """Return the noise (C, K) from standardised residuals (C, T, K, 2) under the old one."""
    found = np.empty_like(sigma)
    in_px = values * sigma[:, None, :, None]
    everywhere = size(in_px, redundancy)
    if not np.isfinite(everywhere):
        return sigma
    for k in range(sigma.shape[1]):
        of_joint = size(in_px[:, :, k], redundancy[:, :, k])
        if not np.isfinite(of_joint):
            of_joint = everywhere
        for c in range(len(sigma)):
            mine = size(in_px[c, :, k], redundancy[c, :, k])
            weight = float(np.nansum(redundancy[c, :, k])) if np.isfinite(mine) else 0.0
            pooled = weight * np.nan_to_num(mine) ** 2 + _PRIOR * of_joint**2
            found[c, k] = np.sqrt(max(pooled / (weight + _PRIOR), (_FLOOR_PART * of_joint) ** 2))
    return np.maximum(found, _FLOOR_PX)


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
