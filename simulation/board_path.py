"""A board carried through the room: where it is held, and where it lies on the floor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.camera import Camera
from lab.checks import FloatArray
from lab.pose import Pose
from simulation.images import outline
from simulation.rotations import rotation_x, rotation_y, rotation_z, unit

Volume = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

_TRIES = 60
_MAX_TILT = np.deg2rad(40.0)
_READABLE = np.cos(np.deg2rad(62.0))
_INSIDE_SHARE = 0.7


def floor_pose(
    size_m: tuple[float, float], centre: tuple[float, float] = (0.0, 0.0), turn: float = 0.0
) -> Pose:
    """Return lab_from_plane of a board that lies face up on the floor.

    Args:
        size_m: Width and height of the print.
        centre: m, of the print in the lab.
        turn: rad, of the print's x axis from the lab's x towards y; at 0 its y axis points along
            -y of the lab.
    """
    rotation = rotation_z(turn) @ np.diag([1.0, -1.0, -1.0])
    middle = np.array([size_m[0] / 2, size_m[1] / 2, 0.0])
    return Pose(rotation, np.array([*centre, 0.0]) - rotation @ middle)


def board_path(
    n: int,
    volume: Volume,
    cameras: Sequence[Camera],
    size_m: tuple[float, float],
    rng: np.random.Generator,
) -> list[Pose]:
    """Return poses lab_from_plane of a board shown to the cameras throughout a volume.

    Each camera is faced in turn, half-way to one of its neighbours, near and far, tilted up to 40
    degrees and turned in its plane; a pose is kept when two cameras or more can read it, or the
    best of many tries.

    Args:
        n: How many.
        volume: Least and greatest x, y and z of the board's middle, m in the lab.
        cameras: Who looks.
        size_m: Width and height of the print.
        rng: Where chance comes from.
    """
    poses = []
    wanted = min(2, len(cameras))
    for index in range(n):
        best: tuple[int, Pose] | None = None
        for _ in range(_TRIES):
            pose = _hold(index, volume, cameras, size_m, rng)
            readers = sum(reads(camera, pose, size_m) for camera in cameras)
            if best is None or readers > best[0]:
                best = (readers, pose)
            if readers >= wanted:
                break
        if best is not None:
            poses.append(best[1])
    return poses


def _hold(
    index: int,
    volume: Volume,
    cameras: Sequence[Camera],
    size_m: tuple[float, float],
    rng: np.random.Generator,
) -> Pose:
    low, high = np.array(volume, float).T
    middle = low + (high - low) * rng.random(3)
    first = cameras[index % len(cameras)].centre
    nearest = sorted(cameras, key=lambda c: float(np.linalg.norm(c.centre - first)))
    second = nearest[min(1 + int(rng.integers(2)), len(nearest) - 1)].centre
    share = rng.uniform(0.2, 0.8)
    # z of the plane goes away from the reader.
    away = -unit((1 - share) * unit(first - middle) + share * unit(second - middle))
    right = unit(np.cross(away, [0.0, 0.0, 1.0]))
    facing = np.stack([right, np.cross(away, right), away], axis=-1)
    tilt = rng.uniform(-_MAX_TILT, _MAX_TILT, 2)
    rotation = facing @ rotation_x(tilt[0]) @ rotation_y(tilt[1]) @ rotation_z(rng.normal(0, 0.5))
    return Pose(rotation, middle - rotation @ np.array([size_m[0] / 2, size_m[1] / 2, 0.0]))


def reads(camera: Camera, lab_from_plane: Pose, size_m: tuple[float, float]) -> bool:
    """Return whether a camera sees the front of a board, not too slanted, most of it in view."""
    edge: FloatArray = lab_from_plane.transform(outline(size_m, 4))
    line = unit(lab_from_plane.transform([size_m[0] / 2, size_m[1] / 2, 0.0]) - camera.centre)
    if line @ lab_from_plane.rotation[:, 2] < _READABLE:
        return False
    xy = camera.project(edge)
    width, height = camera.size_px
    with np.errstate(invalid="ignore"):
        inside = (xy > 0).all(-1) & (xy[:, 0] < width - 1) & (xy[:, 1] < height - 1)
    return bool(inside.mean() > _INSIDE_SHARE)
