"""A board waved in front of cameras, continuously in time, and the corners that they see of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lab.camera import Camera
from lab.checks import FloatArray
from lab.points import Keypoints2D
from lab.pose import Pose
from simulation.board_path import Volume
from simulation.rotations import rotation_x, rotation_y, rotation_z, unit
from simulation.views import seen_pixels

_READABLE = np.cos(np.deg2rad(70.0))
_TURN_S = 8.0  # for the board to face all directions once
_FEWEST = 6  # corners, below which a detector reads no board


def waved(
    t: FloatArray, volume: Volume, size_m: tuple[float, float], rng: np.random.Generator
) -> list[Pose]:
    """Return lab_from_plane (x right and y down the print, z away from its reader) at times (T,).

    Whoever carries the board walks through the volume and turns once in 8 s, tilting it up to some
    40 degrees: the middle moves by some decimetres a second, smoothly.

    Args:
        t: s.
        volume: Least and greatest x, y and z of the board's middle, m in the lab.
        size_m: Width and height of the print.
        rng: Where the path comes from; the same state gives the same path at any times.
    """
    low, high = np.array(volume, float).T
    phase, rate = rng.uniform(0, 2 * np.pi, (6, 2)), rng.uniform(0.5, 1.0, (6, 2))
    swing = np.sin(rate[:, :1] * t + phase[:, :1]) + 0.5 * np.sin(
        2.1 * rate[:, 1:] * t + phase[:, 1:]
    )
    swing = np.clip(swing / 1.5, -1, 1).T  # (T, 6)
    middle = (low + high) / 2 + 0.5 * (high - low) * swing[:, :3]
    yaw = 2 * np.pi * t / _TURN_S + rng.uniform(0, 2 * np.pi) + 0.3 * swing[:, 3]
    # Upright, read from -y: x of the print to the right, y down, z away.
    upright = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
    tilt = rotation_x(0.65 * swing[:, 4]) @ rotation_y(0.6 * swing[:, 3])
    turns = rotation_z(yaw) @ upright @ tilt @ rotation_z(0.5 * swing[:, 5])
    half = np.array([size_m[0] / 2, size_m[1] / 2, 0.0])
    return [Pose(r, m - r @ half) for r, m in zip(turns, middle, strict=True)]


def film_corners(
    camera: Camera,
    t: FloatArray,
    poses: Sequence[Pose],
    corners_m: FloatArray,
    names: tuple[str, ...],
    *,
    noise_px: float,
    rng: np.random.Generator,
    bend: Callable[[FloatArray], FloatArray] | None = None,
) -> Keypoints2D:
    """Return the corners of a board as one camera sees them, their noise not stated.

    Args:
        camera: Who looks.
        t: (T,) s, the frames' stamps.
        poses: lab_from_plane of each frame.
        corners_m: (K, 3) m in the plane's frame.
        names: Of the corners.
        noise_px: Standard deviation of each coordinate.
        rng: Where the noise comes from.
        bend: What the print really is: corners (K, 3) as they should be to where they are.
    """
    real = corners_m if bend is None else bend(corners_m)
    turns = np.stack([p.rotation for p in poses])
    points = real @ np.swapaxes(turns, 1, 2) + np.stack([p.translation for p in poses])[:, None]
    xy = seen_pixels(camera, points)
    line = unit(points.mean(1) - camera.centre)
    readable = np.einsum("ti,ti->t", line, turns[:, :, 2]) > _READABLE
    xy = xy + noise_px * rng.standard_normal(xy.shape)
    enough = np.isfinite(xy[..., 0]).sum(1) >= _FEWEST
    xy[~(readable & enough)] = np.nan
    unknown = np.full(xy.shape[:2], np.nan)
    return Keypoints2D(camera.name, names, t, xy, np.full((*xy.shape, 2), np.nan), unknown)
