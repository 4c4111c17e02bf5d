"""Rooms: rings of cameras that look at a walkway or a treadmill."""

from __future__ import annotations

import numpy as np

from lab.camera import Camera, intrinsics_names
from lab.checks import FloatArray
from lab.pose import Pose
from lab.rig import Rig, RigQuality
from simulation.rotations import rotation_z

# k1, k2, p1, p2, k3 of an ordinary short lens.
_LENS = (-0.10, 0.025, 0.0004, -0.0003, 0.0)
_UP = np.array([0.0, 0.0, 1.0])


def look_at(centre: FloatArray, target: FloatArray, roll: float = 0.0) -> Pose:
    """Return cam_from_lab of a camera at `centre` (3,) m that has `target` (3,) m on its axis.

    Args:
        centre: Where it stands.
        target: What it looks at; not straight above or below.
        roll: rad, turn about its axis.

    Raises:
        ValueError: When the direction is vertical.
    """
    forward = np.asarray(target, float) - np.asarray(centre, float)
    right = np.cross(forward, _UP)
    if np.linalg.norm(right) < 1e-9 * np.linalg.norm(forward) or not forward.any():
        raise ValueError("look_at: the direction must not be vertical")
    forward = forward / np.linalg.norm(forward)
    right = right / np.linalg.norm(right)
    rotation = rotation_z(roll) @ np.stack([right, np.cross(forward, right), forward])
    return Pose(rotation, -rotation @ np.asarray(centre, float))


def ring(
    n_cameras: int = 4,
    *,
    radius_m: float,
    height_m: float,
    target: tuple[float, float, float],
    spread_deg: float = 360.0,
    size_px: tuple[int, int] = (1280, 720),
    focal_px: float,
    model: str = "brown5",
    coefficients: tuple[float, ...] = _LENS,
    seed: int = 0,
    jitter: float = 1.0,
) -> Rig:
    """Place cameras on an arc about a target, known without error (covariance 0).

    Args:
        n_cameras: At least 1.
        radius_m: From the vertical through the target.
        height_m: Of the cameras over the floor.
        target: What all look at, m in the lab.
        spread_deg: 360 for a full ring; less for an arc about -y, its ends included.
        size_px: Width and height of the images.
        focal_px: Focal length.
        model: Lens model of `lab.camera`.
        coefficients: Of that model.
        seed: Of the jitter.
        jitter: Cameras are hung up by hand: 1 scatters them by some centimetres and degrees, focal
            lengths by 0.5 % and principal points by some pixels; 0 not at all.

    Raises:
        ValueError: For no cameras, or coefficients that do not fit the model.
    """
    if n_cameras < 1:
        raise ValueError("ring: at least one camera is needed")
    if len(coefficients) != len(intrinsics_names(model)) - 4:
        raise ValueError(f"ring: {len(coefficients)} coefficients do not fit the model {model}")
    rng = np.random.default_rng(seed)
    full = spread_deg >= 360.0
    share = (np.arange(n_cameras) + 0.5) / n_cameras
    if not full:
        share = np.linspace(0, 1, n_cameras) if n_cameras > 1 else np.array([0.5])
    azimuths = np.deg2rad(-90.0 + spread_deg * (share - 0.5))
    cameras = []
    for index, azimuth in enumerate(azimuths):
        scatter = jitter * rng.normal(size=10)
        out = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        centre = np.array([target[0], target[1], height_m]) + radius_m * out
        pose = look_at(
            centre + 0.05 * scatter[:3],
            np.asarray(target, float) + 0.02 * scatter[3:6],
            np.deg2rad(0.7) * scatter[6],
        )
        focal = focal_px * (1 + 0.005 * scatter[7])
        cx, cy = (np.array(size_px) - 1) / 2 + 4.0 * scatter[8:]
        intrinsics = np.array([focal, focal * 1.001, cx, cy, *coefficients])
        cameras.append(Camera(f"cam{index + 1:02d}", size_px, model, intrinsics, pose))
    parameters = n_cameras * (6 + 4 + len(coefficients))
    return Rig(
        tuple(cameras),
        np.zeros((parameters, parameters)),
        RigQuality(True, ("simulated: known without error",), {}, {}),
        created="",
        board="",
    )


def walkway_room(n_cameras: int = 4, seed: int = 0) -> Rig:
    """Return cameras about a walkway of 6 m along x, its middle at the origin of the lab."""
    return ring(
        n_cameras,
        radius_m=5.6,
        height_m=1.7,
        target=(0.0, 0.0, 0.9),
        focal_px=880.0,
        seed=seed,
    )


def treadmill_room(n_cameras: int = 4, seed: int = 0) -> Rig:
    """Return cameras about a treadmill at the origin of the lab, its belt along x."""
    return ring(
        n_cameras,
        radius_m=3.3,
        height_m=1.4,
        target=(0.0, 0.0, 0.92),
        focal_px=880.0,
        seed=seed,
    )
