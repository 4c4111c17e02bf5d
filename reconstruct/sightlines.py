"""Points from the lines of sight of several cameras, for many points at once.

Everything here is written out by components, arrays of N points: 3 x 3 systems by the million are
quicker so than as stacks of matrices. The lens has been taken away: an observation is x/z, y/z in
its camera's frame, with the information (inverse covariance) that its pixel noise gives it there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.camera import Camera
from lab.checks import FloatArray
from lab.lens_model import distort

_STEPS = 6
_CONVERGED_M = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Sightlines:
    """What C cameras saw of N points.

    Attributes:
        cameras: C cameras.
        xy_px: (C, N, 2) px.
        xy: (C, N, 2) x/z, y/z without the lens.
        bend: (C, N, 2, 2) derivative of the pixel by `xy`, there.
        seen: (C, N) whether there is an observation that the lens can have made.
        information: (C, N, 3) xx, xy, yy of the inverse covariance in `xy`.
    """

    cameras: tuple[Camera, ...]
    xy_px: FloatArray
    xy: FloatArray
    bend: FloatArray
    seen: NDArray[np.bool_]
    information: FloatArray

    def select(self, which: Any) -> Sightlines:
        """Return the sightlines of some of the points."""
        return replace(
            self,
            xy_px=self.xy_px[:, which],
            xy=self.xy[:, which],
            bend=self.bend[:, which],
            seen=self.seen[:, which],
            information=self.information[:, which],
        )

    def weighted(self, information_px: FloatArray) -> Sightlines:
        """Return the sightlines with the information (C, N, 3: xx, xy, yy) of pixels, 1/px^2."""
        a, b, c, d = (self.bend[..., i, j] for i in (0, 1) for j in (0, 1))
        xx, xy, yy = (information_px[..., i] for i in range(3))
        return replace(
            self,
            information=np.stack(
                [
                    a * a * xx + 2 * a * c * xy + c * c * yy,
                    a * b * xx + (a * d + b * c) * xy + c * d * yy,
                    b * b * xx + 2 * b * d * xy + d * d * yy,
                ],
                axis=-1,
            ),
        )


def take_sightlines(cameras: tuple[Camera, ...], xy_px: FloatArray) -> Sightlines:
    """Take the lenses away from pixels (C, N, 2); the information is that of one pixel of noise."""
    xy = np.empty_like(xy_px)
    bend = np.empty((*xy_px.shape, 2))
    seen = np.zeros(xy_px.shape[:-1], bool)
    for c, camera in enumerate(cameras):
        found = np.isfinite(xy_px[c]).all(-1)
        xy[c], bend[c] = 0.0, np.eye(2)
        xy[c, found], converged = camera.normalised(xy_px[c, found])
        seen[c, found] = converged
        xy[c, ~seen[c]] = 0.0
        _, by_xy, _ = distort(camera.model, camera.coefficients, xy[c])
        bend[c] = camera.intrinsics[:2, None] * by_xy
    empty = Sightlines(cameras, xy_px, xy, bend, seen, np.zeros((*seen.shape, 3)))
    return empty.weighted(np.broadcast_to([1.0, 0.0, 1.0], (*seen.shape, 3)))


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Points and what is known of them.

    Attributes:
        xyz: (N, 3) m; NaN where the views do not fix a point.
        cov: (N, 6) m^2: xx, xy, xz, yy, yz, zz.
    """

    xyz: FloatArray
    cov: FloatArray


def inverse_symmetric(h: FloatArray) -> FloatArray:
    """Invert symmetric 3 x 3 matrices given as (6, N): xx, xy, xz, yy, yz, zz; NaN if singular."""
    a, b, c, d, e, f = h
    xx, xy, xz = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = a * xx + b * xy + c * xz
    # A determinant lost in rounding means that the sight lines do not cross.
    good = determinant > 1e-12 * a * d * f
    scale = 1 / np.where(good, determinant, np.nan)
    return np.stack([xx, xy, xz, a * f - c * c, b * c - a * e, a * d - b * b]) * scale


def times_symmetric(h: FloatArray, v: FloatArray) -> FloatArray:
    """Multiply symmetric matrices (6, N) with vectors (3, N)."""
    return np.stack(
        [
            h[0] * v[0] + h[1] * v[1] + h[2] * v[2],
            h[1] * v[0] + h[3] * v[1] + h[4] * v[2],
            h[2] * v[0] + h[4] * v[1] + h[5] * v[2],
        ]
    )


def accumulate(
    h: FloatArray, g: FloatArray, rows: tuple[FloatArray, FloatArray], e: Any, w: Any
) -> None:
    """Add J' W J to h (6, N) and J' W e to g (3, N).

    Args:
        h: Sum so far.
        g: Sum so far.
        rows: The two rows (3, N) of J.
        e: Two arrays (N,).
        w: xx, xy, yy of W, three arrays (N,).
    """
    p, q = rows
    for i in range(3):
        left0 = w[0] * p[i] + w[1] * q[i]
        left1 = w[1] * p[i] + w[2] * q[i]
        g[i] += left0 * e[0] + left1 * e[1]
        for j in range(i, 3):
            h[_AT[i][j]] += left0 * p[j] + left1 * q[j]


_AT = ((0, 1, 2), (1, 3, 4), (2, 4, 5))


def _masked(s: Sightlines, c: int, used: NDArray[np.bool_]) -> FloatArray:
    return np.where(used[c], s.information[c].T, 0.0)


def start(s: Sightlines, used: NDArray[np.bool_]) -> FloatArray:
    """Return points (3, N) by the linear method, weighted by information.

    Each view asks that R1 X + t1 = x (R3 X + t3), and likewise in y (the direct linear
    transform: Hartley and Sturm, CVIU 68:146, 1997, section 5, inhomogeneous). Its residual is
    that in x and y times the depth, so far cameras count too much: good enough to start from.
    """
    middle = np.mean([camera.centre for camera in s.cameras], axis=0)
    h, g = np.zeros((6, s.seen.shape[1])), np.zeros((3, s.seen.shape[1]))
    for c in np.flatnonzero(used.any(1)).tolist():
        camera = s.cameras[c]
        turn = camera.cam_from_lab.rotation
        # Counted from the middle of the cameras, for the sake of rounding.
        t = camera.cam_from_lab.transform(middle)
        x, y = s.xy[c].T
        rows = (turn[0][:, None] - x * turn[2][:, None], turn[1][:, None] - y * turn[2][:, None])
        accumulate(h, g, rows, (x * t[2] - t[0], y * t[2] - t[1]), _masked(s, c, used))
    return times_symmetric(inverse_symmetric(h), g) + middle[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A camera's view of points: the residual in x/z, y/z and its derivative by the point.

    Attributes:
        residual: (2, N), NaN behind the camera.
        rows: The two rows (3, N) of the derivative of x/z, y/z.
    """

    residual: FloatArray
    rows: tuple[FloatArray, FloatArray]


def look(s: Sightlines, c: int, xyz: FloatArray) -> View:
    """Return how camera c sees points (3, N)."""
    pose = s.cameras[c].cam_from_lab
    x, y, z = pose.rotation @ xyz + pose.translation[:, None]
    inverse = 1 / np.where(z > 0, z, np.nan)
    u, v = x * inverse, y * inverse
    turn = pose.rotation[:, :, None]
    residual = np.stack([s.xy[c, :, 0] - u, s.xy[c, :, 1] - v])
    return View(residual, ((turn[0] - u * turn[2]) * inverse, (turn[1] - v * turn[2]) * inverse))


def solve(s: Sightlines, used: NDArray[np.bool_], *, steps: int = _STEPS) -> Estimate:
    """Return the most likely points and their covariance from the used views.

    Gauss-Newton on x/z, y/z from the linear start. The information belongs to the lens at the
    place of the observation; `refine` takes the lens itself.
    """
    with np.errstate(all="ignore"):
        xyz = start(s, used)
        inverse = np.full((6, xyz.shape[1]), np.nan)
        for _ in range(steps):
            h, g = np.zeros((6, xyz.shape[1])), np.zeros_like(xyz)
            for c in np.flatnonzero(used.any(1)).tolist():
                view = look(s, c, xyz)
                # Only a used view may turn the point into NaN.
                e = np.where(used[c], view.residual, 0.0)
                rows = (np.where(used[c], view.rows[0], 0.0), np.where(used[c], view.rows[1], 0.0))
                accumulate(h, g, rows, e, _masked(s, c, used))
            inverse = inverse_symmetric(h)
            step = times_symmetric(inverse, g)
            xyz = xyz + step
            if not (np.abs(step) > _CONVERGED_M).any():
                break
    return Estimate(xyz.T, inverse.T)


def refine(
    s: Sightlines, used: NDArray[np.bool_], information_px: FloatArray, xyz: FloatArray
) -> Estimate:
    """Finish with the true lens: Gauss-Newton on pixels, from points (N, 3).

    Args:
        s: The sightlines.
        used: (C, N).
        information_px: (C, N, 3) xx, xy, yy in 1/px^2.
        xyz: (N, 3) m.
    """
    xyz = xyz.T.copy()
    inverse = np.full((6, xyz.shape[1]), np.nan)
    moving = np.arange(xyz.shape[1])
    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            h, g = np.zeros((6, len(moving))), np.zeros((3, len(moving)))
            for c, camera in enumerate(s.cameras):
                on = used[c, moving]
                which = moving[on]
                seen = camera.project_with_jacobians(xyz[:, which].T)
                e = (s.xy_px[c, which] - seen.xy_px).T
                part_h, part_g = np.zeros((6, len(which))), np.zeros((3, len(which)))
                rows = (seen.by_point[:, 0].T, seen.by_point[:, 1].T)
                accumulate(part_h, part_g, rows, e, information_px[c, which].T)
                h[:, on] += part_h
                g[:, on] += part_g
            inverse[:, moving] = inverse_symmetric(h)
            step = times_symmetric(inverse[:, moving], g)
            xyz[:, moving] += step
            moving = moving[(np.abs(step) > _CONVERGED_M).any(0)]
            if not len(moving):
                break
    return Estimate(xyz.T, inverse.T)
