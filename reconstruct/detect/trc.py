"""Markers from a TRC file, the text format of OpenSim and Motion Analysis."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lab.checks import FloatArray
from lab.errors import FileError
from reconstruct.detect.marker_axes import points_in_lab
from reconstruct.detect.marker_data import MarkerData
from reconstruct.detect.marker_text import axes_to_give, number, read_lines, unit_to_give

_REMEDY = "Export the file again; a TRC is text with columns separated by tabs."


def read_trc(
    path: Path, *, unit: str | None = None, up: str | None = None, forward: str | None = None
) -> MarkerData:
    """Read a TRC's markers at the times of its Time column.

    Args:
        path: The file.
        unit: m, cm or mm; overrides the header's Units.
        up: The file's axis that points up; the format does not say it.
        forward: The file's axis along the walkway or belt; the format does not say it.

    Raises:
        FileError: When the file is missing, damaged, cut short or no TRC.
        LabError: When unit or axes are missing or cannot be right.
    """
    where = path.name
    lines = read_lines(path)
    if not lines[0].startswith("PathFileType") or len(lines) < 5:
        raise FileError(
            "this is not a TRC file (its first line does not begin with PathFileType)",
            where=where,
            remedy=_REMEDY,
        )
    header = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=False))
    names = [name.strip() for name in lines[3].split("\t")[2:]]
    names = [name for name in names if name]
    _check_names(names, header.get("NumMarkers", "").strip(), where)
    rows = [(i, line) for i, line in enumerate(lines[5:], 6) if line.strip()]
    expected = header.get("NumFrames", "").strip()
    if not rows or (expected.isdigit() and len(rows) < int(expected)):
        raise FileError(
            f"the file is cut short: {expected or 'some'} frames stated, {len(rows)} there",
            where=where,
            remedy="Copy the file again, or export it again.",
        )
    width = 3 * len(names)
    t = np.empty(len(rows))
    xyz = np.empty((len(rows), width))
    for k, (line_number, line) in enumerate(rows):
        cells = line.split("\t")
        if len(cells) < 2 + width or any(cell.strip() for cell in cells[2 + width :]):
            raise FileError(
                f"line {line_number} has {len(cells)} columns, expected {2 + width}",
                where=where,
                remedy=_REMEDY,
            )
        here = f"{where} line {line_number}"
        t[k] = number(cells[1], here)
        xyz[k] = [number(cell, here) for cell in cells[2 : 2 + width]]
    _check_times(t, where)
    unit = unit_to_give(unit or header.get("Units", "").strip(), where)
    up, forward = axes_to_give(up, forward, where)
    points = points_in_lab(
        names, t, xyz.reshape(len(t), -1, 3), unit=unit, up=up, forward=forward, where=where
    )
    return MarkerData(points)


def _check_names(names: list[str], stated: str, where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FileError(
            f"marker names stand twice: {', '.join(twice[:8])}",
            where=where,
            remedy="Name each marker once.",
        )
    if not names or (stated.isdigit() and int(stated) != len(names)):
        raise FileError(
            f"the header states {stated or 'no'} markers and names {len(names)}",
            where=where,
            remedy=_REMEDY,
        )


def _check_times(t: FloatArray, where: str) -> None:
    if not np.isfinite(t).all() or (np.diff(t) <= 0).any():
        raise FileError(
            "the times do not rise from line to line",
            where=where,
            remedy="Export the file again with its Time column in seconds.",
        )
