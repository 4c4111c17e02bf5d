"""Left taken for right: how many exchanges are found, missed and invented, and what they cost.

Claim: partner joints exchanged in one or two cameras, single ones and whole legs, 1 to 10 frames
long, are found over views and time and exchanged back; the error stays near the bound of the clean
views; what cannot be decided is withheld. A person walks (1.3 m/s) and runs over ground (4 m/s; the
foot swings at about 8 m/s), 100 frames a second, noise 1.5 px, 5 % missing.

Run: python benchmarks/reconstruct_swaps.py [--seeds 20] [--cameras 4] [--lengths 1 2 3 5 10]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reconstruct.associate import align  # noqa: E402
from reconstruct.swaps import exchange_columns  # noqa: E402
from reconstruct.triangulate import triangulate  # noqa: E402
from simulation.room import walkway_room  # noqa: E402
from simulation.views import observe  # noqa: E402
from simulation.walker import simulate  # noqa: E402

NAMES = tuple(
    f"{side}_{joint}"
    for joint in ("hip", "knee", "ankle", "heel", "foot_index")
    for side in ("left", "right")
)
LENGTHS = (1, 2, 3, 5, 10)
SPEED_M_S = {"walk": 1.3, "run": 4.0}
SECONDS = {"walk": 3.0, "run": 1.5}


@cache
def scene(activity: str, cameras: int, seed: int):
    """Return rig, what it sees, the truth, and the points of the clean views."""
    rng = np.random.default_rng([11, seed])
    rig = walkway_room(cameras)
    walker = simulate(
        activity,
        speed_m_s=SPEED_M_S[activity],
        treadmill=False,
        duration_s=SECONDS[activity],
        seed=seed,
    )
    seen = align(
        observe(
            walker, rig, 100.0, noise_px=1.5, rng=rng, dropout=0.05, gaps=0, outliers=0,
            names=NAMES,
        ),
        grid=None,
    )  # fmt: skip
    truth = walker.points(seen.t)[:, [walker.names.index(n) for n in NAMES]]
    return rig, seen, truth, triangulate(rig, seen, robust=False)


def injected(seen, share: float, length: int, whole: bool, at_once: int, rng):
    """Return which observations (C, T, K) are exchanged: a share of the frames of each camera."""
    cameras, frames, joints = seen.score.shape
    swapped = np.zeros((cameras, frames, joints), bool)
    pairs = np.arange(joints).reshape(-1, 2)
    groups = [np.arange(joints)] if whole else list(pairs)
    for group in groups:
        target = share * frames * cameras
        busy = np.zeros(frames, bool)
        while swapped[:, :, group[0]].sum() < target:
            start = rng.integers(0, frames - length + 1)
            window = slice(max(0, start - 2), start + length + 2)
            if busy[window].any() and rng.random() < 0.98:
                continue
            # No more than `at_once` cameras are wrong at a time.
            if swapped[:, start : start + length, group[0]].any():
                break
            busy[start : start + length] = True
            which = rng.choice(cameras, at_once, replace=False)
            swapped[np.ix_(which, range(start, start + length), group)] = True
    return swapped


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    given = parser.parse_args()
    print(
        f"{given.cameras} cameras, {given.seeds} seeds. found, missed: of the exchanged joints "
        "seen in both\nplaces; false: exchanged though right; withheld % of points; wrong: points "
        "more than 50 mm off, per\nmillion; RMSE / bound: mean and worst seed, over points that "
        "stand with 3 or more views"
    )
    print(
        f"{'activity':9}{'what':>7}{'cameras':>8}{'share':>6}{'frames':>7}{'found %':>9}"
        f"{'missed':>8}{'false':>7}{'withheld':>10}{'wrong':>7}{'RMSE/bound':>12}{'worst':>8}"
    )
    cases = [
        (activity, whole, at_once, share, length)
        for activity in SPEED_M_S
        for whole in (False, True)
        for at_once in (1, 2)
        for share in (0.05, 0.2)
        for length in given.lengths
    ]
    for activity, whole, at_once, share, length in cases:
        found = missed = false = withheld = wrong = total = 0
        ratios = []
        for seed in range(given.seeds):
            rig, seen, truth, clean = scene(activity, given.cameras, seed)
            rng = np.random.default_rng([12, seed, length, at_once, whole, round(100 * share)])
            swapped = injected(seen, share, length, whole, at_once, rng)
            order = exchange_columns(seen.names)
            mixed = replace(
                seen, xy_px=np.where(swapped[..., None], seen.xy_px[:, :, order], seen.xy_px)
            )
            result = triangulate(rig, mixed)
            both = np.isfinite(seen.xy_px[..., 0]) & np.isfinite(seen.xy_px[:, :, order, 0])
            stands = np.isfinite(result.points.xyz[..., 0])
            told = swapped & both & stands
            found += (told & result.swapped).sum()
            missed += (told & ~result.swapped).sum()
            false += (result.swapped & ~swapped & stands).sum()
            possible = np.isfinite(clean.points.xyz[..., 0])
            withheld += (possible & ~stands).sum()
            total += possible.sum()
            squares = ((result.points.xyz - truth) ** 2).sum(-1)
            judged = stands & (clean.views >= 3)
            wrong += (squares[judged] > 0.05**2).sum()
            bound = np.trace(clean.points.cov, axis1=2, axis2=3)
            ratios.append(np.sqrt(squares[judged].mean() / bound[judged].mean()))
        print(
            f"{activity:9}{'legs' if whole else 'joints':>7}{at_once:8}{100 * share:5.0f}%"
            f"{length:7}{100 * found / max(found + missed, 1):9.2f}{missed:8}{false:7}"
            f"{100 * withheld / total:9.2f}%{1e6 * wrong / total:7.0f}"
            f"{np.sqrt(np.mean(np.square(ratios))):12.3f}{max(ratios):8.3f}"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
