"""A rolling shutter: the rows of a frame were exposed one after the other.

A row's time is the frame's, plus the camera's read-out time (s, from the first row to the last)
times (row / height - 1/2): a frame's own time is that of its middle row. Within a frame the board
is taken to move evenly, each point of it along its velocity.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calibration.views import Views
from lab.camera import Camera
from lab.checks import FloatArray
from lab.pose import Pose


def row_shares(xy_px: FloatArray, height_px: int) -> FloatArray:
    """Return how far rows lie from the middle of the image, in heights; 0 where not seen."""
    return np.nan_to_num(xy_px[..., 1] / height_px - 0.5)


def linearise_rows(
    camera: Camera,
    points: FloatArray,
    late: FloatArray,
    readout: float,
    views: Views,
    weight: FloatArray,
) -> FloatArray:
    """Return products (V, 17, 17) of the columns [pose 6, lens 9, read-out, residual].

    Args:
        camera: Of brown5.
        points: (V, K, 3) m, the corners in the camera's frame at the frame's own time.
        late: (V, 6) rad/s and m/s, how the board moves, as a camera pose perturbation.
        readout: s.
        views: The corners seen.
        weight: (V, K) over the variance of a corner in px^2.

    Returns:
        The products; not finite where a corner in use lies behind the camera.
    """
    drift, share = _drift(points, late), row_shares(views.xy_px, camera.size_px[1])
    own = replace(camera, cam_from_lab=Pose.identity())
    seen = own.project_with_jacobians(points + readout * share[..., None] * drift)
    by_readout = share[..., None] * np.einsum("vkij,vkj->vki", seen.by_point, drift)
    residual = views.xy_px - seen.xy_px
    columns = np.concatenate(
        [seen.by_pose, seen.by_intrinsics, by_readout[..., None], residual[..., None]], axis=-1
    )
    used = (weight > 0)[..., None, None]
    columns = np.where(used, columns, 0.0) * np.sqrt(weight)[..., None, None]
    flat = columns.reshape(len(views), 2 * weight.shape[1], columns.shape[-1])
    return np.swapaxes(flat, 1, 2) @ flat


def at_the_middle_row(
    camera: Camera, points: FloatArray, late: FloatArray, readout: float, views: Views
) -> Views:
    """Return the views as a shutter that takes all rows at once would have had them."""
    own = replace(camera, cam_from_lab=Pose.identity())
    share = row_shares(views.xy_px, camera.size_px[1])
    later = points + readout * share[..., None] * _drift(points, late)
    return replace(views, xy_px=views.xy_px - (own.project(later) - own.project(points)))


def _drift(points: FloatArray, late: FloatArray) -> FloatArray:
    """Return the velocity (V, K, 3) m/s of points in the camera's frame."""
    return np.cross(late[:, None, :3], points) + late[:, None, 3:]
