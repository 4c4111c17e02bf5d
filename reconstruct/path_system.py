"""The most likely path of a point seen by cameras at their own times: the compiled system.

The path is its positions at evenly spaced nodes, a few to a frame, and cubic through the four
nearest nodes in between (Lagrange). With y the pixels, W their information and D the third
differences,

    sum (y - image(x))' W (y - image(x)) + lam |D x|^2

is minimised by Gauss-Newton: the smoothing spline of `reconstruct.smooth`, on pixels. All sums are
banded, twelve numbers to a row.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from reconstruct.optics import COMPILED, see

ORDER = 3
WINDOW = 4  # nodes to an observation
BAND = 3 * WINDOW
_DIFFERENCE = (1.0, -3.0, 3.0, -1.0)


@njit(**COMPILED)
def gather(packed, camera, xy_px, information, first, weight, x, a, g):
    """Sum J'WJ into rows (3 N, BAND) and J'Wr into (3 N,); return the misfit r'Wr.

    Args:
        packed: The cameras.
        camera: (n,) which of them saw each observation.
        xy_px: (n, 2).
        information: (n, 3) xx, xy, yy, 1/px^2.
        first: (n,) first of the observation's nodes.
        weight: (n, WINDOW) of those nodes.
        x: (N, 3) m, the path so far.
        a: Row i holds the columns i, i - 1, ...; overwritten.
        g: Overwritten.
    """
    a[:] = 0.0
    g[:] = 0.0
    misfit = 0.0
    for i in range(len(camera)):
        m = first[i]
        p = np.zeros(3)
        for n in range(WINDOW):
            for j in range(3):
                p[j] += weight[i, n] * x[m + n, j]
        u, v, p0, p1, p2, q0, q1, q2 = see(packed[camera[i]], p[0], p[1], p[2])
        if not np.isfinite(u):
            continue
        r, s = xy_px[i, 0] - u, xy_px[i, 1] - v
        xx, xy, yy = information[i, 0], information[i, 1], information[i, 2]
        by_x, by_y = (p0, p1, p2), (q0, q1, q2)
        misfit += xx * r * r + 2 * xy * r * s + yy * s * s
        for j in range(3):
            pull = by_x[j] * (xx * r + xy * s) + by_y[j] * (xy * r + yy * s)
            for n in range(WINDOW):
                g[3 * (m + n) + j] += weight[i, n] * pull
            for k in range(3):
                h = by_x[j] * (xx * by_x[k] + xy * by_y[k])
                h += by_y[j] * (xy * by_x[k] + yy * by_y[k])
                for n in range(WINDOW):
                    for o in range(n + 1):
                        d = 3 * (n - o) + j - k
                        if d >= 0:
                            a[3 * (m + n) + j, d] += weight[i, n] * weight[i, o] * h
    return misfit


@njit(**COMPILED)
def _stiffen(a, tied, lam, out):
    """Add lam D'D to rows."""
    out[:] = a
    for m in range(len(tied)):
        if not tied[m]:
            continue
        for n in range(WINDOW):
            for o in range(n + 1):
                value = lam * _DIFFERENCE[n] * _DIFFERENCE[o]
                for j in range(3):
                    out[3 * (m + n) + j, 3 * (n - o)] += value


@njit(**COMPILED)
def _bend(tied, lam, x, out):
    """Return |D x|^2 and write lam D'D x."""
    out[:] = 0.0
    total = 0.0
    for m in range(len(tied)):
        if not tied[m]:
            continue
        for j in range(3):
            bent = 0.0
            for n in range(WINDOW):
                bent += _DIFFERENCE[n] * x[m + n, j]
            total += bent * bent
            for n in range(WINDOW):
                out[3 * (m + n) + j] += lam * _DIFFERENCE[n] * bent
    return total


@njit(**COMPILED)
def _factor(a):
    """Cholesky factor in place; return the log determinant (NaN if not positive)."""
    log_determinant = 0.0
    for i in range(len(a)):
        for d in range(min(BAND - 1, i), -1, -1):
            j = i - d
            total = a[i, d]
            for k in range(max(0, i - BAND + 1), j):
                total -= a[i, i - k] * a[j, j - k]
            if d:
                a[i, d] = total / a[j, 0]
            else:
                if not total > 0:
                    return np.nan
                a[i, 0] = np.sqrt(total)
                log_determinant += np.log(total)
    return log_determinant


@njit(**COMPILED)
def _solve(factor, b):
    """Solve in place."""
    n = len(b)
    for i in range(n):
        total = b[i]
        for d in range(1, min(BAND - 1, i) + 1):
            total -= factor[i, d] * b[i - d]
        b[i] = total / factor[i, 0]
    for i in range(n - 1, -1, -1):
        total = b[i]
        for d in range(1, min(BAND - 1, n - 1 - i) + 1):
            total -= factor[i + d, d] * b[i + d]
        b[i] = total / factor[i, 0]


@njit(**COMPILED)
def _quadratic(a, v):
    """Return v'Av of the symmetric matrix whose lower rows are given."""
    total = 0.0
    for i in range(len(v)):
        total += a[i, 0] * v[i] * v[i]
        for d in range(1, min(BAND - 1, i) + 1):
            total += 2 * a[i, d] * v[i] * v[i - d]
    return total


@njit(**COMPILED)
def deviance(a, g, misfit, x, tied, lam, freedom, rank):
    """Return -2 ln restricted likelihood at lam (up to a constant), its noise scale, and the step.

    To first order about the path x; the scale of the noise is profiled out (Wahba, Ann Statist
    13:1378, 1985).
    """
    stiff, pull = np.empty_like(a), np.empty_like(g)
    _stiffen(a, tied, lam, stiff)
    _bend(tied, lam, x, pull)
    log_determinant = _factor(stiff)
    step = g - pull
    _solve(stiff, step)
    along = 0.0
    for i in range(len(g)):
        along += step[i] * g[i]
    moved = x + step.reshape(x.shape)
    bent = _bend(tied, lam, moved, pull)
    scale = (misfit - 2 * along + _quadratic(a, step) + lam * bent) / freedom
    value = freedom * np.log(max(scale, 1e-300)) + log_determinant - rank * np.log(lam)
    return value, scale, step


@njit(**COMPILED)
def echo(a, g, tied, lam):
    """Return the smoothed residual, which twicing adds."""
    stiff, step = np.empty_like(a), g.copy()
    _stiffen(a, tied, lam, stiff)
    _factor(stiff)
    _solve(stiff, step)
    return step


@njit(**COMPILED)
def spread(a, tied, lam):
    """Return blocks (N, WINDOW, 3, 3) of (A + lam D'D)^-1: each node with itself and the next ones.

    By the recursion of Takahashi, Fagan and Chen (1973). Nodes beyond the last are left 0.
    """
    factor = np.empty_like(a)
    _stiffen(a, tied, lam, factor)
    _factor(factor)
    n = len(a)
    inverse = np.zeros((n, BAND))  # row i holds the entries (i, i), (i, i + 1), ...
    for i in range(n - 1, -1, -1):
        reach = min(BAND - 1, n - 1 - i)
        for d in range(reach, -1, -1):
            total = 1 / factor[i, 0] if d == 0 else 0.0
            for k in range(1, reach + 1):
                low, high = min(i + k, i + d), max(i + k, i + d)
                if high - low < BAND:
                    total -= factor[i + k, k] * inverse[low, high - low]
            inverse[i, d] = total / factor[i, 0]
    result = np.zeros((n // 3, WINDOW, 3, 3))
    for m in range(n // 3):
        for lag in range(min(WINDOW, n // 3 - m)):
            for j in range(3):
                for k in range(3):
                    row, column = 3 * m + j, 3 * (m + lag) + k
                    low, high = min(row, column), max(row, column)
                    result[m, lag, j, k] = inverse[low, high - low]
    return result
