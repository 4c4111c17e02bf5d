"""The most likely points for given views and their covariance, every observation taken as right.

Sixteen points side by side (`reconstruct.bulk`); one by one before a fisheye lens.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lab.camera import Camera
from lab.checks import FloatArray
from lab.cores import over_cores
from reconstruct.bulk import LANES, solve_block, workspace, write_point
from reconstruct.optics import CHUNK, COMPILED, FISHEYE, KIND, middle_of
from reconstruct.sightlines import (
    STEPS,
    Estimate,
    Sightlines,
    solve_point,
    start_point,
    take_sightlines,
)


def solve(s: Sightlines, used: NDArray[np.bool_]) -> Estimate:
    """Return the most likely points and their covariance from the used views (C, N)."""
    n = s.seen.shape[1]
    xyz, cov = np.empty((n, 3)), np.empty((n, 6))
    mask = np.ascontiguousarray(used.T)
    work = _solve_singly if (s.packed[:, KIND] == FISHEYE).any() else _solve_blocks
    # Whole blocks, so that which points lie side by side does not depend on the cores.
    over_cores(
        lambda a, b: work(
            s.packed, s.xy_px, s.xy, s.information, mask, xyz, cov, LANES * a, min(LANES * b, n)
        ),
        -(-n // LANES),
        chunk=CHUNK // LANES,
    )
    return Estimate(xyz + middle_of(s.cameras), cov)


@njit(**COMPILED)
def _solve_blocks(packed, xy_px, xy, information, mask, xyz, cov, first, end):
    w, kept = workspace(len(packed))
    for i in range(first, end, LANES):
        count = min(LANES, end - i)
        solve_block(packed, xy_px, xy, information, mask, i, count, w, kept)
        for lane in range(count):
            write_point(w, lane, i + lane, xyz, cov)


@njit(**COMPILED)
def _solve_singly(packed, xy_px, xy, information, mask, xyz, cov, first, end):
    for i in range(first, end):
        x, y, z = start_point(packed, xy, information, mask[i], i)
        x, y, z, a, b, c, d, e, f = solve_point(
            packed, xy_px, information, mask[i], i, x, y, z, STEPS
        )
        xyz[i, 0], xyz[i, 1], xyz[i, 2] = x, y, z
        cov[i, 0], cov[i, 1], cov[i, 2] = a, b, c
        cov[i, 3], cov[i, 4], cov[i, 5] = d, e, f


def most_likely(
    cameras: tuple[Camera, ...], xy_px: FloatArray, information: FloatArray
) -> Estimate:
    """Return the most likely points and their covariance, every observation taken as right.

    Args:
        cameras: C.
        xy_px: (C, N, 2) px; NaN where not seen.
        information: (C, N, 3) xx, xy, yy of the inverse covariance of the pixels, 1/px^2.
    """
    s = take_sightlines(cameras, xy_px).weighted(information)
    return solve(s, s.seen)
