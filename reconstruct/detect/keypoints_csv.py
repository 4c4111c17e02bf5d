"""Keypoints of one camera from a CSV table, one line a point: t,name,x_px,y_px,score."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from lab.checks import FloatArray
from lab.errors import FileError, LabError
from lab.points import Keypoints2D
from reconstruct.detect.marker_text import number, read_lines
from reconstruct.skeletons import Skeleton, find_skeleton, load_skeleton

COLUMNS = ("t", "name", "x_px", "y_px", "score")
_REMEDY = f"Write the header {','.join(COLUMNS)} and one line for each point of each frame."


def read_keypoints(
    path: Path | str, camera: str, skeleton: Skeleton | str | None = None
) -> Keypoints2D:
    """Read a detector's keypoints and give them the lab's names.

    t is in s on the lab clock; pixel (0, 0) is the centre of the top-left pixel. Lines may stand
    in any order and further columns are passed over. A point whose line is missing or whose x or y
    is blank was not seen; so was one at x = y = score = 0, as some detectors write it. Points that
    the skeleton does not name are left out.

    Args:
        path: The file.
        camera: The camera's name in the rig.
        skeleton: Whose names the file uses; found out by the names where not given.

    Returns:
        The keypoints; their covariance is NaN, for the file does not say it.

    Raises:
        FileError: When the file is missing, empty, damaged, or not such a table; the message names
            the line.
        LabError: When there is no such skeleton.
    """
    path = Path(path)
    where = path.name
    numbers, cells = _read_table(path)
    lines = np.array(numbers)
    t, x, y, score = (_numbers(cells[c], lines, where, c) for c in ("t", "x_px", "y_px", "score"))
    _refuse(~np.isfinite(t), lines, where, "has no time")
    for column, values in (("x_px", x), ("y_px", y), ("score", score)):
        _refuse(np.isinf(values), lines, where, f"has an infinite {column}")
    # Names are few: each is stripped and compared once.
    given = dict.fromkeys(cells["name"])
    names = np.unique(np.array([n.strip() for n in given]))
    place = {n: int(np.searchsorted(names, n.strip())) for n in given}
    which = np.array([place[n] for n in cells["name"]])
    _refuse(names[which] == "", lines, where, "has no name")
    times, frame = np.unique(t, return_inverse=True)
    order = np.argsort(frame * len(names) + which, kind="stable")
    twice = np.zeros(len(t), bool)
    twice[order[1:]] = np.diff((frame * len(names) + which)[order]) == 0
    _refuse(twice, lines, where, "holds a point that this frame has already")
    ours = _our_names([str(n) for n in names], skeleton, where)
    unseen = np.isnan(x) | np.isnan(y) | ((x == 0) & (y == 0) & (score == 0))
    table = np.full((len(times), len(names), 3), np.nan)
    table[frame, which] = np.where(unseen[:, None], np.nan, np.stack([x, y, score], axis=1))
    table = table[:, np.searchsorted(names, list(ours))]
    return Keypoints2D(
        camera,
        tuple(ours.values()),
        times,
        table[..., :2],
        np.full((*table.shape[:2], 2, 2), np.nan),
        table[..., 2],
    )


def _read_table(path: Path) -> tuple[list[int], dict[str, list[str]]]:
    """Return the line number of each row and the cells by column."""
    where = path.name
    lines = read_lines(path)
    plain = _plain_table(lines)
    if plain is not None:
        return plain
    reader = csv.reader(lines)
    try:
        header = [cell.strip() for cell in next(reader)]
        rows, numbers = [], []
        for row in reader:
            if row:
                rows.append(row)
                numbers.append(reader.line_num)
    except csv.Error as error:
        raise FileError(
            f"line {reader.line_num} is no table ({error})", where=where, remedy=_REMEDY
        ) from error
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise FileError(
            f"line 1: the column {', '.join(missing)} is missing", where=where, remedy=_REMEDY
        )
    for row, line in zip(rows, numbers, strict=True):
        if len(row) != len(header):
            raise FileError(
                f"line {line} has {len(row)} columns, expected {len(header)}",
                where=where,
                remedy="The file was cut off or edited: write it again. " + _REMEDY,
            )
    if not rows:
        raise FileError("there is nothing after the header", where=where, remedy=_REMEDY)
    columns = [list(column) for column in zip(*rows, strict=True)]
    return numbers, {name: columns[header.index(name)] for name in COLUMNS}


def _plain_table(lines: list[str]) -> tuple[list[int], dict[str, list[str]]] | None:
    """Return the same at once for a table without blanks, quotes and damage; None otherwise."""
    header = [cell.strip() for cell in lines[0].split(",")]
    width, whole = len(header), ",".join(lines[1:])
    if (
        len(lines) < 2
        or '"' in whole
        or '"' in lines[0]
        or any(line.count(",") != width - 1 for line in lines)
        or not set(COLUMNS) <= set(header)
    ):
        return None
    cells = whole.split(",")
    columns = {name: cells[header.index(name) :: width] for name in COLUMNS}
    return list(range(2, len(lines) + 1)), columns


def _numbers(cells: list[str], lines: np.ndarray, where: str, column: str) -> FloatArray:
    """Return a column's numbers, NaN for blanks."""
    try:
        # Most columns have no blanks, and to look for them takes as long as to read them.
        return np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        pass
    try:
        filled = (cell if cell and not cell.isspace() else "nan" for cell in cells)
        return np.fromiter(map(float, filled), np.float64, len(cells))
    except ValueError:
        # Found out which one, so that it can be named.
        return np.array(
            [
                number(cell, f"{where} line {line}, {column}")
                for cell, line in zip(cells, lines, strict=True)
            ]
        )


def _refuse(wrong: np.ndarray, lines: np.ndarray, where: str, why: str) -> None:
    if wrong.any():
        raise FileError(f"line {lines[wrong.argmax()]} {why}", where=where, remedy=_REMEDY)


def _our_names(names: list[str], skeleton: Skeleton | str | None, where: str) -> dict[str, str]:
    """Return the lab's names by the file's, in the skeleton's order; the others are left out."""
    if isinstance(skeleton, str):
        skeleton = load_skeleton(skeleton)
    try:
        known = find_skeleton(names) if skeleton is None else skeleton
    except LabError as error:
        raise FileError(error.what, where=where, remedy=error.remedy) from error
    given = set(names)
    ours = {name: ours for name, ours in known.points.items() if name in given}
    if not ours:
        raise FileError(
            f"no name in it belongs to the skeleton {known.name}",
            where=where,
            remedy="Give the skeleton of the detector that wrote the file.",
        )
    return ours
