"""Claim: Plug-in Gait's own angles are reproduced from the markers to under 0.01 degree.

Prints, for each Vicon trial, the RMS difference from the angles that Vicon stored in the file, in
degrees, over all frames. Data: the folder named by GAITLAB_DATA, default ../shared/data.

    python benchmarks/gait_plug_in_gait.py
"""

import csv
import os
from pathlib import Path

import numpy as np

from analysis.plug_in_gait import nearest_lab_axis, plug_in_gait
from reconstruct.detect.markers import read_markers

DATA = Path(os.environ.get("GAITLAB_DATA", Path(__file__).parents[1] / "../shared/data")) / "gait"
TRIALS = {
    "walk_straight_plusY": "HC002D06.c3d",
    "walk_straight_minusY": "HC036A10.c3d",
    "walk_turn45": "HC036A23.c3d",
    "stairs_minusX": "Movement_trial.c3d",
}
SIDE = {"L": "left", "R": "right"}


def stored_angles(path: Path) -> dict[str, np.ndarray]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        f"{name}_{SIDE[letter]}": np.array(
            [float(row[name] or "nan") for row in rows if row["side"] == letter]
        )
        for name in rows[0]
        if name not in ("time_s", "side")
        for letter in SIDE
    }


def rms_differences(trial: str) -> tuple[str, dict[str, float]]:
    data = read_markers(DATA / trial / TRIALS[trial])
    curves = plug_in_gait(data.points, {**data.subject, "marker_radius_mm": 7.0})
    rms = {
        name: float(np.sqrt(np.nanmean((np.degrees(curves.curve(f"pig_{name}")) - stored) ** 2)))
        for name, stored in stored_angles(DATA / trial / "angles.csv").items()
    }
    return nearest_lab_axis(data.points), rms


def main() -> None:
    table = {trial: rms_differences(trial) for trial in TRIALS}
    print("RMS difference from the stored angles, degrees")
    print(f"{'':28}" + "".join(f"{trial:>22}" for trial in TRIALS))
    print(f"{'axis of progression':28}" + "".join(f"{table[t][0]:>22}" for t in TRIALS))
    for name in table["walk_straight_plusY"][1]:
        print(f"{name:28}" + "".join(f"{table[t][1][name]:22.6f}" for t in TRIALS))


if __name__ == "__main__":
    main()
