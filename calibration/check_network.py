"""New views of the board laid against a stored rig: noise, jitter and board poses of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from calibration.board import Board
from calibration.bundle import adjust
from calibration.floor import still_view
from calibration.lens import OUTLIER_SIGMAS
from calibration.network import Network, moved_by
from calibration.normals import normal_equations, residuals_px
from calibration.start import board_poses, shared_board_poses
from calibration.synchrony import estimate_jitter
from calibration.views import Sightings, Views, group_views
from lab.checks import FloatArray
from lab.points import Keypoints2D
from lab.rig import Rig

_STEPS = 30
_MEDIAN_OF_NORM = 1.1774
_FINEST_PX = 1e-3


def sightings_of(
    rig: Rig,
    observations: Mapping[str, Keypoints2D],
    board: Board,
    still: bool,
    tolerance: float | None,
) -> Sightings:
    """Return what the rig's cameras saw, one `Views` each (none for a camera not observed)."""
    if still:
        views = {name: still_view(keypoints, board) for name, keypoints in observations.items()}
        grouped = Sightings(tuple(views), tuple(views.values()), np.zeros(1))
    else:
        grouped = group_views(observations, board, tolerance)
    count = len(board.corner_names)
    none = Views(np.zeros(0, np.intp), np.zeros((0, count, 2)), np.zeros((0, count)))
    by_name = dict(zip(grouped.names, grouped.views, strict=True))
    return Sightings(rig.names, tuple(by_name.get(n, none) for n in rig.names), grouped.t)


def network_of(rig: Rig, sightings: Sightings, corners_m: FloatArray, still: bool) -> Network:
    """Shared views only, with the corners that each view itself believes, noise and jitter."""
    shared = sightings.only_poses(sightings.cameras_per_pose() > 1)
    views, sigmas = [], []
    for camera, own in zip(rig.cameras, shared.views, strict=True):
        kept, sigma = _own_noise(rig, camera.name, own, corners_m)
        views.append(kept)
        sigmas.append(sigma)
    shared = replace(shared, views=tuple(views))
    poses = [board_poses(c, corners_m, v) if len(v) else (np.zeros((0, 3, 3)), np.zeros((0, 3)))
             for c, v in zip(rig.cameras, views, strict=True)]  # fmt: skip
    rotations, translations = shared_board_poses(rig.cameras, shared, poses, corners_m)
    network = Network(
        rig.cameras,
        tuple(np.eye(len(c.intrinsics)) for c in rig.cameras),
        rotations,
        translations,
        shared.views,
        corners_m,
        np.array(sigmas),
        fixed_camera=None,
        still=frozenset(range(len(rotations))) if still else frozenset(),
    )
    return network if still else replace(network, jitter=_jitter(network))


def boards_settled(network: Network) -> Network:
    """Adjust the board poses to the stored cameras."""
    held = replace(network, bases=tuple(np.zeros((len(c.intrinsics), 0)) for c in network.cameras))
    size = held.free_slices()[-1].stop
    for _ in range(_STEPS):
        normals = normal_equations(held)
        boards = np.asarray(
            np.linalg.solve(normals.boards, normals.board_gradient[..., None])[..., 0], float
        )
        held = moved_by(held, np.zeros(size), boards)
        if (boards * normals.board_gradient).sum() < 1e-10 * (1 + normals.cost):
            break
    return replace(network, rotations=held.rotations, translations=held.translations)


def _jitter(network: Network) -> tuple[float, float]:
    """Return how far the views of one board pose disagree, wherever the cameras stand."""
    has = [c for c, v in enumerate(network.views) if len(v)]
    free = replace(
        network,
        cameras=tuple(network.cameras[c] for c in has),
        bases=tuple(np.zeros((len(network.cameras[c].intrinsics), 0)) for c in has),
        views=tuple(network.views[c] for c in has),
        sigma_px=network.sigma_px[has],
        fixed_camera=0,
    )
    return estimate_jitter(free).jitter


def _own_noise(rig: Rig, name: str, views: Views, corners_m: FloatArray) -> tuple[Views, float]:
    """Fit each view's own board pose, drop the corners that do not fit it, and take the noise."""
    if not len(views):
        return views, 1.0
    camera = rig.camera(name)
    alone = replace(views, pose=np.arange(len(views)))
    at_origin = replace(camera, cam_from_lab=camera.cam_from_lab @ camera.cam_from_lab.inverse())
    rotations, translations = board_poses(at_origin, corners_m, alone)
    network = Network(
        (at_origin,), (np.zeros((len(camera.intrinsics), 0)),), rotations, translations,
        (alone,), corners_m, np.ones(1),
    )  # fmt: skip
    network = adjust(network, 1e-8)
    for _ in range(2):
        length = np.linalg.norm(residuals_px(network, 0), axis=-1)
        used = network.views[0].weight > 0
        length = np.where(used, length * np.sqrt(network.views[0].weight), np.nan)
        scale = max(float(np.nanmedian(length)) / _MEDIAN_OF_NORM, _FINEST_PX)
        fits = np.nan_to_num(length, nan=np.inf) < OUTLIER_SIGMAS * scale
        network = adjust(replace(network, views=(network.views[0].believed(fits),)), 1e-8)
    length = np.linalg.norm(residuals_px(network, 0), axis=-1)
    weight = network.views[0].weight
    freedom = max(2 * int((weight > 0).sum()) - 6 * len(views), 1)
    sigma = float(np.sqrt((np.nan_to_num(length) ** 2 * weight).sum() / freedom))
    kept = replace(views, weight=weight)
    return kept, max(sigma, _FINEST_PX)
