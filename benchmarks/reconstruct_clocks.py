"""Four cameras on their own clocks against four with a common shutter, at a runner's foot.

Claim: cameras with random phases cost next to nothing. The mark is a common shutter that exposes
at the common times of the four clocks: where frames lie about a strike is chance, and the same for
both. A person runs over ground at 4 m/s (the foot swings at about 8 m/s and stops within a few
milliseconds); 1 px of noise. Three ways to points: a common shutter (the mark), straight lines
between the frames of unequal clocks, and every detection at its own time. All go through the same
smoother and are judged every 2 ms against the unsmoothed truth, all over and within 25 ms of a
strike. "paths" are the continuous paths themselves, of all three kinds of keypoints through the
same fit. Straight lines average the noise of two frames, which makes them look better where noise
is most of the error, and shares noise between neighbouring frames, which no covariance of single
frames tells. Clock errors: one constant error a camera, drawn anew for every run.

Run: python benchmarks/reconstruct_clocks.py [--seeds 20] [--noise 1.0]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.interpolate import make_interp_spline

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lab.checks import FloatArray  # noqa: E402
from lab.points import Keypoints2D, Points3D  # noqa: E402
from reconstruct.associate import AlignedKeypoints, align  # noqa: E402
from reconstruct.clocks import OwnTimes, reconstruct_own_times  # noqa: E402
from reconstruct.smooth import Smoother  # noqa: E402
from reconstruct.triangulate import triangulate  # noqa: E402
from simulation.room import walkway_room  # noqa: E402
from simulation.views import observe  # noqa: E402
from simulation.walker import simulate  # noqa: E402

NAMES = tuple(f"{s}_{j}" for j in ("heel", "foot_index", "ankle") for s in ("left", "right"))
CLOCK_ERRORS_MS = (0.5, 1.0, 2.0)
NEAR_S, EDGE_S, STEP_S, SECONDS = 0.025, 0.1, 0.002, 1.5


def everywhere(points: Points3D, t: FloatArray) -> FloatArray:
    """Return points (T, K, 3) m between their times, by a cubic spline through them."""
    result = np.full((len(t), len(points.names), 3), np.nan)
    for k in range(len(points.names)):
        known = np.isfinite(points.xyz[:, k, 0])
        own = points.t[known]
        inside = (t >= own[0]) & (t <= own[-1])
        result[inside, k] = make_interp_spline(own, points.xyz[known, k], k=3)(t[inside])
    return result


def on_paths(found: OwnTimes, t: FloatArray) -> FloatArray:
    return np.stack([found.trajectories.at(t, k) for k in range(len(NAMES))], axis=1)


def as_keypoints(aligned: AlignedKeypoints) -> list[Keypoints2D]:
    return [
        Keypoints2D(
            name, aligned.names, aligned.t, aligned.xy_px[c], aligned.cov_px[c], aligned.score[c]
        )
        for c, name in enumerate(aligned.cameras)
    ]


def one_run(seed: int, rate_hz: float, noise_px: float) -> dict[str, tuple[float, float]]:
    rng = np.random.default_rng([5, seed])
    walker = simulate("run", speed_m_s=4.0, treadmill=False, duration_s=SECONDS, seed=seed)
    rig = walkway_room(4)
    phases = dict(zip(rig.names, rng.uniform(0, 1 / rate_hz, 4), strict=True))

    def films(phases: dict[str, float]) -> Sequence[Keypoints2D]:
        noise = np.random.default_rng([6, seed])
        return observe(
            walker, rig, rate_hz, noise_px=noise_px, rng=noise, phases=phases, names=NAMES,
            dropout=0.0, gaps=0.0, outliers=0.0,
        )  # fmt: skip

    t = np.arange(EDGE_S, walker.duration - EDGE_S, STEP_S)
    truth = walker.points(t)[:, [walker.names.index(n) for n in NAMES]]
    near = np.zeros(truth.shape[:2], bool)
    for event in walker.events:
        if event.kind == "foot_strike":
            of_foot = [n.startswith(event.side) for n in NAMES]
            near |= (np.abs(t - event.t) < NEAR_S)[:, None] & np.array(of_foot)
    own = films(phases)
    linear = align(own)
    found = reconstruct_own_times(rig, own)
    phase = float(found.aligned.t[0]) % (1 / rate_hz)
    common = films(dict.fromkeys(rig.names, phase))
    places = {
        "common shutter": everywhere(Smoother(triangulate(rig, align(common)).points).points, t),
        "straight lines": everywhere(Smoother(triangulate(rig, linear).points).points, t),
        "own times": everywhere(Smoother(found.result.points).points, t),
        "common shutter, paths": on_paths(reconstruct_own_times(rig, common), t),
        "straight lines, paths": on_paths(reconstruct_own_times(rig, as_keypoints(linear)), t),
        "own times, paths": on_paths(found, t),
    }
    drawn = rng.standard_normal(4)
    for size in CLOCK_ERRORS_MS:
        off = [replace(k, t=k.t + 1e-3 * size * e) for k, e in zip(own, drawn, strict=True)]
        places[f"own times, clocks off by {size:g} ms"] = everywhere(
            Smoother(reconstruct_own_times(rig, off).result.points).points, t
        )
    result = {}
    for what, xyz in places.items():
        squares = ((xyz - truth) ** 2).sum(-1)
        result[what] = (float(np.nanmean(squares)), float(np.nanmean(squares[near])))
    error = (
        found.result.points.xyz
        - walker.points(found.result.points.t)[:, [walker.names.index(n) for n in NAMES]]
    )
    cov = found.result.points.cov
    good = np.isfinite(error[..., 0])
    nees = np.einsum("ni,nij,nj->n", error[good], np.linalg.inv(cov[good]), error[good])
    result["nees"] = (float(nees.mean()), float("nan"))
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--noise", type=float, default=1.0)
    given = parser.parse_args()
    for rate_hz in (60.0, 30.0):
        rows = [one_run(seed, rate_hz, given.noise) for seed in range(given.seeds)]
        print(
            f"\n{rate_hz:.0f} Hz, {given.noise:g} px, {given.seeds} seeds: RMS error of feet mm, "
            "and over its mark (worst seed): everywhere; within 25 ms of a strike"
        )
        for what in rows[0]:
            if what == "nees":
                continue
            mark = "common shutter, paths" if what.endswith("paths") else "common shutter"
            cells = []
            for j in (0, 1):
                mine = np.sqrt([row[what][j] for row in rows])
                theirs = np.sqrt([row[mark][j] for row in rows])
                whole = [np.sqrt(np.mean(np.square(x))) for x in (mine, theirs)]
                cells.append(
                    f"{1e3 * whole[0]:8.2f}{whole[0] / whole[1]:8.3f} ({(mine / theirs).max():.3f})"
                )
            print(f"  {what:32}{cells[0]};{cells[1]}")
        ratio = [np.mean([r["own times"][j] for r in rows]) for j in (0, 1)]
        lines = [np.mean([r["straight lines"][j] for r in rows]) for j in (0, 1)]
        paths = [np.mean([r["own times, paths"][j] for r in rows]) for j in (0, 1)]
        other = [np.mean([r["straight lines, paths"][j] for r in rows]) for j in (0, 1)]
        print(
            f"  own times over straight lines: {np.sqrt(ratio[0] / lines[0]):.3f}; "
            f"{np.sqrt(ratio[1] / lines[1]):.3f} smoothed, {np.sqrt(paths[0] / other[0]):.3f}; "
            f"{np.sqrt(paths[1] / other[1]):.3f} paths"
        )
        print(
            "  normalised error squared of the points at own times (3 is exact): "
            f"{np.mean([r['nees'][0] for r in rows]):.3f}"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
