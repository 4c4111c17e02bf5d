"""Rigs that do not exist, seen through a board that is transparent: truth for the laws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from calibration.board import Board
from calibration.network import Network
from calibration.views import Sightings, Views
from lab.camera import Camera
from lab.pose import Pose

BOARD = Board(
    columns=5, rows=7, square_m=0.1, marker_m=0.075, dictionary="DICT_4X4_1000",
    legacy=False, inverted=False, name="synthetic",
)  # fmt: skip
SIZE = (1920, 1080)
LENS = np.array([1400.0, 1400.0, 960.0, 540.0, -0.1, 0.0, 0.0, 0.0, 0.0])


def looking_at(name: str, place: np.ndarray, target: np.ndarray, lens: np.ndarray = LENS) -> Camera:
    z = target - place
    z = z / np.linalg.norm(z)
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    rotation = np.stack([x, np.cross(z, x), z])
    return Camera(name, SIZE, "brown5", lens, Pose(rotation, -rotation @ place))


def ring(count: int, arc_rad: float = 2 * np.pi, radius: float = 3.0) -> tuple[Camera, ...]:
    angles = np.arange(count) * arc_rad / max(count if arc_rad > 6.28 else count - 1, 1)
    return tuple(
        looking_at(
            f"cam{i}",
            np.array([radius * np.cos(a), radius * np.sin(a), 1.6]),
            np.array([0, 0, 1.0]),
        )
        for i, a in enumerate(angles)
    )


def board_poses(count: int, rng: np.random.Generator, reach: float = 0.7) -> list[Pose]:
    centre = BOARD.corners_m().mean(0)
    poses = []
    for _ in range(count):
        turn = Rotation.from_rotvec(rng.normal(size=3) * 1.2).as_matrix()
        place = rng.uniform([-reach, -reach, 0.5], [reach, reach, 1.5])
        poses.append(Pose(turn, place - turn @ centre))
    return poses


@dataclass
class Scene:
    """A rig, board poses, and what the cameras saw, without noise."""

    cameras: tuple[Camera, ...]
    poses: list[Pose]
    sightings: Sightings
    corners_m: np.ndarray

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        return {c.name: c.size_px for c in self.cameras}

    def noisy(self, sigma_px: float, rng: np.random.Generator) -> Sightings:
        views = tuple(
            Views(v.pose, v.xy_px + rng.normal(0, sigma_px, v.xy_px.shape), v.weight)
            for v in self.sightings.views
        )
        return Sightings(self.sightings.names, views, self.sightings.t)

    def network(self, sightings: Sightings, sigma_px: float, basis: np.ndarray) -> Network:
        """The truth as a network, in the first camera's gauge."""
        return Network(
            self.cameras,
            tuple(basis for _ in self.cameras),
            np.stack([p.rotation for p in self.poses]),
            np.stack([p.translation for p in self.poses]),
            sightings.views,
            self.corners_m,
            np.full(len(self.cameras), sigma_px),
        )


def scene(
    cameras: tuple[Camera, ...],
    poses: list[Pose],
    saw: np.ndarray | None = None,
    corners_m: np.ndarray | None = None,
) -> Scene:
    """Show the board in each pose; `saw` (C, B) leaves views out, as an edge-on board is."""
    corners = BOARD.corners_m() if corners_m is None else corners_m
    views = []
    for c, camera in enumerate(cameras):
        pose, xy = [], []
        for b, board in enumerate(poses):
            pixels = camera.project(board.transform(corners))
            sight = board.translation - camera.centre
            edge = abs(sight @ board.rotation[:, 2]) / np.linalg.norm(sight) < 0.3
            inside = np.isfinite(pixels).all() and (pixels > 5).all()
            inside = inside and (pixels < np.array(SIZE) - 5).all()
            if edge or not inside or (saw is not None and not saw[c, b]):
                continue
            pose.append(b)
            xy.append(pixels)
        shape = (len(pose), len(corners))
        views.append(Views(np.array(pose, np.intp), np.reshape(xy, (*shape, 2)), np.ones(shape)))
    names = tuple(c.name for c in cameras)
    return Scene(
        cameras, poses, Sightings(names, tuple(views), np.arange(len(poses)) * 0.2), corners
    )


def relative(cameras: tuple[Camera, ...]) -> list[Pose]:
    """Every camera's pose in the frame of the first."""
    root = cameras[0].cam_from_lab.inverse()
    return [c.cam_from_lab @ root for c in cameras]


def largest_difference(found: tuple[Camera, ...], true: tuple[Camera, ...]) -> tuple[float, float]:
    """(rad, m) over all cameras, in the frame of the first."""
    turns, shifts = [], []
    for a, b in zip(relative(found), relative(true), strict=True):
        turns.append(np.linalg.norm(Rotation.from_matrix(a.rotation @ b.rotation.T).as_rotvec()))
        shifts.append(np.linalg.norm(a.translation - b.translation))
    return float(max(turns)), float(max(shifts))
