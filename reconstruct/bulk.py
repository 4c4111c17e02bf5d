"""The points on which all views agree, sixteen at a time. Compiled.

Most points need no search. They go through the same steps as in `reconstruct.consensus` (a linear
start, Gauss-Newton, the verdict of all views), but side by side, so that the machine works on
several numbers at once. The last step of Gauss-Newton is short; the residuals after it follow from
those before it and the derivative, so that no view is looked through again. What does not pass is
left to the consensus, one by one.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from reconstruct.gates import GATE_PAIR, GATE_VIEW, LEAST_REDUNDANCY
from reconstruct.optics import COMPILED
from reconstruct.sightlines import CONVERGED_M, STEPS

LANES = 16
# Rows of the state of a block: the point, the sums of J'WJ (then the covariance) and J'Wr (then the
# step), the misfit, the furthest view's distance, and what is written of one view.
_X, _Y, _Z = 0 * LANES, 1 * LANES, 2 * LANES
_A, _B, _C, _D, _E, _F = 3 * LANES, 4 * LANES, 5 * LANES, 6 * LANES, 7 * LANES, 8 * LANES
_G, _H, _I = 9 * LANES, 10 * LANES, 11 * LANES
_MISFIT, _FAR = 12 * LANES, 13 * LANES
_R, _S, _FREE, _FREE_Y, _Z1, _Z2 = (row * LANES for row in range(14, 20))
_STATE = 20 * LANES
# Rows of what is kept of each view: pixel, information, pixel without lens, residual, derivative.
_KEPT = 15
_PX, _PY, _XX, _XY, _YY, _U, _V = (row * LANES for row in range(7))
_RX, _RY, _P0, _P1, _P2, _Q0, _Q1, _Q2 = (row * LANES for row in range(7, 15))


@njit(**COMPILED)
def workspace(cameras):
    """Return the state of a block and what is kept of its views."""
    return np.zeros(_STATE), np.zeros(cameras * _KEPT * LANES)


@njit(**COMPILED)
def _load(xy_px, xy, information, used, first, count, kept):
    for k in range(len(xy_px)):
        base = k * _KEPT * LANES
        for j in range(LANES):
            at = base + j
            i = first + j
            if j < count and used[i, k]:
                kept[at + _PX], kept[at + _PY] = xy_px[k, i, 0], xy_px[k, i, 1]
                kept[at + _U], kept[at + _V] = xy[k, i, 0], xy[k, i, 1]
                kept[at + _XX] = information[k, i, 0]
                kept[at + _XY] = information[k, i, 1]
                kept[at + _YY] = information[k, i, 2]
            else:
                for row in range(7):
                    kept[at + row * LANES] = 0.0


@njit(**COMPILED)
def _clear(w):
    for j in range(9 * LANES):
        w[_A + j] = 0.0


@njit(**COMPILED)
def _begin(p, kept, base, w):
    """Add a view to the linear system of `sightlines.start_point`."""
    p0, p1, p2, p3, p4, p5 = p[0], p[1], p[2], p[3], p[4], p[5]
    p6, p7, p8, p9, p10, p11 = p[6], p[7], p[8], p[9], p[10], p[11]
    fx, fy = p[12] * p[12], p[13] * p[13]
    for lane in range(LANES):
        j = np.uint64(lane)
        at = base + j
        x, y = kept[at + np.uint64(_U)], kept[at + np.uint64(_V)]
        wx, wy = kept[at + np.uint64(_XX)] * fx, kept[at + np.uint64(_YY)] * fy
        a0, a1, a2 = p0 - x * p6, p1 - x * p7, p2 - x * p8
        b0, b1, b2 = p3 - y * p6, p4 - y * p7, p5 - y * p8
        r, s = wx * (x * p11 - p9), wy * (y * p11 - p10)
        w[_G + lane] += a0 * r + b0 * s
        w[_H + lane] += a1 * r + b1 * s
        w[_I + lane] += a2 * r + b2 * s
        w[_A + lane] += wx * a0 * a0 + wy * b0 * b0
        w[_B + lane] += wx * a0 * a1 + wy * b0 * b1
        w[_C + lane] += wx * a0 * a2 + wy * b0 * b2
        w[_D + lane] += wx * a1 * a1 + wy * b1 * b1
        w[_E + lane] += wx * a1 * a2 + wy * b1 * b2
        w[_F + lane] += wx * a2 * a2 + wy * b2 * b2


@njit(**COMPILED)
def _look(p, kept, base, w):
    """Look through one camera without or with a lens of Brown's kind, and add to the sums."""
    p0, p1, p2, p3, p4, p5 = p[0], p[1], p[2], p[3], p[4], p[5]
    p6, p7, p8, p9, p10, p11 = p[6], p[7], p[8], p[9], p[10], p[11]
    fx, fy, cx, cy = p[12], p[13], p[14], p[15]
    k1, k2, t1, t2, k3, k4, k5, k6 = p[16], p[17], p[18], p[19], p[20], p[21], p[22], p[23]
    for lane in range(LANES):
        at = base + np.uint64(lane)
        x, y, z = w[_X + lane], w[_Y + lane], w[_Z + lane]
        depth = p6 * x + p7 * y + p8 * z + p11
        inverse = 1 / depth if depth > 0 else np.nan
        u = (p0 * x + p1 * y + p2 * z + p9) * inverse
        v = (p3 * x + p4 * y + p5 * z + p10) * inverse
        r2 = u * u + v * v
        bottom = 1 / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) * bottom
        d_top = k1 + r2 * (2 * k2 + 3 * k3 * r2)
        d_bottom = k4 + r2 * (2 * k5 + 3 * k6 * r2)
        slope = (d_top - radial * d_bottom) * bottom
        bent_u = u * radial + 2 * t1 * u * v + t2 * (r2 + 2 * u * u)
        bent_v = v * radial + t1 * (r2 + 2 * v * v) + 2 * t2 * u * v
        a = radial + 2 * u * u * slope + 2 * t1 * v + 6 * t2 * u
        b = 2 * u * v * slope + 2 * t1 * u + 2 * t2 * v
        d = radial + 2 * v * v * slope + 6 * t1 * v + 2 * t2 * u
        g, h = fx * inverse, fy * inverse
        u0, u1, u2 = p0 - u * p6, p1 - u * p7, p2 - u * p8
        v0, v1, v2 = p3 - v * p6, p4 - v * p7, p5 - v * p8
        x0, x1, x2 = g * (a * u0 + b * v0), g * (a * u1 + b * v1), g * (a * u2 + b * v2)
        y0, y1, y2 = h * (b * u0 + d * v0), h * (b * u1 + d * v1), h * (b * u2 + d * v2)
        r = kept[at + np.uint64(_PX)] - (fx * bent_u + cx)
        s = kept[at + np.uint64(_PY)] - (fy * bent_v + cy)
        xx, xy = kept[at + np.uint64(_XX)], kept[at + np.uint64(_XY)]
        yy = kept[at + np.uint64(_YY)]
        kept[at + np.uint64(_RX)], kept[at + np.uint64(_RY)] = r, s
        kept[at + np.uint64(_P0)], kept[at + np.uint64(_P1)] = x0, x1
        kept[at + np.uint64(_P2)], kept[at + np.uint64(_Q0)] = x2, y0
        kept[at + np.uint64(_Q1)], kept[at + np.uint64(_Q2)] = y1, y2
        m0, m1, m2 = xx * x0 + xy * y0, xx * x1 + xy * y1, xx * x2 + xy * y2
        n0, n1, n2 = xy * x0 + yy * y0, xy * x1 + yy * y1, xy * x2 + yy * y2
        # A view that takes no part may have the point behind it: nothing times NaN is no sum.
        on = xx > 0
        w[_G + lane] += m0 * r + n0 * s if on else 0.0
        w[_H + lane] += m1 * r + n1 * s if on else 0.0
        w[_I + lane] += m2 * r + n2 * s if on else 0.0
        w[_A + lane] += m0 * x0 + n0 * y0 if on else 0.0
        w[_B + lane] += m0 * x1 + n0 * y1 if on else 0.0
        w[_C + lane] += m0 * x2 + n0 * y2 if on else 0.0
        w[_D + lane] += m1 * x1 + n1 * y1 if on else 0.0
        w[_E + lane] += m1 * x2 + n1 * y2 if on else 0.0
        w[_F + lane] += m2 * x2 + n2 * y2 if on else 0.0


@njit(**COMPILED)
def _step(w):
    """Make the sums the covariance and the step (a singular system gives NaN)."""
    for j in range(LANES):
        a, b, c = w[_A + j], w[_B + j], w[_C + j]
        d, e, f = w[_D + j], w[_E + j], w[_F + j]
        xx, xy, xz = d * f - e * e, c * e - b * f, b * e - c * d
        determinant = a * xx + b * xy + c * xz
        s = 1 / determinant if determinant > 1e-12 * a * d * f else np.nan
        xx, xy, xz = xx * s, xy * s, xz * s
        yy, yz, zz = (a * f - c * c) * s, (b * c - a * e) * s, (a * d - b * b) * s
        g, h, i = w[_G + j], w[_H + j], w[_I + j]
        w[_A + j], w[_B + j], w[_C + j] = xx, xy, xz
        w[_D + j], w[_E + j], w[_F + j] = yy, yz, zz
        w[_G + j] = xx * g + xy * h + xz * i
        w[_H + j] = xy * g + yy * h + yz * i
        w[_I + j] = xz * g + yz * h + zz * i


@njit(**COMPILED)
def _judge(kept, base, w):
    """Write the figures of one view (as `gates.verdict` does) and add to the verdict."""
    for lane in range(LANES):
        at = base + np.uint64(lane)
        p0, p1 = kept[at + np.uint64(_P0)], kept[at + np.uint64(_P1)]
        p2, q0 = kept[at + np.uint64(_P2)], kept[at + np.uint64(_Q0)]
        q1, q2 = kept[at + np.uint64(_Q1)], kept[at + np.uint64(_Q2)]
        xx, xy = kept[at + np.uint64(_XX)], kept[at + np.uint64(_XY)]
        yy = kept[at + np.uint64(_YY)]
        dx, dy, dz = w[_G + lane], w[_H + lane], w[_I + lane]
        r = kept[at + np.uint64(_RX)] - (p0 * dx + p1 * dy + p2 * dz)
        s = kept[at + np.uint64(_RY)] - (q0 * dx + q1 * dy + q2 * dz)
        a, b, c = w[_A + lane], w[_B + lane], w[_C + lane]
        d, e, f = w[_D + lane], w[_E + lane], w[_F + lane]
        u0, u1, u2 = a * p0 + b * p1 + c * p2, b * p0 + d * p1 + e * p2, c * p0 + e * p1 + f * p2
        v0, v1, v2 = a * q0 + b * q1 + c * q2, b * q0 + d * q1 + e * q2, c * q0 + e * q1 + f * q2
        s_xx, s_xy = u0 * p0 + u1 * p1 + u2 * p2, u0 * q0 + u1 * q1 + u2 * q2
        s_yy = v0 * q0 + v1 * q1 + v2 * q2
        on = xx > 0
        safe = xx if on else 1.0
        root = np.sqrt(safe)
        low = xy / root
        rest2 = yy - low * low
        rest = np.sqrt(rest2)
        free = 1 - (xx * s_xx + 2 * xy * s_xy + low * low * s_yy)
        free_y = 1 - rest2 * s_yy
        over = 1 / (safe * (yy if on else 1.0) - xy * xy)
        k_xx, k_xy, k_yy = yy * over - s_xx, -s_xy - xy * over, xx * over - s_yy
        distance = (k_yy * r * r - 2 * k_xy * r * s + k_xx * s * s) / (k_xx * k_yy - k_xy * k_xy)
        square = xx * r * r + 2 * xy * r * s + yy * s * s
        w[_R + lane], w[_S + lane] = r, s
        w[_FREE + lane], w[_FREE_Y + lane] = free, free_y
        w[_Z1 + lane] = (root * r + low * s) / np.sqrt(free if free > 0 else 1.0)
        w[_Z2 + lane] = rest * s / np.sqrt(free_y if free_y > 0 else 1.0)
        w[_MISFIT + lane] += square if on else 0.0
        good = distance >= 0 and distance < GATE_VIEW
        w[_FAR + lane] += 0.0 if good or not on else 1.0


@njit(**COMPILED)
def solve_block(packed, xy_px, xy, information, used, first, count, w, kept):
    """Find the most likely points of up to sixteen, and their covariances, in the state `w`.

    Arguments as of `agree_block`.
    """
    cameras = len(packed)
    _load(xy_px, xy, information, used, first, count, kept)
    size = np.uint64(_KEPT * LANES)
    _clear(w)
    for k in range(cameras):
        _begin(packed[k], kept, np.uint64(k) * size, w)
    _step(w)
    for j in range(3 * LANES):
        w[_X + j] = w[_G + j]
    for _ in range(STEPS):
        _clear(w)
        for k in range(cameras):
            _look(packed[k], kept, np.uint64(k) * size, w)
        _step(w)
        longest = 0.0
        for j in range(LANES):
            w[_X + j] += w[_G + j]
            w[_Y + j] += w[_H + j]
            w[_Z + j] += w[_I + j]
            step = abs(w[_G + j]) + abs(w[_H + j]) + abs(w[_I + j])
            # What is nowhere will not come anywhere either.
            longest = max(longest, step if step < np.inf else 0.0)
        if not longest > CONVERGED_M:
            break


@njit(**COMPILED)
def write_point(w, lane, i, xyz, cov):
    """Write a lane's point and covariance as those of point i."""
    xyz[i, 0], xyz[i, 1], xyz[i, 2] = w[_X + lane], w[_Y + lane], w[_Z + lane]
    for row in range(6):
        cov[i, row] = w[_A + row * LANES + lane]


@njit(**COMPILED)
def agree_block(
    packed,
    xy_px,
    xy,
    information,
    gates,
    volume,
    used,
    first,
    count,
    w,
    kept,
    xyz,
    cov,
    figures,
    done,
):
    """Reconstruct up to sixteen points of which all views may agree.

    Writes point, covariance and figures of those that do, and which they are.

    Args:
        packed: (C, W) cameras, none with a fisheye lens.
        xy_px: (C, N, 2) px.
        xy: (C, N, 2) without the lens.
        information: (C, N, 3) 1/px^2.
        gates: Of the misfit, by degrees of freedom from 1 on.
        volume: Centre (3) and squared radius of the space in which a point can be.
        used: (N, C) which views there are.
        first: The first of the points.
        count: How many.
        w: From `workspace`.
        kept: Likewise.
        xyz: (N, 3) m, written.
        cov: (N, 6) m^2, written.
        figures: (3, C, N, 2), written.
        done: (16,) written.
    """
    cameras = len(packed)
    solve_block(packed, xy_px, xy, information, used, first, count, w, kept)
    size = np.uint64(_KEPT * LANES)
    for j in range(LANES):
        w[_MISFIT + j] = w[_FAR + j] = 0.0
    for k in range(cameras):
        _judge(kept, np.uint64(k) * size, w)
        for j in range(count):
            i = first + j
            if not used[i, k]:
                continue
            figures[0, k, i, 0], figures[0, k, i, 1] = w[_R + j], w[_S + j]
            free, free_y = w[_FREE + j], w[_FREE_Y + j]
            figures[2, k, i, 0] = min(max(free, 0.0), 1.0)
            figures[2, k, i, 1] = min(max(free_y, 0.0), 1.0)
            if free > LEAST_REDUNDANCY:
                figures[1, k, i, 0] = w[_Z1 + j]
            if free_y > LEAST_REDUNDANCY:
                figures[1, k, i, 1] = w[_Z2 + j]
    for j in range(count):
        i = first + j
        n = 0
        for k in range(cameras):
            n += used[i, k]
        x, y, z = w[_X + j], w[_Y + j], w[_Z + j]
        far = (x - volume[0]) ** 2 + (y - volume[1]) ** 2 + (z - volume[2]) ** 2
        limit = min(gates[0], GATE_PAIR) if n <= 2 else gates[2 * n - 4]
        fits = n >= 2 and w[_MISFIT + j] < limit and far < volume[3]
        if n > 2 and w[_FAR + j] > 0:
            fits = False
        done[j] = fits
        if fits:
            write_point(w, j, i, xyz, cov)
