"""What a solved network leaves for people to look at: residuals, and how the board was held."""

from __future__ import annotations

import numpy as np

from calibration.normals import residuals_px
from calibration.solution import Solution
from lab.board_views import CameraViews


def board_views(solution: Solution) -> tuple[CameraViews, ...]:
    """Return the views of every camera, the corners that were believed alone."""
    network = solution.network
    middle = network.corners_m.mean(0)
    found = []
    for c, (camera, views) in enumerate(zip(network.cameras, network.views, strict=True)):
        residual = residuals_px(network, c)
        used = views.weight > 0
        turn = camera.cam_from_lab.rotation @ network.rotations[views.pose]
        shift = camera.cam_from_lab.transform(network.translations[views.pose])
        sight = turn @ middle + shift
        along = np.abs(np.einsum("vi,vi->v", sight, turn[:, :, 2]))
        cosine = along / np.linalg.norm(sight, axis=1)
        view = np.broadcast_to(np.arange(len(views))[:, None], used.shape)
        found.append(
            CameraViews(
                camera.name,
                views.xy_px[used],
                residual[used],
                view[used].astype(float),
                solution.sightings.views[c].pose.astype(float),
                sight[:, 2],
                np.arccos(np.clip(cosine, 0.0, 1.0)),
            )
        )
    return tuple(found)
