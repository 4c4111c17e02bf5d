"""MOT for OpenSim's plots: the curves over time, under our names, in degrees."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from lab.trial import Trial
from report.files import replace_file

FILE_NAME = "angles.mot"


def write_mot(trial: Trial, directory: Path) -> list[Path]:
    """Write the curves as MOT in degrees; our names and signs, not those of OpenSim's models.

    Missing values are `nan`.

    Raises:
        FileError: When the file cannot be written.
    """
    curves = trial.curves
    lines = [
        "angles",
        "version=1",
        f"nRows={len(curves.t)}",
        f"nColumns={len(curves.names) + 1}",
        "inDegrees=yes",
        "endheader",
        "\t".join(["time", *curves.names]),
    ]
    for t, row in zip(curves.t, np.degrees(curves.values), strict=True):
        values = (f"{v:.9f}" if math.isfinite(v) else "nan" for v in row)
        lines.append("\t".join([f"{t:.9f}", *values]))
    path = directory / FILE_NAME
    text = "\n".join(lines) + "\n"
    replace_file(path, lambda beside: beside.write_bytes(text.encode()))
    return [path]
