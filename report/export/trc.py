"""TRC for OpenSim: smoothed points in mm, y up."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lab.trial import Trial
from report.export.sampling import even_rate
from report.files import replace_file

FILE_NAME = "points.trc"
_SETTINGS = (
    "DataRate",
    "CameraRate",
    "NumFrames",
    "NumMarkers",
    "Units",
    "OrigDataRate",
    "OrigDataStartFrame",
    "OrigNumFrames",
)
# OpenSim's ground frame: x forward, y up, z right. Ours: x forward, y left, z up.
OPENSIM_FROM_LAB = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])


def write_trc(trial: Trial, directory: Path) -> list[Path]:
    """Write the smoothed points as TRC; a missing point is an empty field.

    Raises:
        LabError: When the points are not evenly sampled.
        FileError: When the file cannot be written.
    """
    points = trial.smoothed
    rate = even_rate(points.t, "the recording")
    frames, count = len(points.t), len(points.names)
    xyz_mm = points.xyz @ OPENSIM_FROM_LAB.T * 1000
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{FILE_NAME}",
        "\t".join(_SETTINGS),
        f"{rate:.6f}\t{rate:.6f}\t{frames}\t{count}\tmm\t{rate:.6f}\t1\t{frames}",
        "Frame#\tTime\t" + "\t\t\t".join(points.names) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{k}" for k in range(1, count + 1) for axis in "XYZ"),
        "",
    ]
    for i, (t, row) in enumerate(zip(points.t, xyz_mm, strict=True)):
        known = np.isfinite(row).all(axis=1)
        fields = [f"{x:.6f}" if ok else "" for p, ok in zip(row, known, strict=True) for x in p]
        lines.append("\t".join([str(i + 1), f"{t:.9f}", *fields]))
    path = directory / FILE_NAME
    text = "\n".join(lines) + "\n"
    replace_file(path, lambda beside: beside.write_bytes(text.encode()))
    return [path]
