"""A ring of cameras and what they see, with known truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lab.camera import Camera, intrinsics_names
from lab.pose import Pose
from lab.rig import Rig, RigQuality
from reconstruct.associate import AlignedKeypoints

_LENSES = {
    "brown5": [-0.21, 0.08, 0.0007, -0.0004, -0.01],
    "brown8": [0.1, -0.2, 0.0005, 0.0003, 0.02, 0.3, -0.1, 0.01],
    "fisheye": [0.02, -0.01, 0.003, -0.001],
    "brown4": [0.0, 0.0, 0.0, 0.0],
}


def look_at(centre: Any, target: Any) -> Pose:
    z = np.asarray(target, float) - centre
    z /= np.linalg.norm(z)
    x = np.cross(z, [0, 0, 1.0])
    x /= np.linalg.norm(x)
    rotation = np.stack([x, np.cross(z, x), z])
    return Pose(rotation, -rotation @ centre)


def ring(n: int, *, models: tuple[str, ...] = ("brown4",), radius: float = 4.0) -> Rig:
    cameras = []
    for i in range(n):
        model = models[i % len(models)]
        angle = 2 * np.pi * (i + 0.3) / n
        centre = np.array([radius * np.cos(angle), radius * np.sin(angle), 1.5 + 0.2 * (i % 2)])
        intrinsics = np.array([1400.0, 1405.0, 960.0, 540.0, *_LENSES[model]])
        assert len(intrinsics) == len(intrinsics_names(model))
        pose = look_at(centre, [0, 0, 1.0])
        cameras.append(Camera(f"cam{i + 1:02}", (1920, 1080), model, intrinsics, pose))
    size = sum(6 + len(c.intrinsics) for c in cameras)
    quality = RigQuality(True, (), {}, {})
    return Rig(tuple(cameras), np.full((size, size), np.nan), quality, "", "")


def seen_by(rig: Rig, xyz: np.ndarray, cov_px: float = np.nan) -> AlignedKeypoints:
    """What the rig sees of (T, K, 3) m, without noise; isotropic covariance in px^2."""
    xy = np.stack([camera.project(xyz) for camera in rig.cameras])
    frames, joints = xyz.shape[:2]
    cov = np.broadcast_to(cov_px * np.eye(2), (*xy.shape, 2))
    names = tuple(f"p{k}" for k in range(joints))
    score = np.ones(xy.shape[:-1])
    return AlignedKeypoints(rig.names, names, np.arange(frames) / 100, xy, cov, score)


@pytest.fixture
def make_ring() -> Callable[..., Rig]:
    return ring


@pytest.fixture
def see() -> Callable[..., AlignedKeypoints]:
    return seen_by


@pytest.fixture
def body() -> np.ndarray:
    """Paths (200, 12, 3) m of points of a walker's size."""
    rng = np.random.default_rng(3)
    rest = np.c_[
        rng.uniform(-0.3, 0.3, 12), rng.uniform(-0.25, 0.25, 12), rng.uniform(0.05, 1.75, 12)
    ]
    t = np.arange(200) / 100
    phase = rng.uniform(0, 2 * np.pi, (12, 3))
    swing = 0.08 * np.sin(2 * np.pi * t[:, None, None] + phase)
    drift = np.c_[0.5 * np.sin(2 * np.pi * t / 8), 0.3 * np.cos(2 * np.pi * t / 5), 0 * t]
    return rest + swing + drift[:, None]
