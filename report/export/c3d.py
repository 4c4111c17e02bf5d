"""C3D: smoothed points, angles and events in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ezc3d
import numpy as np

from lab.errors import LabError
from lab.trial import Trial
from report.export.sampling import even_rate
from report.files import replace_file

FILE_NAME = "trial.c3d"
_LAST_FRAME = 65535  # the header counts frames in 16 bits
_EVEN_START = 1e-6  # s
_LABELS = {"foot_strike": "Foot Strike", "foot_off": "Foot Off"}
_MOST_LABELS = 255  # a parameter's dimension is one byte


def _start(t0: float, frames: int, rate: float) -> tuple[int, float]:
    """Return the first frame, counted from 0, and what must be taken off every time.

    Sample i stands at (first frame + i) / rate. Where the recording does not begin on such an
    instant, or too late for the header, the file begins at 0.
    """
    first = round(t0 * rate)
    if abs(first / rate - t0) < _EVEN_START and 0 <= first <= _LAST_FRAME - frames:
        return first, 0.0
    return 0, t0


def _add_events(file: Any, trial: Trial, shift: float) -> None:
    add = file.add_parameter
    events = sorted(trial.events, key=lambda e: (e.t, e.side, e.kind))
    times = np.array([[(e.t - shift) // 60, (e.t - shift) % 60] for e in events]).reshape(-1, 2).T
    add("EVENT", "USED", [len(events)])
    add("EVENT", "CONTEXTS", [e.side.capitalize() for e in events])
    add("EVENT", "LABELS", [_LABELS[e.kind] for e in events])
    add("EVENT", "DESCRIPTIONS", [e.source for e in events])
    add("EVENT", "SUBJECTS", [trial.patient for _ in events])
    add("EVENT", "ICON_IDS", [1 if e.kind == "foot_strike" else 2 for e in events])
    add("EVENT", "TIMES", times)


def write_c3d(trial: Trial, directory: Path) -> list[Path]:
    """Write smoothed points (mm, lab frame, z up), curves (deg) and events as C3D.

    A missing sample has the residual -1. Each curve is a point of type ANGLES with the angle in its
    first coordinate. GAITLAB:TIME_OFFSET is what was taken off all times so that the first sample
    falls on a frame (0 where none was).

    Raises:
        LabError: When the samples are not even, or there are too many for the format.
        FileError: When the file cannot be written.
    """
    points, curves = trial.smoothed, trial.curves
    rate = even_rate(points.t, "the recording")
    if not np.array_equal(points.t, curves.t):
        raise LabError(
            "points and curves do not stand at the same times, and C3D has one time for both",
            where="export",
            remedy="Export to csv instead.",
        )
    frames = len(points.t)
    labels = [*points.names, *curves.names]
    if frames > _LAST_FRAME or len(labels) > _MOST_LABELS:
        raise LabError(
            f"{frames} frames of {len(labels)} points and curves are more than C3D holds "
            f"({_LAST_FRAME} of {_MOST_LABELS})",
            where="export",
            remedy="Export to csv instead.",
        )
    first, shift = _start(float(points.t[0]), frames, rate)

    data = np.zeros((4, len(labels), frames))
    data[:3, : len(points.names)] = np.transpose(points.xyz * 1000, (2, 1, 0))
    data[0, len(points.names) :] = np.degrees(curves.values).T
    data[3] = 1.0
    missing = ~np.isfinite(data[:3]).all(axis=0)
    data[:3, missing] = 0.0  # the format's own sign for missing is the residual below 0

    file: Any = ezc3d.c3d()
    file["header"]["points"]["first_frame"] = first
    file["parameters"]["POINT"]["RATE"]["value"] = [rate]
    file["parameters"]["POINT"]["LABELS"]["value"] = labels
    file["data"]["points"] = data
    file["data"]["meta_points"] = {
        "residuals": np.where(missing, -1.0, 0.0)[None],
        "camera_masks": np.zeros((7, len(labels), frames), dtype=bool),
    }
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    file.add_parameter("POINT", "X_SCREEN", ["+X"])
    file.add_parameter("POINT", "Y_SCREEN", ["+Z"])
    file.add_parameter("POINT", "ANGLES", list(curves.names))
    file.add_parameter("POINT", "ANGLE_UNITS", ["deg"])
    file.add_parameter("GAITLAB", "SOFTWARE", [trial.provenance.software])
    file.add_parameter("GAITLAB", "TIME_OFFSET", [shift])
    _add_events(file, trial, shift)
    path = directory / FILE_NAME
    replace_file(path, lambda beside: file.write(str(beside)))
    return [path]
