"""Rig calibration on synthetic rigs: seconds, and the camera positions' error against its bound.

Claims: the mean squared error of the camera positions is the Cramer-Rao bound's (0.9 to 1.1, in
the gauge of bundle_task.quality: cameras laid on the truth by their mean turn and mean place), for
all nine lens parameters and for f, cx, cy, k1; start, adjustment and joint covariance together
take a tenth of the faster peer's seconds or less (Caliscope and aniposelib, which give no
covariance), less than 1.5 s for 32 cameras, and grow as the number of corners does. The tasks are
bundle_task.gen(C, spread=0.93) of the tools folder (GAITLAB_TOOLS, or ../shared/tools beside the
repository), one draw a seed.

Seconds are warm, the median over the first seeds; the cold start (a new process, and a machine
that has compiled nothing yet) and the further starts are measured apart. The peers run between our
own runs on the first seed's task, see calibration_rig_peers.py, in a Python of their own:
--peer-python or GAITLAB_PEER_PYTHON; without it they are skipped.

Run: python benchmarks/calibration_rig.py [--seeds 50] [--cameras 4 8 16 32]
         [--peer-python PYTHON] [--peer-cameras 16]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
TOOLS = os.environ.get("GAITLAB_TOOLS", str(ROOT.parent / "shared" / "tools"))
sys.path.insert(0, TOOLS)

from calibration.board import Board  # noqa: E402
from calibration.covariances import covariance  # noqa: E402
from calibration.lens import basis  # noqa: E402
from calibration.network import Network  # noqa: E402
from calibration.solution import Solution  # noqa: E402
from calibration.solve import solve  # noqa: E402
from calibration.starts import try_starts  # noqa: E402
from calibration.views import Sightings, Views  # noqa: E402
from lab.camera import Camera  # noqa: E402
from lab.pose import Pose  # noqa: E402

MODELS = ("fx fy cx cy k1 k2 p1 p2 k3", "f cx cy k1")
SIZE = (1920, 1080)
TIMED_REPEATS = 5
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


def solved(task: dict, model: str) -> tuple[float, Solution]:
    """Solve a task: seconds of start, adjustment and joint covariance, and the solution."""
    sightings = sightings_of(task)
    sizes, models = dict.fromkeys(sightings.names, SIZE), dict.fromkeys(sightings.names, model)
    clock = time.perf_counter()
    solution = solve(sightings, sizes, BOARD, models)
    covariance(solution.network)
    return time.perf_counter() - clock, solution


def error_mm(rotations: np.ndarray, translations: np.ndarray, task: dict) -> float:
    import bundle_task

    return bundle_task.quality(rotations, translations, task)["cam_pos_rmse_mm"]


def ours_mm(solution: Solution, task: dict) -> float:
    poses = [c.cam_from_lab for c in solution.network.cameras]
    return error_mm(
        np.array([p.rotation for p in poses]), np.array([p.translation for p in poses]), task
    )


def timed(cameras: int, python: str) -> int:
    """Say the seconds of both lens models, and of the peers in between; the corners."""
    import bundle_task

    task = bundle_task.gen(cameras, spread=0.93, seed=100)
    seconds: dict[str, list[float]] = {model: [] for model in MODELS}
    peers: list[dict] = []
    for repeat in range(TIMED_REPEATS + 1):
        for model in MODELS:
            one, solution = solved(task, model)
            if repeat:  # the first loads what was compiled
                seconds[model].append(one)
        if repeat == TIMED_REPEATS // 2 and python:
            peers = run_peers(task, python)
    corners = int(np.isfinite(task["obs"][..., 0]).sum())
    clock = time.perf_counter()
    starts = try_starts(solution, 1.0)
    further = time.perf_counter() - clock
    own = {model: float(np.median(s)) for model, s in seconds.items()}
    words = ", ".join(f"{own[m]:.3f} s ({m}; {min(seconds[m]):.3f} at best)" for m in MODELS)
    print(f"{cameras:3d} cameras, {corners} corners: {words}")
    print(f"    {starts.tried} further starts: {further:.2f} s, {starts.agreeing} agree")
    warm = []
    for peer in peers:
        if "failed" in peer:
            print(f"    {peer['peer']} failed: {peer['failed']}")
            continue
        warm.append(peer["seconds"])
        away = error_mm(np.array(peer["R"]), np.array(peer["T"]), task)
        print(f"    {peer['peer']}: {peer['seconds']:.2f} s, cameras {away:.2f} mm off")
    if warm:
        ratios = ", ".join(f"{min(warm) / own[m]:.1f} times ({m})" for m in MODELS)
        print(f"    the faster peer takes {ratios}")
    sys.stdout.flush()
    return corners


def run_peers(task: dict, python: str) -> list[dict]:
    kept = {name: task[name] for name in ("obs", "board", "K", "dist", "square")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task.npz"
        np.savez(path, **kept)
        script = Path(__file__).with_name("calibration_rig_peers.py")
        done = subprocess.run(
            [python, str(script), str(path), "caliscope", "aniposelib"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        print("    peers skipped:", (done.stderr.strip().splitlines() or ["?"])[-1])
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


COLD = """
import sys, time
began = time.perf_counter()
sys.path[:0] = sys.argv[1:3]
import bundle_task
from calibration_rig import MODELS, solved
task = bundle_task.gen(8, spread=0.93, seed=100)
loaded = time.perf_counter()
solved(task, MODELS[0])
print(loaded - began, time.perf_counter() - loaded)
"""


def cold() -> None:
    """Say what the first rig of a process costs, compiled before and not."""
    with tempfile.TemporaryDirectory() as folder:
        for what in ("nothing compiled yet", "compiled before"):
            done = subprocess.run(
                [sys.executable, "-c", COLD, str(Path(__file__).parent), TOOLS],
                capture_output=True, text=True, check=True,
                env={**os.environ, "NUMBA_CACHE_DIR": folder},
            )  # fmt: skip
            loading, first = map(float, done.stdout.split())
            print(f"cold start, 8 cameras, {what}: {first:.2f} s ({loading:.1f} s to import)")


def accurate(cameras: int, model: str, seeds: int) -> None:
    """Say the mean squared error of the camera positions over the bound."""
    import bundle_task

    squared, bounds = [], []
    for seed in range(seeds):
        task = bundle_task.gen(cameras, spread=0.93, seed=100 + seed)
        squared.append((1e-3 * ours_mm(solved(task, model)[1], task)) ** 2)
        bounds.append(bound_m2(task, sightings_of(task), model))
    ratio = np.array(squared) / np.array(bounds)
    print(
        f"{cameras:3d} cameras  {model:28s} "
        f"{1e3 * np.sqrt(np.mean(squared)):6.3f} mm, bound {1e3 * np.sqrt(np.mean(bounds)):6.3f}  "
        f"MSE / bound {ratio.mean():.3f} +- {ratio.std(ddof=1) / np.sqrt(seeds):.3f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=50, help="0: seconds alone")
    parser.add_argument("--cameras", type=int, nargs="+", default=[4, 8, 16, 32])
    parser.add_argument("--peer-python", default=os.environ.get("GAITLAB_PEER_PYTHON", ""))
    parser.add_argument("--peer-cameras", type=int, default=16, help="the most the peers are given")
    parser.add_argument("--no-seconds", action="store_true", help="the error alone")
    given = parser.parse_args()
    if not given.no_seconds:
        if not given.peer_python:
            print("peers skipped: give --peer-python or GAITLAB_PEER_PYTHON")
        cold()
        for cameras in given.cameras:
            timed(cameras, given.peer_python if cameras <= given.peer_cameras else "")
    for cameras in given.cameras:
        for model in MODELS if given.seeds else ():
            accurate(cameras, model, given.seeds)


if __name__ == "__main__":
    main()
