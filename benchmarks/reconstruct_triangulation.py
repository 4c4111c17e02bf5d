"""Triangulation against the Cramer-Rao bound, clean and with wrong observations, and its speed.

Claim: the error is that of the bound, also with 5 % of observations anywhere in the image, whether
the pixel noise is given or has to be found. The task is triangulation_task.py of the tools folder
(GAITLAB_TOOLS, or ../shared/tools beside the repository): 52,000 points, noise 1.5 px per axis,
10 % missing. Points with at least 3 views (3 right ones, where there are wrong ones) are judged,
those withheld counted beside them. Peers on the same task (2026-11, the same kind of machine with
2 cores): aniposelib's compiled DLT 239k/156k points/s at 1.019/1.028 of the bound with 4/8
cameras, Pose2Sim's subset search 3.4k/2.5k (3.0k/0.8k with errors) at 1.020/1.031 (1.043/1.072);
none gives a covariance.

Run: python benchmarks/reconstruct_triangulation.py
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lab.camera import Camera  # noqa: E402
from lab.pose import Pose  # noqa: E402
from lab.rig import Rig, RigQuality  # noqa: E402
from reconstruct.associate import AlignedKeypoints  # noqa: E402
from reconstruct.triangulate import triangulate  # noqa: E402

SIGMA_PX = 1.5


def task() -> Any:
    folder = Path(os.environ.get("GAITLAB_TOOLS", ROOT.parent / "shared" / "tools"))
    spec = importlib.util.spec_from_file_location("task", folder / "triangulation_task.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"no triangulation_task.py in {folder}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rig_of(scene: dict[str, Any]) -> Rig:
    k = scene["K"]
    lens = np.array([k[0, 0], k[1, 1], k[0, 2], k[1, 2], 0, 0, 0, 0, 0])
    cameras = tuple(
        Camera(f"cam{i + 1:02}", (1920, 1080), "brown5", lens, Pose(rotation, translation))
        for i, (rotation, translation) in enumerate(zip(scene["R"], scene["T"], strict=True))
    )
    size = 15 * len(cameras)
    return Rig(cameras, np.full((size, size), np.nan), RigQuality(True, (), {}, {}), "", "")


def main() -> None:
    module = task()
    print(
        f"{'cameras':>8}{'task':>8}{'noise':>8}{'points/s':>10}{'RMSE mm':>9}{'/ bound':>9}"
        f"{'NEES/3':>8}{'withheld':>10}{'wrong kept':>12}{'right lost':>12}"
    )
    for cameras in (4, 8):
        scene = module.gen(cameras)
        rig, frames, joints = rig_of(scene), scene["F"], scene["J"]
        for kind in ("clean", "gross"):
            xy = scene[kind].reshape(cameras, frames, joints, 2)
            wrong = scene["outl"] if kind == "gross" else np.zeros_like(scene["outl"])
            right = scene["vis"] & ~wrong
            bound = scene["tr_inl"] if kind == "gross" else scene["tr_clean"]
            for known in (True, False):
                cov = np.full((*xy.shape, 2), np.nan)
                if known:
                    cov[:] = SIGMA_PX**2 * np.eye(2)
                seen = AlignedKeypoints(
                    rig.names,
                    tuple(f"p{i}" for i in range(joints)),
                    np.arange(frames) / 100,
                    xy,
                    cov,
                    np.ones(xy.shape[:-1]),
                )
                started = time.perf_counter()
                result = triangulate(rig, seen)
                seconds = time.perf_counter() - started
                error = result.points.xyz.reshape(-1, 3) - scene["X"]
                judged = right.sum(0) >= 3
                found = judged & np.isfinite(error[:, 0])
                squares = (error[found] ** 2).sum(1)
                inverse = np.linalg.inv(result.points.cov.reshape(-1, 3, 3)[found])
                nees = np.einsum("ni,nij,nj->n", error[found], inverse, error[found]).mean()
                used = np.isfinite(result.residual_px).reshape(cameras, -1)
                lost = result.rejected.reshape(cameras, -1) & right
                print(
                    f"{cameras:8}{kind:>8}{'given' if known else 'found':>8}"
                    f"{len(error) / seconds / 1e3:9.0f}k{1e3 * np.sqrt(squares.mean()):9.3f}"
                    f"{np.sqrt(squares.mean() / bound[found].mean()):9.4f}{nees / 3:8.3f}"
                    f"{(judged & ~found).sum():10}"
                    f"{(used & wrong).sum():6} / {wrong.sum()}"
                    f"{lost.sum():6} / {right.sum()}"
                )


if __name__ == "__main__":
    main()
