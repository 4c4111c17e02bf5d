"""Triangulation against the Cramer-Rao bound, clean and with wrong observations, and its speed.

Claims, each for the worst of the seeds: without wrong observations the error is at most 1.01 of
the bound and the covariance is true (normalised error squared 3, also per axis and for every number
of views); with 5 % and 20 % of observations anywhere in the image it is at most 1.02 of the bound
of the right ones, and hardly a point is withheld or wrong. The task is triangulation_task.py of the
tools folder (GAITLAB_TOOLS, or ../shared/tools beside the repository): noise 1.5 px per axis, 10 %
missing. Points with at least 3 (right) views are judged. aniposelib runs on the same task at the
same time where PEER_PYTHON (or --peer) names a Python that has it.

Run: python benchmarks/reconstruct_triangulation.py [--seeds 20] [--frames 2000] [--peer PYTHON]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lab.camera import Camera  # noqa: E402
from lab.pose import Pose  # noqa: E402
from lab.rig import Rig, RigQuality  # noqa: E402
from reconstruct.associate import AlignedKeypoints  # noqa: E402
from reconstruct.likeliest import most_likely  # noqa: E402
from reconstruct.triangulate import triangulate  # noqa: E402

SIGMA_PX = 1.5
WRONG_M = 0.05
PEER = """
import sys, time, numpy as np, cv2
from aniposelib.cameras import Camera, CameraGroup
d = np.load(sys.argv[1])
cameras = [Camera(name=str(i), matrix=d["K"], dist=np.zeros(5), rvec=cv2.Rodrigues(r)[0].ravel(),
           tvec=t, size=(1920, 1080)) for i, (r, t) in enumerate(zip(d["R"], d["T"]))]
group = CameraGroup(cameras)
group.triangulate(d["clean"])
best = 1e9
for _ in range(5):
    start = time.perf_counter()
    xyz = group.triangulate(d["clean"])
    best = min(best, time.perf_counter() - start)
judged = d["vis"].sum(0) >= 3
error = ((xyz - d["X"])[judged] ** 2).sum(1)
print(best, np.sqrt(error.mean() / d["tr_clean"][judged].mean()))
"""


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


def seen_in(scene: dict[str, Any], kind: str, known: bool) -> AlignedKeypoints:
    rig, frames, joints = rig_of(scene), scene["F"], scene["J"]
    xy = scene[kind].reshape(len(rig.cameras), frames, joints, 2)
    cov = np.full((*xy.shape, 2), np.nan)
    if known:
        cov[:] = SIGMA_PX**2 * np.eye(2)
    names = tuple(f"p{i}" for i in range(joints))
    return AlignedKeypoints(
        rig.names, names, np.arange(frames) / 100, xy, cov, np.ones(xy.shape[:-1])
    )


def best_of(work: Callable[[], Any], n: int = 5) -> float:
    seconds = []
    for _ in range(n):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def peer_speed(scene: dict[str, Any], python: str) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.npz"
        np.savez(path, **scene)
        done = subprocess.run(
            [python, "-c", PEER, str(path)], capture_output=True, text=True, check=True
        )
    seconds, ratio = done.stdout.split()[-2:]
    return float(seconds), float(ratio)


def speeds(module: Any, peer: str) -> None:
    started = time.perf_counter()
    scene = module.gen(4, F=20)
    triangulate(rig_of(scene), seen_in(scene, "gross", True))
    print(f"first call: {time.perf_counter() - started:.1f} s (with compilation where not cached)")
    times = {}
    for cameras in (4, 8, 16):
        scene = module.gen(cameras)
        rig, n = rig_of(scene), len(scene["X"])
        seen = seen_in(scene, "clean", True)
        information = np.zeros((cameras, n, 3))
        information[..., [0, 2]] = SIGMA_PX**-2
        plain = best_of(lambda r=rig, s=scene, w=information: most_likely(r.cameras, s["clean"], w))
        whole = best_of(lambda r=rig, k=seen: triangulate(r, k))
        times[cameras] = plain, whole
        text = f"{cameras:2} cameras: most likely point and covariance {n / plain / 1e6:.2f} M/s, "
        text += f"robust with all figures {n / whole / 1e6:.2f} M/s"
        if peer and cameras < 16:
            seconds, ratio = peer_speed(scene, peer)
            text += f"; aniposelib {n / seconds / 1e6:.3f} M/s at {ratio:.3f} of the bound: "
            text += f"{seconds / plain:.1f} and {seconds / whole:.1f} times slower"
        print(text)
    print(
        "16 cameras take "
        + " and ".join(f"{a / b:.2f}" for a, b in zip(times[16], times[8], strict=True))
        + " times as long as 8"
    )
    if not peer:
        print("aniposelib was not compared: give --peer PYTHON (or PEER_PYTHON) that has it")


def judge(scene: dict[str, Any], kind: str, known: bool) -> dict[str, float]:
    cameras = len(scene["R"])
    wrong = scene["outl"] if kind == "gross" else np.zeros_like(scene["outl"])
    right = scene["vis"] & ~wrong
    bound = scene["tr_inl"] if kind == "gross" else scene["tr_clean"]
    seen, rig = seen_in(scene, kind, known), rig_of(scene)
    seconds = best_of(lambda: triangulate(rig, seen), 1)
    result = triangulate(rig, seen)
    error = result.points.xyz.reshape(-1, 3) - scene["X"]
    cov = result.points.cov.reshape(-1, 3, 3)
    stands = np.isfinite(error[:, 0])
    judged = right.sum(0) >= 3
    found = judged & stands
    squares = (error[found] ** 2).sum(1)

    def nees(which: np.ndarray) -> float:
        e = error[which]
        return float(np.einsum("ni,nij,nj->n", e, np.linalg.inv(cov[which]), e).mean())

    views = result.views.ravel()
    by_views = {
        f"nees of {n} views": nees(found & (views == n))
        for n in range(3, cameras + 1)
        if (found & (views == n)).sum() > 300
    }
    variance = np.diagonal(cov[found], axis1=1, axis2=2)
    two = stands & (right.sum(0) == 2) & (views == 2)
    e = error[two]
    if len(e) > 20:
        d = np.einsum("ni,nij,nj->n", e, np.linalg.inv(cov[two]), e)
        by_views["2 views inside 95 %"] = float((d < 7.815).mean())
        by_views["2 views, wrong per million"] = float(
            1e6 * (np.linalg.norm(e, axis=1) > WRONG_M).mean()
        )
    return {
        "points/s": len(error) / seconds,
        "RMSE / bound": float(np.sqrt(squares.mean() / bound[found].mean())),
        "nees": nees(found),
        "nees of x": 3 * float((error[found, 0] ** 2 / variance[:, 0]).mean()),
        "nees of y": 3 * float((error[found, 1] ** 2 / variance[:, 1]).mean()),
        "nees of z": 3 * float((error[found, 2] ** 2 / variance[:, 2]).mean()),
        **by_views,
        "withheld %": 100 * float((judged & ~stands).sum() / judged.sum()),
        "wrong per million": 1e6 * float((squares > WRONG_M**2).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--peer", default=os.environ.get("PEER_PYTHON", ""))
    given = parser.parse_args()
    module = task()
    speeds(module, given.peer)
    for cameras in (4, 8):
        for kind, share in (("clean", 0.0), ("gross", 0.05), ("gross", 0.2)):
            for known in (True, False):
                rows = [
                    judge(module.gen(cameras, F=given.frames, seed=seed, gross=share), kind, known)
                    for seed in range(1, given.seeds + 1)
                ]
                print(
                    f"\n{cameras} cameras, {100 * share:.0f} % wrong, noise "
                    f"{'given' if known else 'found'}: mean (lowest to highest of "
                    f"{given.seeds} seeds)"
                )
                for name in rows[0]:
                    values = np.array([row[name] for row in rows if name in row])
                    print(
                        f"  {name:28}{values.mean():12.4f}  "
                        f"({values.min():.4f} to {values.max():.4f})"
                    )
                sys.stdout.flush()


if __name__ == "__main__":
    main()
