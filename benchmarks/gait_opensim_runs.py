"""Claim: own pelvis and hip curves of two runs keep to 2 to 3 degrees of OpenSim's, means aside.

OpenSim's angles come from a model fitted to all markers by inverse kinematics; its zero is the
model's. So the mean difference is printed beside the RMS of what remains without it, in degrees.
Points: hips, pelvis and feet from the markers; on the treadmill, whose markers give no knees, the
knees and ankles are the reference model's own. Data: the folder named by GAITLAB_DATA, default
../shared/data.

    python benchmarks/gait_opensim_runs.py
"""

import csv
import os
from pathlib import Path

import numpy as np

from analysis.angles import compute_angles
from analysis.joint_centres import keypoints_from_markers
from analysis.segments import Body
from reconstruct.detect.markers import read_markers

DATA = Path(os.environ.get("GAITLAB_DATA", Path(__file__).parents[1] / "../shared/data")) / "gait"
TRIALS = ("run_overground", "run_treadmill_3mps")
PAIRS = {
    "pelvis_tilt": ("L", "pelvis_tilt_rot"),
    "pelvis_obliquity": ("L", "pelvis_obliquity_rot"),
    "pelvis_rotation": ("L", "pelvis_rotation"),
    "trunk_lean_forward": ("L", "thorax_tilt"),
    "hip_flexion_left": ("L", "hip_flexion"),
    "hip_flexion_right": ("R", "hip_flexion"),
    "hip_adduction_left": ("L", "hip_adduction"),
    "hip_adduction_right": ("R", "hip_adduction"),
    "knee_flexion_left": ("L", "knee_flexion"),
    "knee_flexion_right": ("R", "knee_flexion"),
}


def stored(trial: str, letter: str, name: str) -> np.ndarray:
    with (DATA / trial / "angles.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["side"] == letter]
    # The model of the treadmill run counts knee flexion negative.
    sign = -1.0 if (trial, name) == ("run_treadmill_3mps", "knee_flexion") else 1.0
    return sign * np.array([float(row[name] or "nan") for row in rows])


def own_curves(trial: str) -> dict[str, np.ndarray]:
    axes = {"unit": "mm", "up": "y", "forward": "+x"}
    points = keypoints_from_markers(read_markers(DATA / trial / "markers.csv", **axes).points, {})
    names, xyz = list(points.names), points.xyz
    if "left_knee" not in names:
        model = read_markers(DATA / trial / "joint_centres.csv", **axes).points
        centres = keypoints_from_markers(model, {})
        legs = [f"{side}_{joint}" for side in ("left", "right") for joint in ("knee", "ankle")]
        names += legs
        xyz = np.concatenate([xyz, centres.select(legs).xyz], axis=1)
    return compute_angles(Body(names, xyz, np.array([[1.0, 0.0, 0.0]])))


def main() -> None:
    print("own minus OpenSim, degrees: mean, RMS without the mean, range of OpenSim's curve")
    print(f"{'':22}" + "".join(f"{trial:>30}" for trial in TRIALS))
    curves = {trial: own_curves(trial) for trial in TRIALS}
    for name, (letter, column) in PAIRS.items():
        line = f"{name:22}"
        for trial in TRIALS:
            reference = stored(trial, letter, column)
            difference = np.degrees(curves[trial][name][: len(reference)]) - reference
            mean = np.nanmean(difference)
            spread = np.sqrt(np.nanmean((difference - mean) ** 2))
            line += f"{mean:10.2f}{spread:10.2f}{np.ptp(reference):10.1f}"
        print(line)


if __name__ == "__main__":
    main()
