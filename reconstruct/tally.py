"""The book-keeping of a reconstruction in one pass over memory. Compiled; numbers as numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lab.checks import FloatArray
from lab.cores import over_cores
from reconstruct.optics import CHUNK

# Without leave to reorder: the numbers are the same as those of whole arrays.
_EXACT: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}


def weigh(cov_px: FloatArray, sigma_px: FloatArray) -> FloatArray:
    """Return xx, xy, yy of the inverse of covariances, (C, T * K, 3), where not known of sigma.

    Args:
        cov_px: (C, T, K, 2, 2) px^2; NaN where not known.
        sigma_px: (C, K) noise in each direction, px, to stand in for them.
    """
    cameras, frames, joints = cov_px.shape[:3]
    cov = np.ascontiguousarray(cov_px).reshape(cameras, frames * joints, 4)
    result = np.empty((cameras, frames * joints, 3))
    flat = sigma_px**-2.0
    over_cores(lambda a, b: _weigh(cov, flat, result, a, b), frames * joints, chunk=CHUNK)
    return result


@njit(**_EXACT)
def _weigh(cov, flat, result, first, end):
    joints = flat.shape[1]
    for c in range(len(cov)):
        for i in range(first, end):
            a, b, d = cov[c, i, 0], cov[c, i, 1], cov[c, i, 3]
            if np.isfinite(a) and np.isfinite(b) and np.isfinite(d):
                determinant = a * d - b * b
                result[c, i, 0] = d / determinant
                result[c, i, 1] = -b / determinant
                result[c, i, 2] = a / determinant
            else:
                result[c, i, 0] = result[c, i, 2] = flat[c, i % joints]
                result[c, i, 1] = 0.0


def all_known(cov_px: FloatArray, seen: NDArray[np.bool_]) -> bool:
    """Return whether every covariance (C, T, K, 2, 2) of what was seen (C, T * K) is known."""
    cov = np.ascontiguousarray(cov_px).reshape(*seen.shape, 4)
    return all(over_cores(lambda a, b: _all_known(cov, seen, a, b), seen.shape[1], chunk=CHUNK))


@njit(**_EXACT)
def _all_known(cov, seen, first, end):
    for c in range(len(cov)):
        for i in range(first, end):
            if seen[c, i]:
                # Finite, all four: a sum is not finite if a term is not.
                total = cov[c, i, 0] + cov[c, i, 1] + cov[c, i, 2] + cov[c, i, 3]
                if not np.isfinite(total):
                    return False
    return True


def take_stock(
    residual_px: FloatArray,
    standardised: FloatArray,
    redundancy: FloatArray,
    information: FloatArray,
    used: NDArray[np.bool_],
) -> tuple[FloatArray, FloatArray, FloatArray, float, float]:
    """Return what a reconstruction says of its observations.

    Args:
        residual_px: (C, N, 2), as the next two from `consensus.Agreement`.
        standardised: (C, N, 2).
        redundancy: (C, N, 2).
        information: (C, N, 3).
        used: (C, N).

    Returns:
        The length of each residual (C, N), NaN where not used; the information, 0 where not used;
        the absolute standardised residuals in px (C, N, 2); their redundancy, and their squares
        weighted by it, in sum.
    """
    shape = used.shape
    length, in_px = np.empty(shape), np.empty((*shape, 2))
    kept = np.empty((*shape, 3))
    sums = over_cores(
        lambda a, b: _take_stock(
            residual_px, standardised, redundancy, information, used, length, in_px, kept, a, b
        ),
        shape[1],
        chunk=CHUNK,
    )
    return length, kept, in_px, sum(s[0] for s in sums), sum(s[1] for s in sums)


@njit(**_EXACT)
def _take_stock(residual, values, redundancy, information, used, length, in_px, kept, first, end):
    freedom = misfit = 0.0
    for c in range(len(used)):
        for i in range(first, end):
            x, y = residual[c, i, 0], residual[c, i, 1]
            length[c, i] = np.sqrt(x * x + y * y)
            if not used[c, i]:
                in_px[c, i, 0] = in_px[c, i, 1] = np.nan
                kept[c, i, 0] = kept[c, i, 1] = kept[c, i, 2] = 0.0
                continue
            size = 1 / np.sqrt(np.sqrt(information[c, i, 0] * information[c, i, 2]))
            for j in range(2):
                z, free = values[c, i, j], redundancy[c, i, j]
                in_px[c, i, j] = abs(z) * size
                if np.isfinite(free):
                    freedom += free
                if np.isfinite(z * z * free):
                    misfit += z * z * free
            for j in range(3):
                kept[c, i, j] = information[c, i, j]
    return freedom, misfit


def medians(values: FloatArray) -> FloatArray:
    """Return the median (C, K) of the known ones of (C, T, K, 2); NaN where there are none."""
    cameras, _, joints = values.shape[:3]
    result = np.empty((cameras, joints))

    def work(first: int, end: int) -> None:
        for at in range(first, end):
            result[at // joints, at % joints] = _median(values[at // joints, :, at % joints])

    over_cores(work, cameras * joints, chunk=joints)
    return result


@njit(**_EXACT)
def _median(values):
    known = np.empty(values.size)
    n = 0
    for i in range(len(values)):
        for j in range(2):
            if np.isfinite(values[i, j]):
                known[n] = values[i, j]
                n += 1
    return np.median(known[:n]) if n else np.nan


def carry_parameters(
    points: NDArray[np.intp],
    cov: FloatArray,
    information: FloatArray,
    by: tuple[FloatArray, FloatArray, FloatArray],
    start: int,
    result: FloatArray,
) -> None:
    """Write the derivative of points by one camera's parameters, -P J'WB.

    Args:
        points: (n,) which of N points.
        cov: (N, 3, 3) m^2, P.
        information: (N, 3) xx, xy, yy of W.
        by: Of the n points: J (n, 2, 3), and the two parts of B (n, 2, ...).
        start: Where the camera's parameters begin in the result.
        result: (N, 3, Q), written in place.
    """
    over_cores(
        lambda a, b: _carry_parameters(points, cov, information, *by, start, result, a, b),
        len(points),
        chunk=CHUNK,
    )


@njit(**_EXACT)
def _carry_parameters(
    points, cov, information, by_point, by_pose, by_lens, start, result, first, end
):
    for n in range(first, end):
        i = points[n]
        xx, xy, yy = information[i, 0], information[i, 1], information[i, 2]
        for row in range(3):
            left = right = 0.0
            for j in range(3):
                x, y = by_point[n, 0, j], by_point[n, 1, j]
                left -= cov[i, row, j] * (x * xx + y * xy)
                right -= cov[i, row, j] * (x * xy + y * yy)
            at = start
            for q in range(by_pose.shape[2]):
                result[i, row, at + q] = left * by_pose[n, 0, q] + right * by_pose[n, 1, q]
            at += by_pose.shape[2]
            for q in range(by_lens.shape[2]):
                result[i, row, at + q] = left * by_lens[n, 0, q] + right * by_lens[n, 1, q]
