"""The inner loops of the adjustment, compiled: what numpy does not do fast enough.

Everything here is a plain loop in a fixed order, so that the same input gives the same bytes on
any number of cores. Lenses are brown5 (nine intrinsics fx, fy, cx, cy, k1, k2, p1, p2, k3); the
parameters of a camera are its pose (6, as in `Pose.perturbed`) and those nine. The projection is
written out in each loop: as a function of its own it makes an adjustment a third slower.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from lab.checks import FloatArray

PARAMETERS = 15
_ROWS = 8


@njit(cache=True, error_model="numpy")
def linearise_view(
    turn: FloatArray,
    shift: FloatArray,
    lens: FloatArray,
    corners: FloatArray,
    xy: FloatArray,
    weight: FloatArray,
    cauchy: float,
    lens_free: bool,
    products: FloatArray,
    residual: FloatArray,
) -> float:
    """Sum the products of the columns [pose 6, lens 9, residual] of one view into (16, 16).

    Args:
        turn: (3, 3) of cam_from_board.
        shift: (3,) m.
        lens: (9,) of brown5.
        corners: (K, 3) m in the board frame.
        xy: (K, 2) px observed.
        weight: (K,) over the variance of a corner in px^2; 0 where not used.
        cauchy: Where the Cauchy loss begins to doubt, in standard deviations; 0 for least squares.
        lens_free: Whether the lens's columns are wanted; without, they are left at zero.
        products: Overwritten.
        residual: (K, 2) px, overwritten; NaN where not seen.

    Returns:
        The cost; infinity where a corner in use lies behind the camera: the view is then left at
        that corner, with products of zero and NaN from there on.
    """
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = lens
    # Two rows a corner, times the root of its weight; what is over eight rows is zero.
    rows = np.zeros((-(-2 * len(corners) // _ROWS) * _ROWS, 16))
    cost = 0.0
    for k in range(len(corners)):
        a, b, c = corners[k]
        x3 = turn[0, 0] * a + turn[0, 1] * b + turn[0, 2] * c + shift[0]
        y3 = turn[1, 0] * a + turn[1, 1] * b + turn[1, 2] * c + shift[1]
        z3 = turn[2, 0] * a + turn[2, 1] * b + turn[2, 2] * c + shift[2]
        if not z3 > 0:
            residual[k] = np.nan
            if weight[k] > 0:
                residual[k:] = np.nan
                products[:] = 0.0
                return np.inf
            continue
        inverse = 1 / z3
        x, y = x3 * inverse, y3 * inverse
        xx, xy2, yy = x * x, 2 * x * y, y * y
        r2 = xx + yy
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        bent_x = x * radial + p1 * xy2 + p2 * (r2 + 2 * xx)
        bent_y = y * radial + p1 * (r2 + 2 * yy) + p2 * xy2
        du = xy[k, 0] - (fx * bent_x + cx)
        dv = xy[k, 1] - (fy * bent_y + cy)
        residual[k, 0], residual[k, 1] = du, dv
        w = weight[k]
        if not w > 0:
            continue
        squared = w * (du * du + dv * dv)
        if cauchy > 0:
            doubt = 1 + squared / (cauchy * cauchy)
            cost += cauchy * cauchy * np.log(doubt)
            w = w / doubt
        else:
            cost += squared
        root = np.sqrt(w)
        slope = k1 + r2 * (2 * k2 + 3 * k3 * r2)
        cross = xy2 * slope + 2 * (p1 * x + p2 * y)
        by_x = radial + 2 * xx * slope + 2 * p1 * y + 6 * p2 * x
        by_y = radial + 2 * yy * slope + 6 * p1 * y + 2 * p2 * x
        # By the point in the camera frame, then by a small turn of it (-[X]x) and a shift.
        row_u, row_v = rows[2 * k], rows[2 * k + 1]
        root_u, root_v = root * fx, root * fy
        u0, u1 = root_u * by_x * inverse, root_u * cross * inverse
        v0, v1 = root_v * cross * inverse, root_v * by_y * inverse
        u2, v2 = -(u0 * x + u1 * y), -(v0 * x + v1 * y)
        row_u[0], row_u[1], row_u[2] = u2 * y3 - u1 * z3, u0 * z3 - u2 * x3, u1 * x3 - u0 * y3
        row_v[0], row_v[1], row_v[2] = v2 * y3 - v1 * z3, v0 * z3 - v2 * x3, v1 * x3 - v0 * y3
        row_u[3], row_u[4], row_u[5] = u0, u1, u2
        row_v[3], row_v[4], row_v[5] = v0, v1, v2
        row_u[15], row_v[15] = root * du, root * dv
        if not lens_free:
            continue
        row_u[6], row_v[7] = root * bent_x, root * bent_y
        row_u[8] = row_v[9] = root
        row_u[10], row_v[10] = root_u * x * r2, root_v * y * r2
        row_u[11], row_v[11] = row_u[10] * r2, row_v[10] * r2
        row_u[12], row_v[12] = root_u * xy2, root_v * (r2 + 2 * yy)
        row_u[13], row_v[13] = root_u * (r2 + 2 * xx), root_v * xy2
        row_u[14], row_v[14] = row_u[11] * r2, row_v[11] * r2
    _sum_products(rows, lens_free, products)
    return cost


@njit(cache=True, error_model="numpy")
def _sum_products(r: FloatArray, lens_free: bool, products: FloatArray) -> None:
    """Write r' r of (N, 16), eight rows at a time: that is what a processor does side by side."""
    products[:] = 0.0
    for k in range(0, len(r), _ROWS):
        for i in range(16):
            if 6 <= i < 15 and not lens_free:
                continue
            a, b, c, d = r[k, i], r[k + 1, i], r[k + 2, i], r[k + 3, i]
            e, f, g, h = r[k + 4, i], r[k + 5, i], r[k + 6, i], r[k + 7, i]
            for j in range(16):
                products[i, j] += (
                    (a * r[k, j] + b * r[k + 1, j]) + (c * r[k + 2, j] + d * r[k + 3, j])
                ) + ((e * r[k + 4, j] + f * r[k + 5, j]) + (g * r[k + 6, j] + h * r[k + 7, j]))


@njit(cache=True, error_model="numpy", nogil=True)
def residuals(
    turns: FloatArray,
    shifts: FloatArray,
    lens: FloatArray,
    corners: FloatArray,
    xy: FloatArray,
    out: FloatArray,
) -> None:
    """Write observed minus predicted px (V, K, 2) of the views of one lens; NaN where behind."""
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = lens
    for v in range(len(turns)):
        turn, shift = turns[v], shifts[v]
        for k in range(len(corners)):
            a, b, c = corners[k]
            x = turn[0, 0] * a + turn[0, 1] * b + turn[0, 2] * c + shift[0]
            y = turn[1, 0] * a + turn[1, 1] * b + turn[1, 2] * c + shift[1]
            z = turn[2, 0] * a + turn[2, 1] * b + turn[2, 2] * c + shift[2]
            if not z > 0:
                out[v, k] = np.nan
                continue
            x, y = x / z, y / z
            r2 = x * x + y * y
            radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
            bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
            bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
            out[v, k, 0] = xy[v, k, 0] - (fx * bent_x + cx)
            out[v, k, 1] = xy[v, k, 1] - (fy * bent_y + cy)


@njit(cache=True, error_model="numpy", nogil=True)
def linearise(
    turns: FloatArray,
    shifts: FloatArray,
    lenses: FloatArray,
    corners: FloatArray,
    xy: FloatArray,
    weight: FloatArray,
    cauchy: float,
    products: FloatArray,
    residual: FloatArray,
) -> float:
    """Linearise V views as `linearise_view` does one; the lens is given for each view."""
    cost = 0.0
    for v in range(len(turns)):
        cost += linearise_view(
            turns[v], shifts[v], lenses[v], corners, xy[v], weight[v], cauchy, True,
            products[v], residual[v],
        )  # fmt: skip
    return cost


@njit(cache=True, error_model="numpy", nogil=True)
def displacements(
    turns: FloatArray,
    shifts: FloatArray,
    lens: FloatArray,
    corners: FloatArray,
    centre: FloatArray,
    xy: FloatArray,
    weight: FloatArray,
    displacement: FloatArray,
    cov: FloatArray,
) -> FloatArray:
    """Write how each of V views of a lens would lie by itself, against the pose it has.

    Args:
        turns: (V, 3, 3) of cam_from_board.
        shifts: (V, 3) m.
        lens: (9,) of brown5.
        corners: (K, 3) m in the board frame.
        centre: (3,) m, the board's, about which it is displaced.
        xy: (V, K, 2) px observed.
        weight: (V, K) as in `linearise_view`.
        displacement: (V, 6) rad and m in the camera's axes, overwritten; NaN where the view does
            not tell.
        cov: (V, 6, 6), overwritten.

    Returns:
        The squares (V,) of the displacements in units of their covariances.
    """
    squared = np.full(len(turns), np.nan)
    products, residual = np.zeros((16, 16)), np.empty((len(corners), 2))
    centring, half, normal = np.eye(6), np.empty((6, 6)), np.empty((6, 6))
    scale, gradient = np.empty(6), np.empty(6)
    for v in range(len(turns)):
        displacement[v], cov[v] = np.nan, np.nan
        cost = linearise_view(
            turns[v], shifts[v], lens, corners, xy[v], weight[v], 0.0, False, products, residual
        )
        if not np.isfinite(cost):
            continue
        x, y, z = turns[v] @ centre + shifts[v]
        centring[3, 1], centring[3, 2] = -z, y
        centring[4, 0], centring[4, 2] = z, -x
        centring[5, 0], centring[5, 1] = -y, x
        multiply(products[:6, :6], centring, half)
        multiply(centring.T, half, normal)
        known = True
        for i in range(6):
            known = known and normal[i, i] > 0
            scale[i] = 1 / np.sqrt(normal[i, i])
            gradient[i] = 0.0
            for k in range(6):
                gradient[i] += centring[k, i] * products[k, 15]
        for i in range(6):
            for j in range(6):
                normal[i, j] *= scale[i] * scale[j]
        if not known or not factorise(normal):
            continue
        # The inverse of the factor L, column by column, and L^-T L^-1.
        half[:] = 0.0
        for j in range(6):
            half[j, j] = 1 / normal[j, j]
            for i in range(j + 1, 6):
                for k in range(j, i):
                    half[i, j] -= normal[i, k] * half[k, j]
                half[i, j] /= normal[i, i]
        multiply(half.T, half, normal)
        squared[v] = 0.0
        for i in range(6):
            displacement[v, i] = 0.0
            for j in range(6):
                cov[v, i, j] = normal[i, j] * scale[i] * scale[j]
                displacement[v, i] += cov[v, i, j] * gradient[j]
            squared[v] += displacement[v, i] * gradient[i]
    return squared


@njit(cache=True, error_model="numpy")
def view_cost(
    turn: FloatArray,
    shift: FloatArray,
    lens: FloatArray,
    corners: FloatArray,
    xy: FloatArray,
    weight: FloatArray,
    cauchy: float,
) -> float:
    """Return the cost of one view as `linearise_view` does."""
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = lens
    cost = 0.0
    for k in range(len(corners)):
        w = weight[k]
        if not w > 0:
            continue
        a, b, c = corners[k]
        z = turn[2, 0] * a + turn[2, 1] * b + turn[2, 2] * c + shift[2]
        if not z > 0:
            return np.inf
        x = (turn[0, 0] * a + turn[0, 1] * b + turn[0, 2] * c + shift[0]) / z
        y = (turn[1, 0] * a + turn[1, 1] * b + turn[1, 2] * c + shift[1]) / z
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        du = xy[k, 0] - (fx * (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)) + cx)
        dv = xy[k, 1] - (fy * (y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y) + cy)
        squared = w * (du * du + dv * dv)
        cost += cauchy * cauchy * np.log(1 + squared / (cauchy * cauchy)) if cauchy > 0 else squared
    return cost


@njit(cache=True, error_model="numpy")
def factorise(a: FloatArray) -> bool:
    """Replace a positive definite matrix by its Cholesky factor (lower); False where it is not.

    Right-looking: every entry is summed in the order of the columns.
    """
    n = len(a)
    for j in range(n):
        if not a[j, j] > 0:
            return False
        root = np.sqrt(a[j, j])
        a[j, j] = root
        # Row j of the transposed factor stands above the diagonal meanwhile, contiguous.
        for i in range(j + 1, n):
            a[j, i] = a[j, i] / root
        for i in range(j + 1, n):
            factor = a[j, i]
            if factor != 0.0:
                for k in range(i, n):
                    a[i, k] -= factor * a[j, k]
    for j in range(n):
        for i in range(j + 1, n):
            a[i, j] = a[j, i]
            a[j, i] = 0.0
    return True


@njit(cache=True, error_model="numpy")
def turn_of(w: FloatArray) -> FloatArray:
    """Return the rotation matrix (3, 3) of a rotation vector (3,)."""
    squared = w[0] * w[0] + w[1] * w[1] + w[2] * w[2]
    angle = np.sqrt(squared)
    if angle < 1e-8:
        first, second = 1.0, 0.5
    else:
        first, second = np.sin(angle) / angle, (1 - np.cos(angle)) / squared
    result = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            result[i, j] = second * w[i] * w[j]
        result[i, i] += 1 - second * squared
    result[0, 1] -= first * w[2]
    result[0, 2] += first * w[1]
    result[1, 0] += first * w[2]
    result[1, 2] -= first * w[0]
    result[2, 0] -= first * w[1]
    result[2, 1] += first * w[0]
    return result


@njit(cache=True, error_model="numpy")
def multiply(a: FloatArray, b: FloatArray, out: FloatArray) -> None:
    """Write a @ b of small matrices into out."""
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            out[i, j] = 0.0
        for k in range(a.shape[1]):
            value = a[i, k]
            for j in range(b.shape[1]):
                out[i, j] += value * b[k, j]


@njit(cache=True, error_model="numpy")
def adjoint_of(turn: FloatArray, shift: FloatArray, out: FloatArray) -> None:
    """Write (6, 6): a displacement of a thing in the lab frame as one of the camera's pose."""
    out[:] = 0.0
    for i in range(3):
        for j in range(3):
            out[i, j] = out[i + 3, j + 3] = turn[i, j]
    for j in range(3):
        out[3, j] = shift[1] * turn[2, j] - shift[2] * turn[1, j]
        out[4, j] = shift[2] * turn[0, j] - shift[0] * turn[2, j]
        out[5, j] = shift[0] * turn[1, j] - shift[1] * turn[0, j]
