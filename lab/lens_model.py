"""Lens distortion: normalised image coordinates before and after the lens, with derivatives.

Brown-Conrady as in OpenCV (Brown, Photogrammetric Engineering 37:855, 1971; the rational form with
six radial coefficients: Claus and Fitzgibbon, CVPR 2005, section 2) and the Kannala-Brandt fisheye
(Kannala and Brandt, IEEE PAMI 28:1335, 2006, equation 6, four odd terms as OpenCV uses it).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray

# Coefficients in OpenCV's order, after fx, fy, cx, cy.
COEFFICIENTS = {
    "brown4": ("k1", "k2", "p1", "p2"),
    "brown5": ("k1", "k2", "p1", "p2", "k3"),
    "brown8": ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    "fisheye": ("k1", "k2", "k3", "k4"),
}
MODELS = tuple(COEFFICIENTS)

_NEWTON_STEPS = 50
_CONVERGED = 1e-12
_ACCEPTED = 1e-10
_TABLE = 1024
_WIDEST = 1e3  # x/z beyond which no lens is asked: 89.94 deg off the axis


def distort(model: str, coefficients: Any, xy: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Bend normalised coordinates by the lens.

    Args:
        model: One of `MODELS`.
        coefficients: (n,) in the order of `COEFFICIENTS[model]`.
        xy: (..., 2) x/z and y/z in the camera frame.

    Returns:
        The distorted coordinates (..., 2), their derivative by xy (..., 2, 2), and by the
        coefficients (..., 2, n).
    """
    xy = np.asarray(xy, float)
    coefficients = np.asarray(coefficients, float)
    if model == "fisheye":
        return _distort_fisheye(coefficients, xy)
    return _distort_brown(coefficients, xy)


def _distort_brown(k: FloatArray, xy: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    n = len(k)
    k1, k2, p1, p2 = k[:4]
    k3 = k[4] if n > 4 else 0.0
    k4, k5, k6 = k[5:8] if n > 5 else (0.0, 0.0, 0.0)
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    top = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    bottom = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = top / bottom
    d_top = k1 + r2 * (2 * k2 + 3 * k3 * r2)
    d_bottom = k4 + r2 * (2 * k5 + 3 * k6 * r2)
    d_radial = (d_top - radial * d_bottom) / bottom  # by r2
    bent = np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )
    cross = 2 * x * y * d_radial + 2 * p1 * x + 2 * p2 * y
    by_xy = np.empty((*xy.shape, 2))
    by_xy[..., 0, 0] = radial + 2 * x * x * d_radial + 2 * p1 * y + 6 * p2 * x
    by_xy[..., 0, 1] = cross
    by_xy[..., 1, 0] = cross
    by_xy[..., 1, 1] = radial + 2 * y * y * d_radial + 6 * p1 * y + 2 * p2 * x
    by_k = np.empty((*xy.shape, n))
    powers = [r2 / bottom, r2**2 / bottom]
    for column, power in zip((0, 1), powers, strict=True):
        by_k[..., column] = xy * power[..., None]
    by_k[..., 0, 2], by_k[..., 1, 2] = 2 * x * y, r2 + 2 * y * y
    by_k[..., 0, 3], by_k[..., 1, 3] = r2 + 2 * x * x, 2 * x * y
    if n > 4:
        by_k[..., 4] = xy * (r2**3 / bottom)[..., None]
    for column in range(5, n):
        by_k[..., column] = -xy * (radial * r2 ** (column - 4) / bottom)[..., None]
    return bent, by_xy, by_k


def _distort_fisheye(k: FloatArray, xy: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    r2: FloatArray = (xy**2).sum(-1)
    r: FloatArray = np.sqrt(r2)
    theta: FloatArray = np.arctan(r)
    t2 = theta**2
    series = 1 + t2 * (k[0] + t2 * (k[1] + t2 * (k[2] + t2 * k[3])))
    slope = 1 + t2 * (3 * k[0] + t2 * (5 * k[1] + t2 * (7 * k[2] + 9 * t2 * k[3])))
    # Near the axis theta/r and its derivative are taken from their series.
    near = r < 1e-4
    safe = np.where(near, 1.0, r)
    ratio = np.where(near, 1 - r2 / 3, theta / safe)
    scale = ratio * series
    # d(scale)/dr / r, with d(theta)/dr = 1 / (1 + r^2)
    d_scale: FloatArray = np.where(
        near,
        float(2 * k[0] - 2 / 3),
        (slope / (1 + r2) - scale) / np.where(near, 1.0, r2),
    )
    bent = xy * scale[..., None]
    by_xy = scale[..., None, None] * np.eye(2) + d_scale[..., None, None] * (
        xy[..., :, None] * xy[..., None, :]
    )
    powers = np.stack([ratio * t2 ** (i + 1) for i in range(4)], axis=-1)
    by_k = xy[..., :, None] * powers[..., None, :]
    return bent, by_xy, by_k


def _radial_slope(model: str, k: FloatArray) -> FloatArray:
    """Return the polynomial (highest power first) whose sign is that of the radial slope.

    For Brown-Conrady the slope of r * top(r^2) / bottom(r^2) times bottom^2, in r^2; for the
    fisheye the slope of its series, in theta^2.
    """
    if model == "fisheye":
        return np.array([9 * k[3], 7 * k[2], 5 * k[1], 3 * k[0], 1.0])
    k3 = k[4] if len(k) > 4 else 0.0
    top = np.array([k3, k[1], k[0], 1.0])
    bottom = np.array([*k[:4:-1], 1.0])
    s = np.array([2.0, 0.0])
    slope_top = np.polyadd(top, np.polymul(s, np.polyder(top)))
    slope_bottom = np.polymul(np.polymul(s, top), np.polyder(bottom))
    return np.asarray(np.polysub(np.polymul(slope_top, bottom), slope_bottom), float)


def fold_radius(model: str, coefficients: Any) -> float:
    """Return the x/z, y/z radius up to which the radial lens model can be inverted.

    There the radial part of the model turns back on itself (or has its pole); farther out two
    directions give one pixel. Infinity where that never happens.
    """
    k = np.asarray(coefficients, float)
    polynomials = [_radial_slope(model, k)]
    if len(k) > 5:
        polynomials.append(np.array([*k[:4:-1], 1.0]))
    # Their last coefficient is 1: the reciprocals of the roots are found without dividing by
    # coefficients that may be next to nothing.
    roots: NDArray[np.complex128] = np.concatenate(
        [np.asarray(np.roots(p[::-1]), np.complex128) for p in polynomials]
    )
    real = roots.real[np.abs(roots.imag) < 1e-12 * np.abs(roots)]
    reciprocal = real.max(initial=0.0)
    radius = 1 / np.sqrt(reciprocal) if reciprocal > _WIDEST**-2 else np.inf
    if model == "fisheye":
        return float(np.tan(radius)) if radius < np.pi / 2 else np.inf
    return float(radius)


def _radial_start(
    model: str, coefficients: FloatArray, target: FloatArray, fold: float
) -> FloatArray:
    """Invert the radial part by a table up to the fold, as the start of Newton's method."""
    wanted = np.linalg.norm(target, axis=-1)
    radial = coefficients.copy()
    if model != "fisheye":
        radial[2:4] = 0.0
    share = np.linspace(0, 1, _TABLE)
    farthest = np.nanmax(wanted, initial=0.0)
    # A pole itself has no value; a hair inside it has.
    inside = min(fold * (1 - 1e-9), _WIDEST)
    end = min(inside, 1.0)
    while True:
        angles = share * np.arctan(end)
        table = np.stack([np.tan(angles), np.zeros(_TABLE)], axis=-1)
        bent = distort(model, radial, table)[0][:, 0]
        if bent[-1] >= farthest or end >= inside:
            break
        end = min(inside, 4 * end)
    radius = np.asarray(np.interp(wanted, bent, table[:, 0]), float)
    return target * (radius / np.where(wanted > 0, wanted, 1.0))[..., None]


def undistort(model: str, coefficients: Any, bent: Any) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Find the normalised coordinates that the lens bends to `bent`, by Newton's method.

    Args:
        model: One of `MODELS`.
        coefficients: (n,).
        bent: (..., 2) distorted normalised coordinates.

    Returns:
        xy (..., 2), NaN where the inverse does not exist or was not reached, and (...) whether
        it converged on the branch that holds the optical axis, within `fold_radius`.
    """
    target = np.asarray(bent, float)
    coefficients = np.asarray(coefficients, float)
    with np.errstate(all="ignore"):
        fold = fold_radius(model, coefficients)
        xy = _radial_start(model, coefficients, target, fold)
        for _ in range(_NEWTON_STEPS):
            value, jacobian, _ = distort(model, coefficients, xy)
            residual = target - value
            det = jacobian[..., 0, 0] * jacobian[..., 1, 1] - jacobian[..., 0, 1] ** 2
            step = (
                np.stack(
                    [
                        jacobian[..., 1, 1] * residual[..., 0]
                        - jacobian[..., 0, 1] * residual[..., 1],
                        jacobian[..., 0, 0] * residual[..., 1]
                        - jacobian[..., 1, 0] * residual[..., 0],
                    ],
                    axis=-1,
                )
                / det[..., None]
            )
            # Long steps jump over the fold of a strong lens; half the radius is safe.
            length = np.linalg.norm(step, axis=-1, keepdims=True)
            limit = 0.5 * (1 + np.linalg.norm(xy, axis=-1, keepdims=True))
            step = step * np.minimum(1.0, limit / np.where(length > 0, length, 1.0))
            xy = xy + step
            if not (np.abs(step) > _CONVERGED * (1 + np.abs(xy))).any():
                break
        value, jacobian, _ = distort(model, coefficients, xy)
        det = jacobian[..., 0, 0] * jacobian[..., 1, 1] - jacobian[..., 0, 1] ** 2
        scale = 1 + np.abs(target).max(-1, initial=0.0)
        converged = (
            (np.abs(value - target).max(-1) < _ACCEPTED * scale)
            & (det > 0)
            & (np.linalg.norm(xy, axis=-1) < fold)
        )
    return np.where(converged[..., None], xy, np.nan), converged
