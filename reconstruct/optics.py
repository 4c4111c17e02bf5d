"""Cameras as rows of numbers, and compiled functions that look through one camera at one point.

The compiled code of this folder works on one point at a time, with scalars: nothing is allocated,
and a machine does a few million points a second. Points are counted from the middle of the cameras,
for the sake of rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from lab.camera import Camera
from lab.checks import FloatArray
from lab.lens_model import fold_radius

# A camera's row: rotation (9), translation from the middle (3), focal lengths, centre (4),
# coefficients (8), kind of lens, squared fold radius, area of the image.
_ROTATION, _TRANSLATION, _FOCAL, _CENTRE, _LENS = 0, 9, 12, 14, 16
KIND, _FOLD, AREA, _WIDTH = 24, 25, 26, 27
_PLAIN, _BROWN, FISHEYE = 0.0, 1.0, 2.0

# Rounding may differ with the order of sums, not with what is NaN or infinite.
COMPILED: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "arcp", "nsz", "reassoc"},
}
_NEWTON_STEPS = 12
CHUNK = 2048  # points done at a time by one core


def middle_of(cameras: tuple[Camera, ...]) -> FloatArray:
    """Return the mean of the cameras' centres, (3,) m."""
    return np.mean([camera.centre for camera in cameras], axis=0)


def pack(cameras: tuple[Camera, ...]) -> FloatArray:
    """Return the cameras as rows (C, W), for points counted from `middle_of`."""
    rows = np.zeros((len(cameras), _WIDTH))
    middle = middle_of(cameras)
    for row, camera in zip(rows, cameras, strict=True):
        row[_ROTATION:_TRANSLATION] = camera.cam_from_lab.rotation.ravel()
        row[_TRANSLATION:_FOCAL] = camera.cam_from_lab.transform(middle)
        row[_FOCAL:_LENS] = camera.intrinsics[:4]
        coefficients = camera.coefficients
        row[_LENS : _LENS + len(coefficients)] = coefficients
        if camera.model == "fisheye":
            row[KIND] = FISHEYE
        else:
            row[KIND] = _BROWN if coefficients.any() else _PLAIN
        fold = fold_radius(camera.model, coefficients)
        row[_FOLD] = fold * fold
        row[AREA] = camera.size_px[0] * camera.size_px[1]
    return rows


@njit(**COMPILED)
def _bend(p, u, v):
    """Bend x/z, y/z by the lens; the derivative is symmetric: (u, v, uu, uv, vv).

    The formulas are those of `lab.lens_model`, which is tested against OpenCV.
    """
    kind = p[KIND]
    if kind == _PLAIN:
        return u, v, 1.0, 0.0, 1.0
    r2 = u * u + v * v
    if kind == _BROWN:
        k1, k2, p1, p2 = p[_LENS], p[_LENS + 1], p[_LENS + 2], p[_LENS + 3]
        k3, k4, k5, k6 = p[_LENS + 4], p[_LENS + 5], p[_LENS + 6], p[_LENS + 7]
        bottom = 1 / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) * bottom
        d_top = k1 + r2 * (2 * k2 + 3 * k3 * r2)
        d_bottom = k4 + r2 * (2 * k5 + 3 * k6 * r2)
        slope = (d_top - radial * d_bottom) * bottom
        return (
            u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u * u),
            v * radial + p1 * (r2 + 2 * v * v) + 2 * p2 * u * v,
            radial + 2 * u * u * slope + 2 * p1 * v + 6 * p2 * u,
            2 * u * v * slope + 2 * p1 * u + 2 * p2 * v,
            radial + 2 * v * v * slope + 6 * p1 * v + 2 * p2 * u,
        )
    k1, k2, k3, k4 = p[_LENS], p[_LENS + 1], p[_LENS + 2], p[_LENS + 3]
    r = np.sqrt(r2)
    theta = np.arctan(r)
    t2 = theta * theta
    series = 1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4)))
    steep = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + 9 * t2 * k4)))
    if r < 1e-4:
        scale = (1 - r2 / 3) * series
        slope = 2 * k1 - 2 / 3
    else:
        scale = theta / r * series
        slope = (steep / (1 + r2) - scale) / r2
    return u * scale, v * scale, scale + slope * u * u, slope * u * v, scale + slope * v * v


@njit(**COMPILED)
def unbend(p, x_px, y_px):
    """Take the lens away by Newton's method: (u, v, whether it got there).

    What does not converge inside the lens's fold is left to `lab.lens_model.undistort`.
    """
    goal_u = (x_px - p[_CENTRE]) / p[_FOCAL]
    goal_v = (y_px - p[_CENTRE + 1]) / p[_FOCAL + 1]
    if p[KIND] == _PLAIN:
        return goal_u, goal_v, True
    u, v = goal_u, goal_v
    for _ in range(_NEWTON_STEPS):
        bent_u, bent_v, a, b, d = _bend(p, u, v)
        e, f = goal_u - bent_u, goal_v - bent_v
        det = a * d - b * b
        if not det > 0:
            return u, v, False
        du, dv = (d * e - b * f) / det, (a * f - b * e) / det
        u += du
        v += dv
        if abs(du) + abs(dv) < 1e-9:
            # The next step would be of the order of its square.
            return u, v, u * u + v * v < p[_FOLD]
    return u, v, False


@njit(**COMPILED)
def spread_without_lens(p, u, v, xx, xy, yy):
    """Return the covariance (3) in x/z, y/z at u, v of pixels with information xx, xy, yy."""
    _, _, a, b, d = _bend(p, u, v)
    fx, fy = p[_FOCAL], p[_FOCAL + 1]
    xx, xy, yy = fx * fx * xx, fx * fy * xy, fy * fy * yy
    # The inverse of B' W B, of which the inverse of B is symmetric.
    over = 1 / (xx * yy - xy * xy)
    xx, xy, yy = yy * over, -xy * over, xx * over
    back = 1 / (a * d - b * b)
    a, b, d = d * back, -b * back, a * back
    p0, p1, q0, q1 = a * xx + b * xy, a * xy + b * yy, b * xx + d * xy, b * xy + d * yy
    return p0 * a + p1 * b, p0 * b + p1 * d, q0 * b + q1 * d


@njit(**COMPILED)
def see(p, x, y, z):
    """Project a point: pixel (2) and its derivative by the point (2 x 3); NaN behind the camera."""
    depth = p[6] * x + p[7] * y + p[8] * z + p[11]
    inverse = 1 / depth if depth > 0 else np.nan
    u = (p[0] * x + p[1] * y + p[2] * z + p[9]) * inverse
    v = (p[3] * x + p[4] * y + p[5] * z + p[10]) * inverse
    bent_u, bent_v, a, b, d = _bend(p, u, v)
    fx, fy = p[_FOCAL], p[_FOCAL + 1]
    g, h = fx * inverse, fy * inverse
    u0, u1, u2 = p[0] - u * p[6], p[1] - u * p[7], p[2] - u * p[8]
    v0, v1, v2 = p[3] - v * p[6], p[4] - v * p[7], p[5] - v * p[8]
    return (
        fx * bent_u + p[_CENTRE],
        fy * bent_v + p[_CENTRE + 1],
        g * (a * u0 + b * v0),
        g * (a * u1 + b * v1),
        g * (a * u2 + b * v2),
        h * (b * u0 + d * v0),
        h * (b * u1 + d * v1),
        h * (b * u2 + d * v2),
    )


@njit(**COMPILED)
def invert(a, b, c, d, e, f):
    """Invert a symmetric 3 x 3 matrix xx, xy, xz, yy, yz, zz; NaN if singular."""
    xx, xy, xz = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = a * xx + b * xy + c * xz
    # A determinant lost in rounding means that the sight lines do not cross.
    s = 1 / determinant if determinant > 1e-12 * a * d * f else np.nan
    return (xx * s, xy * s, xz * s, (a * f - c * c) * s, (b * c - a * e) * s, (a * d - b * b) * s)
