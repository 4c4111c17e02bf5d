"""Where an adjustment starts: closed-form lenses, board poses and the chain of cameras."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from calibration.compiled_start import agreeing_views, best_views, pair_agreement
from calibration.views import Sightings, Views
from lab.camera import Camera
from lab.checks import FloatArray
from lab.errors import LabError
from lab.pose import Pose

# Two estimates of the same camera pair agree when they differ by less than this.
_SAME_TURN = np.radians(10.0)
_SAME_PLACE = 0.15  # of the distance to the board
_MOST_CANDIDATES = 60
_MOST_TRIED = 6  # views of a board pose


def homographies(corners_m: FloatArray, xy: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the homography (V, 3, 3) from the board's plane to the image of each view.

    Normalised direct linear transform (Hartley and Zisserman, Multiple View Geometry, 2nd ed.,
    algorithm 4.2).

    Args:
        corners_m: (K, 3) m in the board frame, z = 0.
        xy: (V, K, 2) image coordinates.
        weight: (V, K), 0 where a corner is not to be used.
    """
    plane = corners_m[:, :2]
    middle, size = plane.mean(0), np.sqrt(plane.var(0).sum())
    source = (plane - middle) / size
    used = weight > 0
    count = used.sum(1)[:, None]
    clean = np.where(used[..., None], xy, 0.0)
    centre = clean.sum(1) / count
    offset = np.where(used[..., None], clean - centre[:, None], 0.0)
    spread = np.sqrt((offset**2).sum((1, 2)) / count[:, 0])
    target = offset / spread[:, None, None]
    ones = np.concatenate([source, np.ones((len(source), 1))], axis=1)
    rows = np.zeros((*used.shape, 2, 9))
    rows[:, :, 0, 0:3] = rows[:, :, 1, 3:6] = ones
    rows[:, :, 0, 6:9] = -target[..., :1] * ones
    rows[:, :, 1, 6:9] = -target[..., 1:] * ones
    rows *= used[:, :, None, None]
    flat = rows.reshape(len(xy), 2 * used.shape[1], 9)
    _, vectors = np.linalg.eigh(np.swapaxes(flat, 1, 2) @ flat)
    normal = vectors[:, :, 0].reshape(-1, 3, 3)
    back = np.zeros((len(xy), 3, 3))
    back[:, 0, 0] = back[:, 1, 1] = spread
    back[:, :2, 2], back[:, 2, 2] = centre, 1
    forth = np.array([[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, size]]) / size
    return back @ normal @ forth


def focal_length(size_px: tuple[int, int], homography: FloatArray) -> float:
    """Return the focal length (px) of a lens with square pixels and a centred axis.

    The columns of K^-1 H are orthogonal and of one length (Zhang, IEEE PAMI 22:1330, 2000,
    equations 3 and 4), which is linear in 1/f^2. NaN where the views do not tell it, no board
    being tilted.
    """
    shift = np.array([[1, 0, -(size_px[0] - 1) / 2], [0, 1, -(size_px[1] - 1) / 2], [0, 0, 1]])
    scale = np.diag([1 / max(size_px), 1 / max(size_px), 1])
    h = scale @ shift @ homography
    h = h / np.linalg.norm(h[:, :2, :2], axis=(1, 2), keepdims=True)
    left = np.concatenate(
        [
            h[:, 0, 0] * h[:, 0, 1] + h[:, 1, 0] * h[:, 1, 1],
            (h[:, 0, 0] ** 2 + h[:, 1, 0] ** 2 - h[:, 0, 1] ** 2 - h[:, 1, 1] ** 2) / 2,
        ]
    )
    right = -np.concatenate([h[:, 2, 0] * h[:, 2, 1], (h[:, 2, 0] ** 2 - h[:, 2, 1] ** 2) / 2])
    # left / f^2 = right, all noise being in left: least squares of left on right gives f^2.
    denominator = float(right @ right)
    squared = float(left @ right) / denominator if denominator > 0 else np.nan
    return float(np.sqrt(squared) * max(size_px)) if squared > 0 else float("nan")


def board_poses(
    camera: Camera, corners_m: FloatArray, views: Views
) -> tuple[FloatArray, FloatArray]:
    """Return cam_from_board of each view: (V, 3, 3) and (V, 3) m, from homographies."""
    xy, converged = camera.normalised(views.xy_px)
    usable = np.where(converged, views.weight, 0.0)
    return poses_of(homographies(corners_m, xy, usable), corners_m)


def poses_of(h: FloatArray, corners_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return cam_from_board (V, 3, 3) and (V, 3) m of homographies to the lines of sight."""
    length = np.linalg.norm(h[:, :, :2], axis=1).mean(1)
    centre = corners_m.mean(0)
    depth = h[:, 2, 0] * centre[0] + h[:, 2, 1] * centre[1] + h[:, 2, 2]
    h = h / (length * np.sign(depth))[:, None, None]
    columns = np.stack([h[:, :, 0], h[:, :, 1], np.cross(h[:, :, 0], h[:, :, 1])], axis=-1)
    u, _, vt = np.linalg.svd(columns)
    rotation = u @ vt
    # The board's centre is where the homography puts it; the origin follows from the rotation.
    where = h[:, :, 0] * centre[0] + h[:, :, 1] * centre[1] + h[:, :, 2]
    return rotation, where - rotation @ centre


def camera_chain(
    names: Sequence[str],
    sightings: Sightings,
    poses: Sequence[tuple[FloatArray, FloatArray]],
    centre_m: FloatArray,
) -> list[Pose]:
    """Chain the cameras through the views they share: cam_from_root of each.

    Each pair's relative pose is averaged over its shared views; the pairs with most agreeing views
    make the tree.

    Args:
        names: Of the cameras.
        sightings: Which board poses each saw.
        poses: cam_from_board of each camera's views, as from `board_poses`.
        centre_m: (3,) the board's centre in its frame.

    Raises:
        LabError: When a camera shares no view of the board with the others.
    """
    count = len(names)
    shown = len(sightings.t)
    place = np.full((count, shown), -1)
    turns, shifts = np.zeros((count, shown, 3, 3)), np.zeros((count, shown, 3))
    for c, (views, (rotation, translation)) in enumerate(zip(sightings.views, poses, strict=True)):
        place[c, views.pose] = np.arange(len(views))
        turns[c, views.pose] = rotation
        shifts[c, views.pose] = rotation @ centre_m + translation
    agreeing = agreeing_views(
        place >= 0, turns, shifts, _MOST_CANDIDATES, float(_SAME_TURN), _SAME_PLACE
    )
    edges = sorted(
        (-int(agreeing[a, b]), a, b)
        for a in range(count)
        for b in range(a + 1, count)
        if agreeing[a, b]
    )

    def between(a: int, b: int) -> Pose:
        both = np.flatnonzero((place[a] >= 0) & (place[b] >= 0))
        first, second = _pick(poses[a], place[a, both]), _pick(poses[b], place[b, both])
        return pair_pose(first, second, centre_m)[0]

    from_root: dict[int, Pose] = {0: Pose.identity()}
    while len(from_root) < count:
        for _, a, b in edges:
            if (a in from_root) != (b in from_root):
                a_from_b = between(a, b)
                if a in from_root:
                    from_root[b] = a_from_b.inverse() @ from_root[a]
                else:
                    from_root[a] = a_from_b @ from_root[b]
                break
        else:
            alone = [names[c] for c in range(count) if c not in from_root]
            linked = [names[c] for c in sorted(from_root)]
            raise LabError(
                f"{', '.join(alone)} shared no view of the board with {', '.join(linked)}",
                where="calibration",
                remedy="Show the board to them at the same time, or check the times of the frames.",
            )
    return [from_root[c] for c in range(count)]


def shared_board_poses(
    cameras: Sequence[Camera],
    sightings: Sightings,
    poses: Sequence[tuple[FloatArray, FloatArray]],
    corners_m: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return lab_from_board (B, 3, 3), (B, 3) m: for each pose the view that fits all views best.

    A flat board seen from afar has two poses that look nearly alike; the other cameras tell them
    apart. A residual counts at most a tenth of the image, so that one bad view does not decide.
    """
    count = len(sightings.t)
    rotations, translations = np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3))
    view_pose = np.concatenate([v.pose for v in sightings.views]).astype(np.int64)
    order = np.argsort(view_pose, kind="stable")
    turned, shifted = [], []
    for camera, (rotation, translation) in zip(cameras, poses, strict=True):
        turned.append(camera.cam_from_lab.rotation.T @ rotation)
        shifted.append(
            (translation - camera.cam_from_lab.translation) @ camera.cam_from_lab.rotation
        )
    turn, shift = np.concatenate(turned)[order], np.concatenate(shifted)[order]
    view_camera = np.repeat(np.arange(len(cameras)), [len(v) for v in sightings.views])[order]
    start = np.searchsorted(view_pose[order], np.arange(count + 1))
    if all(camera.model == "brown5" for camera in cameras):
        best = best_views(
            np.stack([c.cam_from_lab.rotation for c in cameras]),
            np.stack([c.cam_from_lab.translation for c in cameras]),
            np.stack([c.intrinsics for c in cameras]),
            np.array([0.1 * max(c.size_px) for c in cameras]),
            view_camera,
            start,
            turn,
            shift,
            np.ascontiguousarray(corners_m),
            np.concatenate([v.xy_px for v in sightings.views])[order],
            np.concatenate([v.weight for v in sightings.views])[order],
            _MOST_TRIED,
        )
    else:
        best = _best_views(cameras, sightings, turn, shift, order, start, corners_m)
    known = best >= 0
    rotations[known], translations[known] = turn[best[known]], shift[best[known]]
    return rotations, translations


def _best_views(
    cameras: Sequence[Camera],
    sightings: Sightings,
    turn: FloatArray,
    shift: FloatArray,
    order: NDArray[np.intp],
    start: NDArray[np.intp],
    corners_m: FloatArray,
) -> NDArray[np.int64]:
    """Do what `compiled_start.best_views` does, for any lens model."""
    owner = np.repeat(np.arange(len(cameras)), [len(v) for v in sightings.views])[order]
    xy = np.concatenate([v.xy_px for v in sightings.views])[order]
    used = np.concatenate([v.weight for v in sightings.views])[order] > 0
    best = np.full(len(start) - 1, -1, np.int64)
    for b, (first, last) in enumerate(pairwise(start.tolist())):
        costs = []
        for v in range(first, last):
            cost, points = 0.0, corners_m @ turn[v].T + shift[v]
            for w in range(first, last):
                limit = 0.1 * max(cameras[owner[w]].size_px)
                error = np.linalg.norm(cameras[owner[w]].project(points) - xy[w], axis=-1)
                error = np.where(np.isfinite(error), np.minimum(error, limit), limit)
                cost += float(error[used[w]].sum())
            costs.append(cost)
        if costs:
            best[b] = first + int(np.argmin(costs))
    return best


def _pick(
    poses: tuple[FloatArray, FloatArray], index: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    return poses[0][index], poses[1][index]


def pair_pose(
    first: tuple[FloatArray, FloatArray],
    second: tuple[FloatArray, FloatArray],
    centre_m: FloatArray,
) -> tuple[Pose, int]:
    """Average a_from_b over shared views; return it and how many views agree with it.

    Rotations are averaged as matrices, not as vectors, about the candidate that most others
    agree with (chordal mean: Hartley, Trumpf, Dai and Li, "Rotation averaging", IJCV 103:267,
    2013, section 5.3), so that cameras facing each other, half a turn apart, are no special case.
    """
    turns = first[0] @ np.swapaxes(second[0], 1, 2)
    in_first = first[0] @ centre_m + first[1]
    in_second = second[0] @ centre_m + second[1]
    inliers = pair_agreement(
        np.ascontiguousarray(first[0]), in_first, np.ascontiguousarray(second[0]), in_second,
        _MOST_CANDIDATES, float(_SAME_TURN), _SAME_PLACE,
    )  # fmt: skip
    u, _, vt = np.linalg.svd(turns[inliers].sum(0))
    turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    place = np.median(in_first[inliers] - in_second[inliers] @ turn.T, axis=0)
    return Pose(turn, place), int(inliers.sum())
