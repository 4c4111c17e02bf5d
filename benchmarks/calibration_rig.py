"""Rig calibration on synthetic rigs: seconds, and the camera positions' error against its bound.

Claims: the mean squared error of the camera positions is the Cramer-Rao bound's (0.9 to 1.1, in
the gauge of bundle_task.quality: cameras laid on the truth by their mean turn and mean place), for
all nine lens parameters and for f, cx, cy, k1; 32 cameras take less than 1.5 s, start, adjustment
and joint covariance together. The tasks are bundle_task.gen(C, spread=0.93) of the tools folder
(GAITLAB_TOOLS, or ../shared/tools beside the repository), one draw a seed.

Run: python benchmarks/calibration_rig.py [--seeds 50] [--cameras 4 8 16 32]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, os.environ.get("GAITLAB_TOOLS", str(ROOT.parent / "shared" / "tools")))

from calibration.board import Board  # noqa: E402
from calibration.bundle import Network, covariance  # noqa: E402
from calibration.lens import basis  # noqa: E402
from calibration.network import solve  # noqa: E402
from calibration.views import Sightings, Views  # noqa: E402
from lab.camera import Camera  # noqa: E402
from lab.pose import Pose  # noqa: E402

MODELS = ("fx fy cx cy k1 k2 p1 p2 k3", "f cx cy k1")
SIZE = (1920, 1080)
BOARD = Board(
    columns=5, rows=7, square_m=0.1, marker_m=0.075, dictionary="DICT_4X4_1000",
    legacy=False, inverted=False, name="task",
)  # fmt: skip


def sightings_of(task: dict) -> Sightings:
    views = []
    for seen in task["obs"]:
        pose = np.flatnonzero(np.isfinite(seen[:, 0, 0]))
        views.append(Views(pose, np.ascontiguousarray(seen[pose]), np.ones(seen.shape[:2])[pose]))
    names = tuple(f"cam{c}" for c in range(len(views)))
    return Sightings(names, tuple(views), np.arange(len(task["poses_R"]), dtype=float))


def gauge(cameras: tuple[Camera, ...], lens: int) -> np.ndarray:
    """(3 C, Q): camera positions, laid on the truth, by the parameters of the rig."""
    count, size = len(cameras), 6 + lens
    turn, place = np.zeros((count, 3, count * size)), np.zeros((count, 3, count * size))
    for c, camera in enumerate(cameras):
        back = camera.cam_from_lab.rotation.T
        # With R' = Exp(w) R, t' = Exp(w) t + d: the camera turns by R'w in the lab, and its place
        # -R't moves by -R'd.
        turn[c, :, c * size : c * size + 3] = back
        place[c, :, c * size + 3 : c * size + 6] = -back
    centres = np.stack([c.centre for c in cameras])
    mean = turn.mean(0)
    for c, (x, y, z) in enumerate(centres):
        # The lab's mean turn m (world into camera) is taken back: places move by m x centre.
        place[c] += np.array([[0, z, -y], [-z, 0, x], [y, -x, 0]]) @ mean
    place -= place.mean(0)
    return place.reshape(3 * count, -1)


def bound_m2(task: dict, sightings: Sightings, model: str) -> float:
    """Mean over the cameras of the variance of their positions (trace)."""
    lens = np.array([1400.0, 1400, 960, 540, task["dist"][0], 0, 0, 0, 0])
    cameras = tuple(
        Camera(n, SIZE, "brown5", lens, Pose(r, t))
        for n, r, t in zip(sightings.names, task["R"], task["T"], strict=True)
    )
    network = Network(
        cameras, tuple(basis(model) for _ in cameras), task["poses_R"], task["poses_t"],
        sightings.views, task["board"], np.full(len(cameras), task["sig"]),
    )  # fmt: skip
    take = gauge(cameras, 9)
    return float(np.trace(take @ covariance(network) @ take.T)) / len(cameras)


def run(cameras: int, model: str, seeds: int) -> None:
    import bundle_task

    squared, bounds, seconds, corners = [], [], [], []
    for seed in range(seeds):
        task = bundle_task.gen(cameras, spread=0.93, seed=100 + seed)
        sightings = sightings_of(task)
        sizes = dict.fromkeys(sightings.names, SIZE)
        models = dict.fromkeys(sightings.names, model)
        if seed == 0:  # compiled once, then warm
            clock = time.perf_counter()
            covariance(solve(sightings, sizes, BOARD, models).network)
            cold = time.perf_counter() - clock
        clock = time.perf_counter()
        solution = solve(sightings, sizes, BOARD, models)
        covariance(solution.network)
        seconds.append(time.perf_counter() - clock)
        poses = [c.cam_from_lab for c in solution.network.cameras]
        found = bundle_task.quality(
            np.array([p.rotation for p in poses]), np.array([p.translation for p in poses]), task
        )
        squared.append((1e-3 * found["cam_pos_rmse_mm"]) ** 2)
        bounds.append(bound_m2(task, sightings, model))
        corners.append(sum(int((v.weight > 0).sum()) for v in sightings.views))
    ratio = np.array(squared) / np.array(bounds)
    print(
        f"{cameras:3d} cameras  {model:28s} {np.mean(corners):8.0f} corners  "
        f"{np.median(seconds):6.3f} s (first {cold:.2f})  "
        f"{1e3 * np.sqrt(np.mean(squared)):6.3f} mm, bound {1e3 * np.sqrt(np.mean(bounds)):6.3f}  "
        f"MSE / bound {ratio.mean():.3f} +- {ratio.std(ddof=1) / np.sqrt(seeds):.3f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--cameras", type=int, nargs="+", default=[4, 8, 16, 32])
    given = parser.parse_args()
    for cameras in given.cameras:
        for model in MODELS:
            run(cameras, model, given.seeds)


if __name__ == "__main__":
    main()
