"""3D markers from a file, whatever its format."""

from __future__ import annotations

from pathlib import Path

from lab.errors import FileError
from reconstruct.detect.c3d import read_c3d
from reconstruct.detect.marker_data import MarkerData
from reconstruct.detect.points_csv import read_points_csv
from reconstruct.detect.trc import read_trc

_READERS = {".c3d": read_c3d, ".trc": read_trc, ".csv": read_points_csv}


def read_markers(
    path: str | Path,
    *,
    unit: str | None = None,
    up: str | None = None,
    forward: str | None = None,
) -> MarkerData:
    """Read a C3D, TRC or CSV of 3D points into the lab frame, in metres.

    Args:
        path: The file; its ending says the format.
        unit: m, cm or mm, where the file does not say it or says it wrongly.
        up: The file's axis that points up ("z", "+y", "-x").
        forward: The file's axis that becomes the lab's x, along the walkway or belt.

    Raises:
        FileError: When the file is missing, damaged, truncated, or not what its ending says.
        LabError: When unit or axes are missing or cannot be right.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise FileError(
            f"markers cannot be read from a file ending in {path.suffix!r}",
            where=path.name,
            remedy="Give a .c3d, .trc or .csv file.",
        )
    return reader(path, unit=unit, up=up, forward=forward)
