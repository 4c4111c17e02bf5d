"""How often the 95 % intervals hold the truth, from keypoints to measures, over seeded runs.

Each run is another person and another draw of everything random: pixel noise, lost and wrong
keypoints, and the calibration's own error (the cameras that see are the calibrated ones moved by a
draw of their covariance). Reconstruction to measures runs with its production defaults.

    python benchmarks/interval_coverage.py [--runs 2000] [--activity run]
        [--noise 1.0] [--cameras 6]
"""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from analysis.walk import analyse_walk
from calibration.board import Board
from calibration.rig_calibration import calibrate
from console.draws import draw_errors
from lab.points import Keypoints2D
from lab.pose import Pose
from lab.rig import Rig
from reconstruct.associate import align
from reconstruct.smooth import Smoother
from reconstruct.triangulate import triangulate
from simulation.board_path import board_path
from simulation.room import treadmill_room, walkway_room
from simulation.truth import true_measures
from simulation.views import observe, seen_pixels
from simulation.walker import simulate

HEADLINES = (
    "pelvic_drop_peak",
    "pelvic_drop_midstance",
    "trunk_lean_forward_stance_mean",
    "trunk_lean_lateral_peak",
    "over_stride_angle_heel",
    "over_stride_angle_ankle",
    "hip_extension_peak",
    "thigh_extension_peak",
    "thigh_trunk_extension_peak",
    "cadence",
    "contact_time",
    "flight_time",
    "stride_length",
    "step_width",
)
POINTS = tuple(
    f"{side}_{joint}"
    for joint in ("asis", "psis", "hip", "knee", "ankle", "heel", "foot_index", "shoulder")
    for side in ("left", "right")
)
CORNER_NOISE_PX = 0.2
SPEED_M_S = {"run": 3.0, "walk": 1.3}


def calibrated_rig(activity: str, cameras: int) -> Rig:
    """Calibrate a simulated room from noisy board corners; the rig and its covariance."""
    rng = np.random.default_rng(0)
    room = (treadmill_room if activity == "run" else walkway_room)(cameras)
    board = Board(
        columns=5, rows=4, square_m=0.22, marker_m=0.17, dictionary="DICT_4X4_100",
        legacy=False, inverted=False, name="coverage",
    )  # fmt: skip
    reach = 0.8 if activity == "run" else 2.2
    volume = ((-reach, reach), (-0.7, 0.7), (0.4, 1.6))
    poses = board_path(60, volume, room.cameras, board.size_m, rng)
    lying = [Pose(np.diag([1.0, -1.0, -1.0]), np.zeros(3))] * 6

    def corners(camera, shown):
        xyz = np.stack([pose.transform(board.corners_m()) for pose in shown])
        xy = seen_pixels(camera, xyz)
        behind = [pose.inverse().transform(camera.centre)[2] >= 0 for pose in shown]
        xy[np.array(behind)] = np.nan
        xy = xy + rng.normal(0, CORNER_NOISE_PX, xy.shape)
        cov = np.where(np.isfinite(xy[..., :1, None]), np.eye(2) * CORNER_NOISE_PX**2, np.nan)
        names = board.corner_names
        t = np.arange(len(shown)) / 5.0
        return Keypoints2D(camera.name, names, t, xy, cov, np.full(xy.shape[:2], np.nan))

    return calibrate(
        {c.name: corners(c, poses) for c in room.cameras},
        {c.name: c.size_px for c in room.cameras},
        board,
        floor={c.name: corners(c, lying) for c in room.cameras},
    )


def one_run(task: tuple[Rig, str, float, float, float, int, int]) -> list[tuple]:
    rig, activity, noise_px, seconds, rate_hz, draws, seed = task
    rng = np.random.default_rng([7, seed])
    belt = SPEED_M_S["run"] if activity == "run" else None
    walker = simulate(
        activity,
        speed_m_s=SPEED_M_S[activity],
        treadmill=activity == "run",
        duration_s=seconds,
        seed=seed,
    )
    true_rig = rig.perturbed(rig.draw(rng, 1)[0])
    seen = observe(walker, true_rig, rate_hz, noise_px=noise_px, rng=rng, names=POINTS)
    result = triangulate(rig, align(list(seen)))
    smoother = Smoother(result.points)
    errors = draw_errors(result.points, rig, result.rig_sensitivity(rig), draws, seed)
    analysis = analyse_walk(
        result.points, smoother.apply, activity=activity, treadmill_speed=belt, errors=errors
    )
    truth = true_measures(walker, analysis.cycles) if analysis.cycles else {}
    return [
        (m.name, m.side, m.value - truth[m.name, m.side], m.sigma, m.n)
        for m in analysis.measures
        if (m.name, m.side) in truth
    ]


def run_all(given: argparse.Namespace) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield the number of runs and (R, 3) error, sigma and cycles by measure, every 100 runs."""
    rig = calibrated_rig(given.activity, given.cameras)
    tasks = [
        (rig, given.activity, given.noise, given.seconds, 100.0, given.draws, seed)
        for seed in range(given.first, given.first + given.runs)
    ]
    rows: dict[str, list] = {}
    with ProcessPoolExecutor(given.workers) as pool:
        for done, values in enumerate(pool.map(one_run, tasks, chunksize=4), 1):
            for name, _, error, sigma, n in values:
                rows.setdefault(name, []).append((error, sigma, n))
            if done % 100 == 0 or done == given.runs:
                yield done, {name: np.array(v) for name, v in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first run")
    parser.add_argument("--activity", default="run")
    parser.add_argument("--noise", type=float, default=1.0)
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    for runs, rows in run_all(given):
        print(vars(given) | {"runs": runs})
        print(f"{'measure':33s} values  cover  z mean  z sd  rms error")
        for name, values in rows.items():
            z = values[:, 0] / values[:, 1]
            held = float((abs(z) < 1.96).mean())
            mark = "" if name not in HEADLINES or 0.93 <= held <= 0.97 else "  <--"
            print(
                f"{name:33s}{len(z):7d}{held:7.3f}{z.mean():8.2f}{z.std():6.2f}"
                f"{np.sqrt((values[:, 0] ** 2).mean()):11.5f}{mark}",
                flush=True,
            )


if __name__ == "__main__":
    main()
