"""Real movement before virtual cameras that see with the errors of a real detector.

Claim: from keypoints as a real detector gives them, curves and measures come out near those of the
true joint centres, and the intervals say how near. Joint centres of walks and runs recorded with
markers are seen by a calibrated virtual rig of 4 and of 8 cameras. The errors are those of real
keypoints, whole: what each camera of the pose recording saw of a joint, less where the smoothed
reconstruction says that it was, carried over in metres on the body, with its gaps, its exchanged
legs, and its run over time; each virtual camera takes those of a real camera from a moment of its
own. What a detector gets wrong alike in every frame is in them ("as they are"); an interval can
know of that only where cameras disagree, so each run is made again without each joint's mean
("means taken off").
Measures are compared over the strides of the true centres (events given); how many are given with
events found from the keypoints alone is counted beside.

Data: GAITLAB_DATA, or ../shared/data beside the repository.

Run: python benchmarks/reconstruct_virtual.py [--seeds 5] [--cameras 4 8]
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from analysis.joint_centres import keypoints_from_markers  # noqa: E402
from analysis.walk import WalkAnalysis, analyse_walk  # noqa: E402
from benchmarks.interval_coverage import HEADLINES, calibrated_rig  # noqa: E402
from calibration.formats.qualisys import read_qca  # noqa: E402
from console.draws import draw_errors  # noqa: E402
from lab.checks import FloatArray  # noqa: E402
from lab.gait import Event  # noqa: E402
from lab.points import Keypoints2D, Points3D  # noqa: E402
from lab.rig import Rig  # noqa: E402
from reconstruct.associate import align  # noqa: E402
from reconstruct.detect.keypoints_csv import read_keypoints  # noqa: E402
from reconstruct.detect.markers import read_markers  # noqa: E402
from reconstruct.persistence import find_persistence  # noqa: E402
from reconstruct.smooth import Smoother  # noqa: E402
from reconstruct.triangulate import triangulate  # noqa: E402
from simulation.views import seen_pixels  # noqa: E402

DATA = Path(os.environ.get("GAITLAB_DATA", ROOT.parent / "shared" / "data"))
TRIALS = {
    "walk_straight_plusY": ("walk", None),
    "walk_straight_minusY": ("walk", None),
    "run_overground": ("run", None),
    "run_treadmill_3mps": ("run", 3.0),
}
CURVES = (
    "pelvis_obliquity", "pelvis_rotation", "pelvis_tilt", "trunk_lean_forward",
    "trunk_lean_lateral", "hip_flexion", "hip_adduction", "thigh_flexion", "knee_flexion",
)  # fmt: skip
# Made of the events alone, which are given.
GIVEN = ("cadence", "contact_time", "flight_time")
# Of points that the detector does not give, the error of its neighbour is taken.
NEIGHBOUR = {"asis": "hip", "psis": "hip", "acromion": "shoulder"}


def true_points(trial: str) -> Points3D:
    """Return a trial's joint centres in the middle of the lab, along x."""
    folder = DATA / "gait" / trial
    axes = {"unit": "mm", "up": "y", "forward": "+x"}
    if trial.startswith("walk"):
        markers = read_markers(next(iter(sorted(folder.glob("*.c3d")))))
        subject = {"marker_radius_mm": 7.0} | dict(markers.subject)
        points = keypoints_from_markers(markers.points, subject)
    else:
        points = keypoints_from_markers(read_markers(folder / "markers.csv", **axes).points, {})
    names, xyz = list(points.names), np.array(points.xyz)
    if "left_knee" not in names:
        model = read_markers(folder / "joint_centres.csv", **axes).points
        legs = [f"{side}_{joint}" for side in ("left", "right") for joint in ("knee", "ankle")]
        names += legs
        xyz = np.concatenate([xyz, keypoints_from_markers(model, {}).select(legs).xyz], axis=1)
    middle = np.nanmean(xyz[..., :2], axis=1)
    on = np.isfinite(middle[:, 0])
    way = middle[on][-1] - middle[on][0]
    if np.linalg.norm(way) > 1.0:
        along = way / np.linalg.norm(way)
        turn = np.array([[along[0], along[1]], [-along[1], along[0]]])
        xyz[..., :2] = xyz[..., :2] @ turn.T
    middle = np.nanmean(xyz[..., :2], axis=1)
    xyz[..., :2] -= (np.nanmin(middle, axis=0) + np.nanmax(middle, axis=0)) / 2
    cov = np.broadcast_to(1e-8 * np.eye(3), (*xyz.shape, 3))
    return Points3D(tuple(names), points.t, xyz, cov)


def real_errors() -> dict[str, FloatArray]:
    """Return what the real detector is off, (4, T, 2) m on the body, by joint; NaN in gaps."""
    folder = DATA / "pose"
    rig = read_qca(folder / "Calib.qca.txt")
    seen = align(
        [read_keypoints(folder / f"cam0{i + 1}.csv", name) for i, name in enumerate(rig.names)]
    )
    points = Smoother(triangulate(rig, seen).points).points
    result = {}
    for k, name in enumerate(seen.names):
        off = np.full((len(rig.cameras), len(seen.t), 2), np.nan)
        for c, camera in enumerate(rig.cameras):
            depth = camera.cam_from_lab.transform(points.xyz[:, k])[:, 2:]
            off[c] = (seen.xy_px[c, :, k] - camera.project(points.xyz[:, k])) * depth
            off[c] /= camera.intrinsics[:2]
        result[name] = off
    return result


def films(
    points: Points3D, rig: Rig, errors: dict[str, FloatArray], rng: np.random.Generator
) -> list[Keypoints2D]:
    """Return what the virtual cameras see."""
    result = []
    for camera in rig.cameras:
        who = int(rng.integers(4))
        xy = np.array(seen_pixels(camera, points.xyz))
        depth = camera.cam_from_lab.transform(points.xyz)[..., 2]
        length = len(next(iter(errors.values()))[0])
        # To and fro over the recording, from a moment of its own.
        order = np.abs((rng.integers(2 * length) + np.arange(len(points.t))) % (2 * length - 2))
        order = np.where(order < length, order, 2 * length - 2 - order)
        for k, name in enumerate(points.names):
            joint = name
            for ours, other in NEIGHBOUR.items():
                joint = joint.replace(ours, other)
            off = errors.get(joint, errors["nose"])[who][order]
            xy[:, k] += off * camera.intrinsics[:2] / depth[:, k, None]
        cov = np.full((*xy.shape, 2), np.nan)
        score = np.where(np.isfinite(xy[..., 0]), 0.99, np.nan)
        result.append(Keypoints2D(camera.name, points.names, points.t, xy, cov, score))
    return result


def analysed(
    points: Points3D,
    trial: str,
    errors: FloatArray | None,
    events: tuple[Event, ...] | None,
    markers: bool = False,
) -> WalkAnalysis:
    activity, belt = TRIALS[trial]
    return analyse_walk(
        points, Smoother(points).apply, activity=activity, treadmill_speed=belt, errors=errors,
        markers=markers, events=events,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cameras", type=int, nargs="+", default=[4, 8])
    given = parser.parse_args()
    raw = real_errors()
    spread = np.concatenate([off.reshape(-1, 2) for off in raw.values()])
    known = np.isfinite(spread[:, 0])
    calm = 1.4826 * np.nanmedian(np.abs(spread))
    print(
        f"the detector: {1e3 * calm:.0f} mm (robust, each direction), "
        f"{100 * (np.abs(spread[known]) > 5 * calm).any(1).mean():.1f} % beyond five times that, "
        f"{100 * (~known).mean():.1f} % missing"
    )
    kinds = {
        "as they are": raw,
        "means taken off": {
            name: off - np.nanmedian(off, axis=1, keepdims=True) for name, off in raw.items()
        },
    }
    for count in given.cameras:
        nominal = calibrated_rig("walk", count)
        for kind, errors in kinds.items():
            curves: dict[str, list[FloatArray]] = {}
            measures: dict[tuple[str, str], list[tuple[float, float]]] = {}
            lost = wanted = own = 0
            for index, trial in enumerate(TRIALS):
                truth = true_points(trial)
                right = analysed(truth, trial, None, None, markers=True)
                for seed in range(given.seeds):
                    rng = np.random.default_rng([13, index, seed])
                    rig = nominal.perturbed(nominal.draw(rng, 1)[0])
                    seen = align(films(truth, rig, errors, rng))
                    result = triangulate(nominal, seen)
                    by_rig = result.rig_sensitivity(nominal)
                    lasting = find_persistence(nominal, seen, result)
                    drawn = draw_errors(result.points, nominal, by_rig, 64, seed, lasting)
                    found = analysed(result.points, trial, drawn, right.events)
                    alone = analysed(result.points, trial, None, None)
                    for j, name in enumerate(found.curves.names):
                        base = name.removesuffix("_left").removesuffix("_right")
                        if base in CURVES and name in right.curves.names:
                            other = right.curves.values[:, right.curves.names.index(name)]
                            curves.setdefault(base, []).append(found.curves.values[:, j] - other)
                    values = {(m.name, m.side): m for m in found.measures}
                    without = {(m.name, m.side) for m in alone.measures}
                    for m in right.measures:
                        if m.name not in HEADLINES or m.name in GIVEN:
                            continue
                        wanted += 1
                        own += (m.name, m.side) in without
                        mine = values.get((m.name, m.side))
                        if mine is None or not np.isfinite(mine.value):
                            lost += 1
                            continue
                        measures.setdefault((m.name, m.unit), []).append(
                            (mine.value - m.value, mine.sigma)
                        )
            print(
                f"\n{count} cameras, errors {kind}: {given.seeds} runs of each of {len(TRIALS)} "
                f"trials; {lost} of {wanted} measures not given; {own} given with events of "
                "their own"
            )
            for name, parts in curves.items():
                off = np.concatenate(parts)
                print(f"  curve   {name:32}{np.degrees(np.sqrt(np.nanmean(off**2))):8.2f} deg")
            for (name, unit), pairs in measures.items():
                off, sigma = np.array(pairs).T
                factor, shown = (np.degrees(1), "deg") if unit == "rad" else (1.0, unit)
                print(
                    f"  measure {name:32}{factor * np.sqrt((off**2).mean()):8.3f} {shown:6}"
                    f"sigma {factor * np.sqrt(np.mean(sigma**2)):7.3f}, in the interval "
                    f"{100 * (np.abs(off) <= 1.96 * sigma).mean():4.0f} % of {len(off)}"
                )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
