"""The pose of a rigid body in every frame, from all its points in all cameras at once.

Maximum likelihood: Gauss-Newton on the pixel residuals through each lens, weighted by the inverse
covariance of each point, for all frames together; the covariance of the pose is (J'WJ)^-1. Points
come in groups of four (the points of one tag in one camera), which are kept or refused as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lab.camera import Camera
from lab.checks import FloatArray
from lab.rig import Rig
from reconstruct.associate import AlignedKeypoints
from reconstruct.triangulate import triangulate

# What cameras disagree by beyond the noise of the pixels: the calibration's error and the plates'.
_MISFIT_PX = 0.15
_LEAST_MISFIT_PX = 0.02
_STEPS = 12
_SETTLED = 1e-7
_GROUP = 4
# Mean squared standardised residual of a tag's eight coordinates beyond which it is not this tag.
_GATE = 8.0
_ROUNDS = 4
# Twice the log likelihood by which one of two poses must be better to be believed: 99.9 %.
_DISTINCT = 13.8
_START_PX = 40.0
# A pose known worse than this is not worth having.
_MOST_ROTATION = np.deg2rad(6.0)
_MOST_SHIFT_M = 0.05

GOOD, UNSEEN, AMBIGUOUS, UNSURE, CONTRADICTED = range(5)
REASONS = (
    "",
    "no tag of it was seen",
    "a single tag seen by one camera can be turned two ways",
    "the tags seen fix its pose too loosely",
    "the cameras contradict each other",
)


@dataclass(frozen=True, slots=True, eq=False)
class RigidPath:
    """Poses of a body over T frames; NaN where withheld.

    Attributes:
        rotation: (T, 3, 3) lab_from_body.
        translation: (T, 3) m.
        cov: (T, 6, 6) of a turn (rad, lab axes, about the body's origin) and a shift (m).
        by_rig: (T, 6, Q) derivative of turn and shift by the rig's parameters.
        status: (T,) index into `REASONS`.
        tags: (T,) tags in cameras that the pose is made from.
        misfit_px: Root mean square residual of the points used.
    """

    rotation: FloatArray
    translation: FloatArray
    cov: FloatArray
    by_rig: FloatArray
    status: NDArray[np.uint8]
    tags: NDArray[np.int64]
    misfit_px: float

    def carry(self, point: FloatArray) -> FloatArray:
        """Return the path (T, 3) m of a point (3,) m of the body."""
        return self.rotation @ point + self.translation

    def by_pose(self, point: FloatArray) -> FloatArray:
        """Return the derivative (T, 3, 6) of a point (3,) m of the body by turn and shift."""
        lever = self.rotation @ point
        result = np.zeros((len(lever), 3, 6))
        result[:, :, :3] = -_cross(lever)
        result[:, :, 3:] = np.eye(3)
        return result


@dataclass(slots=True, eq=False)
class _Seen:
    """Observations in a row: N points of the body in frames and cameras."""

    frame: NDArray[np.intp]
    point: NDArray[np.intp]
    camera: NDArray[np.intp]
    group: NDArray[np.intp]
    xy: FloatArray
    weight: FloatArray
    used: NDArray[np.bool_]


def solve_rigid(rig: Rig, aligned: AlignedKeypoints, body: FloatArray) -> RigidPath:
    """Find the pose of a body in every frame.

    Args:
        rig: The cameras.
        aligned: What they saw of the body's M points, four in a row a tag, with covariance.
        body: (M, 3) m, the points in the body's frame.

    Returns:
        The poses. Where a single view of single tags leaves two poses about as likely, none.
    """
    frames = len(aligned.t)
    cameras = [rig.camera(name) for name in aligned.cameras]
    seen = _observations(aligned)
    rotation = np.tile(np.eye(3), (frames, 1, 1))
    translation = np.full((frames, 3), np.nan)
    status = np.full(frames, UNSEEN, np.uint8)
    if len(seen.frame):
        _start_from_points(rig, aligned, body, rotation, translation)
        status[np.isfinite(translation[:, 0])] = GOOD
        _start_from_single_tags(cameras, seen, body, rotation, translation, status)
    drop = np.isin(seen.frame, np.flatnonzero(status != GOOD))
    seen.used &= ~drop
    _refuse_far(cameras, seen, body, rotation, translation)
    normal = np.zeros((frames, 6, 6))
    for round_ in range(_ROUNDS):
        normal = _refine(cameras, seen, body, rotation, translation)
        if round_ == _ROUNDS - 1 or not _refuse_worst(cameras, seen, body, rotation, translation):
            break
    _weigh_by_misfit(cameras, seen, body, rotation, translation, aligned)
    normal = _refine(cameras, seen, body, rotation, translation)
    count = np.bincount(seen.frame[seen.used], minlength=frames) // _GROUP
    status[(status == GOOD) & (count == 0)] = CONTRADICTED
    cov = np.full((frames, 6, 6), np.nan)
    good = status == GOOD
    cov[good] = np.linalg.pinv(normal[good], hermitian=True)
    loose = np.zeros(frames, bool)
    deviation = np.sqrt(np.maximum(np.diagonal(cov[good], axis1=1, axis2=2), 0))
    loose[good] = (deviation[:, :3].max(1) > _MOST_ROTATION) | (
        deviation[:, 3:].max(1) > _MOST_SHIFT_M
    )
    status[loose] = UNSURE
    lost = status != GOOD
    rotation[lost], translation[lost], cov[lost] = np.nan, np.nan, np.nan
    by_rig, misfit = _rig_sensitivity(rig, aligned, seen, body, rotation, translation, cov)
    return RigidPath(rotation, translation, cov, by_rig, status, count, misfit)


def _observations(aligned: AlignedKeypoints) -> _Seen:
    groups = aligned.xy_px.shape[2] // _GROUP
    finite = np.array(np.isfinite(aligned.xy_px).all(-1), bool, ndmin=3)
    whole = finite.reshape(*aligned.xy_px.shape[:2], groups, _GROUP)
    seen = np.repeat(whole.all(-1), _GROUP, axis=-1)
    camera, frame, point = np.nonzero(seen)
    cov = aligned.cov_px[camera, frame, point] + _MISFIT_PX**2 * np.eye(2)
    group = np.unique(
        (camera * seen.shape[1] + frame) * groups + point // _GROUP, return_inverse=True
    )[1]
    return _Seen(
        frame, point, camera, group, aligned.xy_px[camera, frame, point],
        np.asarray(np.linalg.inv(cov), np.float64), np.ones(len(frame), bool),
    )  # fmt: skip


def _start_from_points(
    rig: Rig,
    aligned: AlignedKeypoints,
    body: FloatArray,
    rotation: FloatArray,
    translation: FloatArray,
) -> None:
    """Fit the body to points that two cameras or more agree on (Kabsch, Acta Cryst A32, 1976)."""
    if len(aligned.cameras) < 2:
        return
    points = triangulate(rig, aligned).points.xyz
    known = np.array(np.isfinite(points).all(-1), bool, ndmin=2)
    enough = known.sum(1) >= _GROUP - 1
    weight = known[enough].astype(float)
    total = weight.sum(1)[:, None]
    target = np.where(known[enough][..., None], points[enough], 0.0)
    middle = (weight[..., None] * target).sum(1) / total
    source_middle = (weight @ body) / total
    source = body[None] - source_middle[:, None]
    spread = np.einsum("tm,tmi,tmj->tij", weight, source, target - middle[:, None])
    u, values, vt = np.linalg.svd(spread)
    sign = np.sign(np.linalg.det(vt.swapaxes(1, 2) @ u.swapaxes(1, 2)))
    flip = np.stack([np.ones_like(sign), np.ones_like(sign), sign], axis=-1)
    turn = (vt.swapaxes(1, 2) * flip[:, None]) @ u.swapaxes(1, 2)
    # Points in a line do not fix a turn about it.
    fixed = values[:, 1] > 1e-3 * values[:, 0]
    rows = np.flatnonzero(enough)[fixed]
    rotation[rows] = turn[fixed]
    translation[rows] = (middle - (turn @ source_middle[..., None])[..., 0])[fixed]


def _start_from_single_tags(
    cameras: list[Camera],
    seen: _Seen,
    body: FloatArray,
    rotation: FloatArray,
    translation: FloatArray,
    status: NDArray[np.uint8],
) -> None:
    """Where cameras share no tag: take every tag's two poses, refine each, keep a clear winner."""
    todo = np.setdiff1d(np.unique(seen.frame), np.flatnonzero(status == GOOD))
    for frame in todo:
        rows = np.flatnonzero(seen.frame == frame)
        poses = [p for g in np.unique(seen.group[rows]) for p in _tag_poses(cameras, seen, g, body)]
        if not poses:
            continue
        many = len(poses)
        part = _Seen(
            np.repeat(np.arange(many), len(rows)),
            np.tile(seen.point[rows], many),
            np.tile(seen.camera[rows], many),
            np.tile(seen.group[rows], many),
            np.tile(seen.xy[rows], (many, 1)),
            np.tile(seen.weight[rows], (many, 1, 1)),
            np.ones(many * len(rows), bool),
        )
        turn = np.stack([p[0] for p in poses])
        shift = np.stack([p[1] for p in poses])
        _refine(cameras, part, body, turn, shift)
        cost = np.bincount(part.frame, _squares(cameras, part, body, turn, shift), many)
        cost = np.where(np.isfinite(cost), cost, np.inf)
        best = int(np.argmin(cost))
        if not np.isfinite(cost[best]):
            continue
        away = Rotation.from_matrix(turn @ turn[best].T).magnitude() > np.deg2rad(3.0)
        if (cost[away] - cost[best] < _DISTINCT).any():
            status[frame] = AMBIGUOUS
            continue
        rotation[frame], translation[frame], status[frame] = turn[best], shift[best], GOOD


def _tag_poses(
    cameras: list[Camera], seen: _Seen, group: int, body: FloatArray
) -> list[tuple[FloatArray, FloatArray]]:
    """Return both poses of a planar tag in one view (Collins and Bartoli, IJCV 109:252, 2014)."""
    rows = np.flatnonzero(seen.group == group)
    camera = cameras[seen.camera[rows[0]]]
    points = body[seen.point[rows]]
    xy, known = camera.normalised(seen.xy[rows])
    if not known.all():
        return []
    # Most trials have no plates, and need not wait for it.
    import cv2

    _, turns, shifts, _ = cv2.solvePnPGeneric(
        points, xy, np.eye(3), np.zeros(4), flags=cv2.SOLVEPNP_IPPE
    )
    lab_from_cam = camera.cam_from_lab.inverse()
    poses = []
    for turn, shift in zip(turns, shifts, strict=True):
        matrix = Rotation.from_rotvec(np.ravel(turn)).as_matrix()
        if np.isfinite(matrix).all() and float(np.ravel(shift)[2]) > 0:
            poses.append((lab_from_cam.rotation @ matrix, lab_from_cam.transform(np.ravel(shift))))
    return poses


def _linearise(
    cameras: list[Camera],
    seen: _Seen,
    body: FloatArray,
    rotation: FloatArray,
    translation: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return residuals (N, 2) px and their derivative by turn and shift (N, 2, 6)."""
    lever = (rotation[seen.frame] @ body[seen.point][..., None])[..., 0]
    at = lever + translation[seen.frame]
    residual, by_pose = np.full((len(at), 2), np.nan), np.zeros((len(at), 2, 6))
    for c, camera in enumerate(cameras):
        rows = np.flatnonzero((seen.camera == c) & seen.used)
        if not len(rows):
            continue
        view = camera.project_with_jacobians(at[rows])
        residual[rows] = seen.xy[rows] - view.xy_px
        by_pose[rows, :, :3] = -view.by_point @ _cross(lever[rows])
        by_pose[rows, :, 3:] = view.by_point
    return residual, by_pose


def _refine(
    cameras: list[Camera],
    seen: _Seen,
    body: FloatArray,
    rotation: FloatArray,
    translation: FloatArray,
) -> FloatArray:
    """Improve the poses in place; return J'WJ (T, 6, 6)."""
    frames = len(rotation)
    normal = np.zeros((frames, 6, 6))
    for _ in range(_STEPS):
        residual, by_pose = _linearise(cameras, seen, body, rotation, translation)
        on = seen.used & np.isfinite(residual).all(-1)
        weighted = by_pose[on].swapaxes(1, 2) @ seen.weight[on]
        normal = _add_up(seen.frame[on], weighted @ by_pose[on], frames)
        gradient = _add_up(seen.frame[on], weighted @ residual[on][..., None], frames)[..., 0]
        diagonal = np.diagonal(normal, axis1=1, axis2=2)
        damped = normal + (1e-6 * diagonal + 1e-6)[:, :, None] * np.eye(6)
        step = np.linalg.solve(damped, gradient[..., None])[..., 0]
        length = np.linalg.norm(step[:, :3], axis=1)
        step *= np.minimum(1.0, 0.4 / np.maximum(length, 1e-12))[:, None]
        moving = np.abs(step).max(1) > 0
        rotation[moving] = Rotation.from_rotvec(step[moving, :3]).as_matrix() @ rotation[moving]
        translation[moving] += step[moving, 3:]
        if np.abs(step).max(initial=0.0) < _SETTLED:
            break
    return normal


def _squares(
    cameras: list[Camera],
    seen: _Seen,
    body: FloatArray,
    rotation: FloatArray,
    translation: FloatArray,
) -> FloatArray:
    residual, _ = _linearise(cameras, seen, body, rotation, translation)
    return np.einsum("ni,nij,nj->n", residual, seen.weight, residual)


def _refuse_far(
    cameras: list[Camera],
    seen: _Seen,
    body: FloatArray,
    rotation: FloatArray,
    translation: FloatArray,
) -> None:
    """Leave out tags that are nowhere near where the start puts them."""
    residual, _ = _linearise(cameras, seen, body, rotation, translation)
    far = ~(np.abs(residual).max(1) < _START_PX)
    bad = np.bincount(seen.group, far, minlength=seen.group.max(initial=-1) + 1) > 0
    if len(bad):
        seen.used &= ~bad[seen.group]


def _refuse_worst(
    cameras: list[Camera],
    seen: _Seen,
    body: FloatArray,
    rotation: FloatArray,
    translation: FloatArray,
) -> bool:
    """Leave out, in each frame, the tag that fits worst where it is beyond the gate."""
    square = np.where(seen.used, _squares(cameras, seen, body, rotation, translation), 0.0)
    if not len(square):
        return False
    groups = int(seen.group.max()) + 1
    mean = np.bincount(seen.group, np.nan_to_num(square, nan=1e6), groups) / (2 * _GROUP)
    worst = np.zeros(len(rotation))
    np.maximum.at(worst, seen.frame, mean[seen.group])
    refused = (mean[seen.group] > _GATE) & (mean[seen.group] >= worst[seen.frame]) & seen.used
    seen.used &= ~refused
    return bool(refused.any())


def _weigh_by_misfit(
    cameras: list[Camera],
    seen: _Seen,
    body: FloatArray,
    rotation: FloatArray,
    translation: FloatArray,
    aligned: AlignedKeypoints,
) -> None:
    """Weigh anew, with what the cameras really disagree by instead of the first guess."""
    residual, _ = _linearise(cameras, seen, body, rotation, translation)
    cov = aligned.cov_px[seen.camera, seen.frame, seen.point]
    on = seen.used & np.isfinite(residual).all(-1)
    if not on.any():
        return
    # Robust, and with the six numbers of each pose given back.
    tags = np.bincount(seen.frame[on], minlength=len(rotation))[seen.frame[on]] / _GROUP
    free = np.clip(1 - 6 / (2 * _GROUP * tags), 0.25, 1.0)[:, None]
    square = float(np.median(residual[on] ** 2 / free)) / 0.455
    own = float(np.median(np.diagonal(cov[on], axis1=1, axis2=2)))
    extra = max(square - own, _LEAST_MISFIT_PX**2)
    seen.weight = np.asarray(np.linalg.inv(cov + extra * np.eye(2)), np.float64)


def _rig_sensitivity(
    rig: Rig,
    aligned: AlignedKeypoints,
    seen: _Seen,
    body: FloatArray,
    rotation: FloatArray,
    translation: FloatArray,
    cov: FloatArray,
) -> tuple[FloatArray, float]:
    """Return -(J'WJ)^-1 J'WB (T, 6, Q), B the pixels by the rig, and the misfit in px."""
    frames = len(rotation)
    total = np.zeros((frames, 6, len(rig.cov)))
    slices = dict(zip(rig.names, rig.parameter_slices(), strict=True))
    squares, count = 0.0, 0
    for c, name in enumerate(aligned.cameras):
        rows = np.flatnonzero(
            (seen.camera == c) & seen.used & np.isfinite(translation[seen.frame, 0])
        )
        if not len(rows):
            continue
        lever = (rotation[seen.frame[rows]] @ body[seen.point[rows]][..., None])[..., 0]
        view = rig.camera(name).project_with_jacobians(lever + translation[seen.frame[rows]])
        by_pose = np.concatenate([-view.by_point @ _cross(lever), view.by_point], axis=-1)
        by_rig = np.concatenate([view.by_pose, view.by_intrinsics], axis=-1)
        part = by_pose.swapaxes(1, 2) @ seen.weight[rows] @ by_rig
        total[:, :, slices[name]] += _add_up(seen.frame[rows], part, frames)
        squares += float(((seen.xy[rows] - view.xy_px) ** 2).sum())
        count += 2 * len(rows)
    misfit = float(np.sqrt(squares / count)) if count else float("nan")
    return -cov @ total, misfit


def _add_up(frame: NDArray[np.intp], values: FloatArray, frames: int) -> FloatArray:
    """Return the sums (T, a, b) of values (N, a, b) by frame."""
    result = np.zeros((frames, *values.shape[1:]))
    np.add.at(result, frame, values)
    return result


def _cross(v: FloatArray) -> FloatArray:
    """Return the matrices (..., 3, 3) of the cross products with v (..., 3) from the left."""
    result = np.zeros((*v.shape, 3))
    result[..., 0, 1], result[..., 0, 2] = -v[..., 2], v[..., 1]
    result[..., 1, 0], result[..., 1, 2] = v[..., 2], -v[..., 0]
    result[..., 2, 0], result[..., 2, 1] = -v[..., 1], v[..., 0]
    return result
