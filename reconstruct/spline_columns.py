"""One smoothing, applied to many replicates at once: the banded solves, compiled.

A block of replicates lies side by side, so that each step of a solve is one short loop over
neighbouring numbers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from lab.checks import FloatArray
from lab.cores import over_cores
from reconstruct.optics import COMPILED

_WIDTH = 16  # replicates side by side
_PAD = 11  # rows of nothing before and after; as many as there are diagonals below the main one
_REACH = 3  # frames to either side that a penalty ties


def solver_rows(factor: FloatArray) -> FloatArray:
    """Return a lower Cholesky factor by rows, (n, 12): 1 / L[i, i], L[i, i - 1], L[i, i - 2], ...

    Args:
        factor: (m, n) as of `scipy.linalg.cholesky_banded(lower=True)`, m <= 12.
    """
    n = factor.shape[1]
    rows = np.zeros((n, _PAD + 1))
    rows[:, 0] = 1 / factor[0]
    for d in range(1, len(factor)):
        rows[d:, d] = factor[d, : n - d]
    return rows


def penalty_taps(bands: FloatArray) -> FloatArray:
    """Return for each frame (N, 7) what its product with a symmetric matrix takes of -3 ... +3.

    Args:
        bands: (m, N) lower diagonals, the main one first, m <= 4.
    """
    n = bands.shape[1]
    taps = np.zeros((n, 2 * _REACH + 1))
    for d in range(len(bands)):
        taps[: n - d, _REACH + d] = bands[d, : n - d]
        taps[d:, _REACH - d] = bands[d, : n - d]
    return taps


def smooth_twice(rows: FloatArray, taps: FloatArray, values: FloatArray) -> FloatArray:
    """Return values less what is rough in what is rough in them: y - (A^-1 P)^2 y.

    Args:
        rows: (3 N, 12), the factor of A from `solver_rows`.
        taps: (N, 7), the penalty P from `penalty_taps`.
        values: (B, N, 3), B replicates at N frames.
    """
    values = np.ascontiguousarray(values)
    result = np.empty_like(values)
    blocks = -(-len(values) // _WIDTH)
    over_cores(lambda a, b: _smooth_blocks(rows, taps, values, result, a, b), blocks, chunk=1)
    return result


# The rows of a block are _WIDTH numbers one after the other: a fixed distance, which the compiler
# has to know to take several at once.
@njit(**COMPILED)
def _push(taps, v, out):
    for m in range(len(taps)):
        t0, t1, t2, t3 = taps[m, 0], taps[m, 1], taps[m, 2], taps[m, 3]
        t4, t5, t6 = taps[m, 4], taps[m, 5], taps[m, 6]
        for i in range(3):
            at = np.uint64((3 * m + i + _PAD) * _WIDTH)
            for j in range(_WIDTH):
                p = at + np.uint64(j)
                out[p] = (
                    t0 * v[p - np.uint64(9 * _WIDTH)]
                    + t1 * v[p - np.uint64(6 * _WIDTH)]
                    + t2 * v[p - np.uint64(3 * _WIDTH)]
                    + t3 * v[p]
                    + t4 * v[p + np.uint64(3 * _WIDTH)]
                    + t5 * v[p + np.uint64(6 * _WIDTH)]
                    + t6 * v[p + np.uint64(9 * _WIDTH)]
                )


@njit(**COMPILED)
def _solve_block(rows, b):
    n = len(rows)
    for i in range(n):
        c1, c2, c3, c4 = rows[i, 1], rows[i, 2], rows[i, 3], rows[i, 4]
        c5, c6, c7, c8 = rows[i, 5], rows[i, 6], rows[i, 7], rows[i, 8]
        c9, c10, c11, scale = rows[i, 9], rows[i, 10], rows[i, 11], rows[i, 0]
        at = np.uint64((i + _PAD) * _WIDTH)
        for j in range(_WIDTH):
            p = at + np.uint64(j)
            b[p] = scale * (
                b[p]
                - c1 * b[p - np.uint64(_WIDTH)]
                - c2 * b[p - np.uint64(2 * _WIDTH)]
                - c3 * b[p - np.uint64(3 * _WIDTH)]
                - c4 * b[p - np.uint64(4 * _WIDTH)]
                - c5 * b[p - np.uint64(5 * _WIDTH)]
                - c6 * b[p - np.uint64(6 * _WIDTH)]
                - c7 * b[p - np.uint64(7 * _WIDTH)]
                - c8 * b[p - np.uint64(8 * _WIDTH)]
                - c9 * b[p - np.uint64(9 * _WIDTH)]
                - c10 * b[p - np.uint64(10 * _WIDTH)]
                - c11 * b[p - np.uint64(11 * _WIDTH)]
            )
    column = np.zeros(_PAD + 1)
    for i in range(n - 1, -1, -1):
        for d in range(1, _PAD + 1):
            column[d] = rows[i + d, d] if i + d < n else 0.0
        c1, c2, c3, c4 = column[1], column[2], column[3], column[4]
        c5, c6, c7, c8 = column[5], column[6], column[7], column[8]
        c9, c10, c11, scale = column[9], column[10], column[11], rows[i, 0]
        at = np.uint64((i + _PAD) * _WIDTH)
        for j in range(_WIDTH):
            p = at + np.uint64(j)
            b[p] = scale * (
                b[p]
                - c1 * b[p + np.uint64(_WIDTH)]
                - c2 * b[p + np.uint64(2 * _WIDTH)]
                - c3 * b[p + np.uint64(3 * _WIDTH)]
                - c4 * b[p + np.uint64(4 * _WIDTH)]
                - c5 * b[p + np.uint64(5 * _WIDTH)]
                - c6 * b[p + np.uint64(6 * _WIDTH)]
                - c7 * b[p + np.uint64(7 * _WIDTH)]
                - c8 * b[p + np.uint64(8 * _WIDTH)]
                - c9 * b[p + np.uint64(9 * _WIDTH)]
                - c10 * b[p + np.uint64(10 * _WIDTH)]
                - c11 * b[p + np.uint64(11 * _WIDTH)]
            )


@njit(**COMPILED)
def _smooth_blocks(rows, taps, values, result, first, end):
    frames = len(taps)
    v = np.zeros((3 * frames + 2 * _PAD) * _WIDTH)
    w = np.zeros_like(v)
    for block in range(first, end):
        begin = block * _WIDTH
        width = min(_WIDTH, len(values) - begin)
        for j in range(width):
            for m in range(frames):
                for i in range(3):
                    v[(3 * m + i + _PAD) * _WIDTH + j] = values[begin + j, m, i]
        _push(taps, v, w)
        _solve_block(rows, w)
        _push(taps, w, v)
        _solve_block(rows, v)
        for j in range(width):
            for m in range(frames):
                for i in range(3):
                    at = (3 * m + i + _PAD) * _WIDTH + j
                    result[begin + j, m, i] = values[begin + j, m, i] - v[at]
