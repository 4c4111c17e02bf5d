"""Foot events of real trials against the stored ones: bias, spread, missed, false, in ms.

Stored events: Vicon trials as saved in the C3D; runs by force plate (20 N). Run with
`python benchmarks/gait_events.py`; the recordings are found through GAITLAB_DATA.
"""

import csv
import os
import tempfile
from pathlib import Path

import numpy as np

from console.pipeline import process_folder

DATA = Path(os.environ.get("GAITLAB_DATA", Path(__file__).parents[2] / "shared" / "data")) / "gait"
TRIALS = {
    "walk_straight_plusY": ("HC002D06.c3d", "walk", ""),
    "walk_straight_minusY": ("HC036A10.c3d", "walk", ""),
    "run_overground": ("run.trc", "run", ""),
    "run_treadmill_3mps": ("hamner01_run300.trc", "run", "treadmill_speed_m_s = 3.0\n"),
}
# An event further from a stored one than this is another event.
NEAR_S = 0.08


def main() -> None:
    print(f"{'trial':24s}{'kind':13s}{'n':>3s}{'bias':>8s}{'sd':>7s}{'missed':>8s}{'false':>7s}")
    for name, (file, activity, more) in TRIALS.items():
        with tempfile.TemporaryDirectory() as folder:
            axes = 'up = "y"\nforward = "+x"\n' if activity == "run" else ""
            Path(folder, "trial.toml").write_text(
                f'[trial]\npatient = "X"\nactivity = "{activity}"\n{more}'
                f'[markers]\nfile = "{DATA / name / file}"\n{axes}'
                "[subject]\nmarker_radius_mm = 7.0\n"
            )
            trial = process_folder(Path(folder))
        with (DATA / name / "events.csv").open() as table:
            stored = list(csv.DictReader(table))
        for kind, word in (("foot_strike", "Foot Strike"), ("foot_off", "Foot Off")):
            errors, missed = [], 0
            # Only between stored events of its own kind and foot can an event be a false one: a
            # stored list ends where its strides were wanted no more, not where the person stopped.
            span = {}
            for row in stored:
                if row["event"] == word:
                    side = {"L": "left", "R": "right"}[row["side"]]
                    t = float(row["time_s"])
                    first, last = span.get(side, (t, t))
                    span[side] = (min(first, t), max(last, t))
            found = [e for e in trial.events if e.kind == kind]
            matched = set()
            for row in stored:
                if row["event"] != word:
                    continue
                side = {"L": "left", "R": "right"}[row["side"]]
                near = [
                    (abs(e.t - float(row["time_s"])), i)
                    for i, e in enumerate(found)
                    if e.side == side and abs(e.t - float(row["time_s"])) < NEAR_S
                ]
                if near:
                    matched.add(min(near)[1])
                    errors.append(1e3 * (found[min(near)[1]].t - float(row["time_s"])))
                else:
                    missed += 1
            false = sum(
                1
                for i, e in enumerate(found)
                if i not in matched
                and e.side in span
                and span[e.side][0] - NEAR_S < e.t < span[e.side][1] + NEAR_S
            )
            bias = float(np.mean(errors)) if errors else float("nan")
            spread = float(np.std(errors)) if errors else float("nan")
            print(
                f"{name:24s}{kind:13s}{len(errors):3d}{bias:8.1f}{spread:7.1f}{missed:8d}{false:7d}"
            )


if __name__ == "__main__":
    main()
