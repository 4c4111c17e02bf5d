"""What the capture benchmarks film, and how near a rig came to the room that was filmed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from calibration.board import Board
from capture.counter import read_counter
from lab.store import load_rig
from simulation.board_path import board_path, floor_pose
from simulation.images import render_plane

BOARD = """[board]
name = "bench"
columns = 5
rows = 4
square_mm = 220.0
marker_ratio = 0.7727
dictionary = "DICT_4X4_100"
"""
POSES = 60
LYING = 4  # frames of the board on the floor


def gaitlab(*words) -> tuple[int, dict]:
    """Run a verb as a user does; its exit status and its --json."""
    done = subprocess.run(
        [sys.executable, "-c", "from console.cli import run; run()", *map(str, words), "--json"],
        capture_output=True, text=True, timeout=3000,
    )  # fmt: skip
    if not done.stdout.strip():
        raise SystemExit(done.stderr)
    return done.returncode, json.loads(done.stdout)


def board_images(room, board: Board) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield scene (board, floor), camera and image, frame by frame: held still in each."""
    rng = np.random.default_rng(1)
    texture = board.image(60)
    moved = board_path(
        POSES, ((-0.8, 0.8), (-0.7, 0.7), (0.4, 1.6)), room.cameras, board.size_m, rng
    )
    for scene, poses in (("board", moved), ("floor", [floor_pose(board.size_m)] * LYING)):
        for camera in room.cameras:
            for pose in poses:
                yield (
                    scene,
                    camera.name,
                    render_plane(
                        texture, board.size_m, pose, camera, blur_px=0.7, noise=2.0, rng=rng
                    ),
                )


def drawn_counters(video: Path) -> list[int | None]:
    """Decode a recording and read the counter in every frame's pixels."""
    with av.open(str(video)) as container:
        return [read_counter(f.to_ndarray(format="gray")) for f in container.decode(video=0)]


def judge_rig(path: Path, room, board: Board) -> str:
    """Say how far points and cameras are off that are found with a rig, against the truth.

    Points of the volume are seen without noise by the true cameras and found by the rig's; they
    are compared as they stand, and after the best rigid motion.
    """
    found = load_rig(path)
    # The rig's lab frame begins at the corner of the board's print.
    corner = floor_pose(board.size_m).translation
    axis = [np.linspace(-0.7, 0.7, 5), np.linspace(-0.5, 0.5, 5), np.linspace(0.1, 1.7, 5)]
    points = np.stack(np.meshgrid(*axis), -1).reshape(-1, 3)
    names = [c.name for c in found.cameras]
    pixels = {c.name: c.project(points) for c in room.cameras}
    got = _intersect([found.camera(n) for n in names], [pixels[n] for n in names]) + corner
    inside = np.isfinite(got).all(axis=1)
    a, b = points[inside], got[inside]
    u, _, vt = np.linalg.svd((a - a.mean(0)).T @ (b - b.mean(0)))
    turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    aligned = (b - b.mean(0)) @ turn.T + a.mean(0)
    rms = [1e3 * np.sqrt(np.mean(np.sum((v - a) ** 2, axis=1))) for v in (b, aligned)]
    away = [
        1e3
        * np.linalg.norm(
            room.camera(n).cam_from_lab.inverse().translation
            - found.camera(n).cam_from_lab.inverse().translation
            - corner
        )
        for n in names
    ]
    return (
        f"{len(a)} points of the volume: {rms[0]:.2f} mm rms from the truth, {rms[1]:.2f} mm after "
        f"a rigid motion; cameras {', '.join(f'{v:.1f}' for v in away)} mm away"
    )


def _intersect(cameras, pixels) -> np.ndarray:
    """Return the points (N, 3) nearest to the rays of all cameras that see them."""
    n = len(pixels[0])
    left, right = np.zeros((n, 3, 3)), np.zeros((n, 3))
    for camera, xy in zip(cameras, pixels, strict=True):
        rays = camera.ray(xy)
        size = np.array(camera.size_px)
        seen = np.isfinite(xy).all(1) & ((xy > 0) & (xy < size)).all(1)
        across = np.eye(3) - rays.direction[:, :, None] * rays.direction[:, None, :]
        across = np.where(seen[:, None, None], np.nan_to_num(across), 0)
        left += across
        right += np.einsum("nij,nj->ni", across, np.nan_to_num(rays.origin) + np.zeros((n, 3)))
    rank = np.linalg.cond(left) < 1e6
    found = np.full((n, 3), np.nan)
    found[rank] = np.linalg.solve(left[rank], right[rank][..., None])[..., 0]
    return found
