"""What several cameras saw, and the most likely point for a set of views, one by one. Compiled.

A point is found by Gauss-Newton on pixel residuals through the lens, weighted by the inverse
covariance of the pixels, from a linear start; its covariance is (J'WJ)^-1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lab.camera import Camera
from lab.checks import FloatArray
from lab.cores import over_cores
from reconstruct.optics import CHUNK, COMPILED, invert, pack, see, unbend

STEPS = 8
# A shorter last step leaves some ten nanometres to go.
CONVERGED_M = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Sightlines:
    """What C cameras saw of N points.

    Attributes:
        cameras: C cameras.
        packed: (C, W) the same for the compiled code.
        xy_px: (C, N, 2) px.
        xy: (C, N, 2) x/z, y/z without the lens; NaN where there is none.
        seen: (C, N) whether there is an observation that the lens can have made.
        information: (C, N, 3) xx, xy, yy of the inverse covariance of the pixels, 1/px^2.
    """

    cameras: tuple[Camera, ...]
    packed: FloatArray
    xy_px: FloatArray
    xy: FloatArray
    seen: NDArray[np.bool_]
    information: FloatArray

    def select(self, which: Any) -> Sightlines:
        """Return the sightlines of some of the points."""
        return replace(
            self,
            xy_px=np.ascontiguousarray(self.xy_px[:, which]),
            xy=np.ascontiguousarray(self.xy[:, which]),
            seen=np.ascontiguousarray(self.seen[:, which]),
            information=np.ascontiguousarray(self.information[:, which]),
        )

    def weighted(self, information: Any) -> Sightlines:
        """Return the sightlines with other information (C, N, 3)."""
        return replace(self, information=np.ascontiguousarray(information, float))


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Points and what is known of them.

    Attributes:
        xyz: (N, 3) m; NaN where the views do not fix a point.
        cov: (N, 6) m^2: xx, xy, xz, yy, yz, zz.
    """

    xyz: FloatArray
    cov: FloatArray


def take_sightlines(cameras: tuple[Camera, ...], xy_px: FloatArray) -> Sightlines:
    """Take the lenses away from pixels (C, N, 2); the information is that of one pixel of noise."""
    packed = pack(cameras)
    xy_px = np.ascontiguousarray(xy_px, float)
    xy, state = np.empty_like(xy_px), np.empty(xy_px.shape[:-1], np.uint8)
    over_cores(
        lambda a, b: _unbend_all(packed, xy_px, xy, state, a, b), xy_px.shape[1], chunk=CHUNK
    )
    if (state == _UNDECIDED).any():
        for c, camera in enumerate(cameras):
            hard = state[c] == _UNDECIDED
            xy[c, hard], state[c, hard] = camera.normalised(xy_px[c, hard])
    one = np.broadcast_to([1.0, 0.0, 1.0], (*state.shape, 3))
    return Sightlines(cameras, packed, xy_px, xy, state == _SEEN, one)


_UNSEEN, _SEEN, _UNDECIDED = 0, 1, 2


@njit(**COMPILED)
def _unbend_all(packed, xy_px, xy, state, first, end):
    for c in range(len(packed)):
        for i in range(first, end):
            x, y = xy_px[c, i, 0], xy_px[c, i, 1]
            if np.isfinite(x) and np.isfinite(y):
                u, v, good = unbend(packed[c], x, y)
                xy[c, i, 0], xy[c, i, 1] = u, v
                state[c, i] = _SEEN if good else _UNDECIDED
            else:
                xy[c, i, 0], xy[c, i, 1], state[c, i] = np.nan, np.nan, _UNSEEN


@njit(**COMPILED)
def start_point(packed, xy, information, used, i):
    """Return the point of the linear method, weighted by information.

    Each view asks that R1 X + t1 = x (R3 X + t3), and likewise in y (the direct linear transform:
    Hartley and Sturm, CVIU 68:146, 1997, section 5, inhomogeneous). Its residual is that in x and
    y times the depth, so far cameras count too much: good enough to start from.
    """
    a = b = c = d = e = f = 0.0
    g0 = g1 = g2 = 0.0
    for k in range(len(packed)):
        if not used[k]:
            continue
        p = packed[k]
        x, y = xy[k, i, 0], xy[k, i, 1]
        wx = information[k, i, 0] * p[12] * p[12]
        wy = information[k, i, 2] * p[13] * p[13]
        p0, p1, p2 = p[0] - x * p[6], p[1] - x * p[7], p[2] - x * p[8]
        q0, q1, q2 = p[3] - y * p[6], p[4] - y * p[7], p[5] - y * p[8]
        r, s = wx * (x * p[11] - p[9]), wy * (y * p[11] - p[10])
        g0 += p0 * r + q0 * s
        g1 += p1 * r + q1 * s
        g2 += p2 * r + q2 * s
        wp0, wp1, wq0, wq1 = wx * p0, wx * p1, wy * q0, wy * q1
        a += wp0 * p0 + wq0 * q0
        b += wp0 * p1 + wq0 * q1
        c += wp0 * p2 + wq0 * q2
        d += wp1 * p1 + wq1 * q1
        e += wp1 * p2 + wq1 * q2
        f += wx * p2 * p2 + wy * q2 * q2
    a, b, c, d, e, f = invert(a, b, c, d, e, f)
    return (a * g0 + b * g1 + c * g2, b * g0 + d * g1 + e * g2, c * g0 + e * g1 + f * g2)


@njit(**COMPILED)
def solve_point(packed, xy_px, information, used, i, x, y, z, steps):
    """Return the most likely point from a start, and its covariance; NaN where there is none."""
    a = b = c = d = e = f = np.nan
    for _ in range(steps):
        a = b = c = d = e = f = 0.0
        g0 = g1 = g2 = 0.0
        for k in range(len(packed)):
            if not used[k]:
                continue
            u, v, p0, p1, p2, q0, q1, q2 = see(packed[k], x, y, z)
            r, s = xy_px[k, i, 0] - u, xy_px[k, i, 1] - v
            xx, xy, yy = information[k, i, 0], information[k, i, 1], information[k, i, 2]
            m0, m1, m2 = xx * p0 + xy * q0, xx * p1 + xy * q1, xx * p2 + xy * q2
            n0, n1, n2 = xy * p0 + yy * q0, xy * p1 + yy * q1, xy * p2 + yy * q2
            g0 += m0 * r + n0 * s
            g1 += m1 * r + n1 * s
            g2 += m2 * r + n2 * s
            a += m0 * p0 + n0 * q0
            b += m0 * p1 + n0 * q1
            c += m0 * p2 + n0 * q2
            d += m1 * p1 + n1 * q1
            e += m1 * p2 + n1 * q2
            f += m2 * p2 + n2 * q2
        a, b, c, d, e, f = invert(a, b, c, d, e, f)
        dx = a * g0 + b * g1 + c * g2
        dy = b * g0 + d * g1 + e * g2
        dz = c * g0 + e * g1 + f * g2
        x += dx
        y += dy
        z += dz
        if not abs(dx) + abs(dy) + abs(dz) > CONVERGED_M:
            break
    return x, y, z, a, b, c, d, e, f
