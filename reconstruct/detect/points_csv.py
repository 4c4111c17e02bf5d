"""Markers from a CSV table: t, then x, y, z of each point."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from lab.errors import FileError
from reconstruct.detect.marker_axes import points_in_lab
from reconstruct.detect.marker_data import MarkerData
from reconstruct.detect.marker_text import axes_to_give, number, read_lines, unit_to_give

_REMEDY = "Write the header t,<name>_x,<name>_y,<name>_z,... and one line a frame."


def read_points_csv(
    path: Path, *, unit: str | None = None, up: str | None = None, forward: str | None = None
) -> MarkerData:
    """Read `t,<name>_x,<name>_y,<name>_z,...` (the first column may also be called time_s).

    Blank cells are points not seen.

    Args:
        path: The file.
        unit: m, cm or mm.
        up: The file's axis that points up.
        forward: The file's axis along the walkway or belt.

    Raises:
        FileError: When the file is missing, damaged or not such a table.
        LabError: When unit or axes are missing or cannot be right.
    """
    where = path.name
    try:
        rows = list(csv.reader(read_lines(path)))
    except csv.Error as error:
        raise FileError(f"this is no table ({error})", where=where, remedy=_REMEDY) from error
    header = [cell.strip() for cell in rows[0]]
    names = _point_names(header, where)
    body = [(i, row) for i, row in enumerate(rows[1:], 2) if any(cell.strip() for cell in row)]
    if not body:
        raise FileError("the table has no rows", where=where, remedy=_REMEDY)
    table = np.empty((len(body), len(header)))
    for k, (line_number, row) in enumerate(body):
        if len(row) != len(header):
            raise FileError(
                f"line {line_number} has {len(row)} columns, expected {len(header)}",
                where=where,
                remedy=_REMEDY,
            )
        table[k] = [number(cell, f"{where} line {line_number}") for cell in row]
    t = table[:, 0]
    if not np.isfinite(t).all() or (np.diff(t) <= 0).any():
        raise FileError(
            "the times do not rise from line to line",
            where=where,
            remedy="Write the time in s in the first column, rising.",
        )
    unit = unit_to_give(unit, where)
    up, forward = axes_to_give(up, forward, where)
    points = points_in_lab(
        names,
        t,
        table[:, 1:].reshape(len(t), -1, 3),
        unit=unit,
        up=up,
        forward=forward,
        where=where,
    )
    return MarkerData(points)


def _point_names(header: list[str], where: str) -> list[str]:
    names = [cell.removesuffix("_x") for cell in header[1::3]]
    expected = [f"{name}_{axis}" for name in names for axis in "xyz"]
    if header[0] not in ("t", "time_s") or not names or header[1:] != expected:
        raise FileError(
            "the header is not t,<name>_x,<name>_y,<name>_z,...", where=where, remedy=_REMEDY
        )
    if len(set(names)) < len(names) or "" in names:
        raise FileError("a point has no name, or one stands twice", where=where, remedy=_REMEDY)
    return names
