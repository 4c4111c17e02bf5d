"""The board's TOML file: our own layout, Caliscope's, and the measured square written back."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calibration.board import Board
from lab.atomic import write_atomically
from lab.errors import FileError, LabError

_UNITS_M = {"mm": 0.001, "cm": 0.01, "inch": 0.0254, "in": 0.0254, "m": 1.0}
_OWN_KEYS = {
    "name",
    "columns",
    "rows",
    "square_mm",
    "measured_square_mm",
    "marker_mm",
    "marker_ratio",
    "dictionary",
    "legacy",
    "inverted",
    "mirrored",
    "two_sided",
    "thickness_mm",
}
# Caliscope's layout (the paper's size, with the measured square as an override).
_PAPER_KEYS = {
    "columns",
    "rows",
    "board_height",
    "board_width",
    "units",
    "dictionary",
    "aruco_scale",
    "square_size_override_cm",
    "square_size_overide_cm",  # spelled so in older files of Caliscope
    "inverted",
    "legacy_pattern",
}
_OVERRIDES = ("square_size_override_cm", "square_size_overide_cm")
_MEASURED = {True: "measured_square_mm", False: "square_size_override_cm"}
# A printer that is told to scale misses by some per cent; more is a wrong reading of the rule.
_LARGEST_MISS = 0.1


def read_board(path: Path | str) -> Board:
    """Read a board from our own layout ([board]) or from Caliscope's.

    Raises:
        FileError: When the file is missing or is not TOML.
        LabError: When a key is missing, unknown, of the wrong kind, or out of range.
    """
    path = Path(path)
    return _board_of(_text(path), path)


def write_measured(path: Path | str, measured_mm: float, squares: int = 1) -> Board:
    """Write the measured square into the board's file, the rest of it untouched.

    In our own layout the key is `measured_square_mm` (`square_mm` stays what is printed), in
    Caliscope's `square_size_override_cm`.

    Args:
        path: The board's TOML file.
        measured_mm: What the steel rule read, over so many squares in a row.
        squares: How many squares were measured at once; the more, the finer.

    Returns:
        The board as it now is.

    Raises:
        LabError: When the length cannot be of this board.
    """
    path = Path(path)
    text = _text(path)
    board = _board_of(text, path)
    if not 1 <= squares <= max(board.columns, board.rows):
        raise LabError(
            f"the board has no row of {squares} squares, it has {board.columns} x {board.rows}",
            where=str(path),
        )
    side_mm = measured_mm / squares
    wanted_mm = 1e3 * board.print_square_m
    if not abs(side_mm / wanted_mm - 1) < _LARGEST_MISS:
        raise LabError(
            f"a square of {side_mm:.4g} mm was measured where {wanted_mm:.4g} mm were printed",
            where=str(path),
            remedy="Measure over whole squares, edge to edge, and say over how many (--squares).",
        )
    own = "board" in tomllib.loads(text)
    value = side_mm if own else side_mm / 10
    written = _with_key(text, _MEASURED[own], repr(round(value, 6)), "board" if own else "")
    result = _board_of(written, path)
    write_atomically(path, written.encode())
    return result


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise FileError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise FileError(f"not a TOML file ({error})", where=str(path)) from error


def _board_of(text: str, path: Path) -> Board:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"not a TOML file ({error})", where=str(path)) from error
    keys = _Keys(document.get("board", document), str(path))
    try:
        return _from_own(keys, path.stem) if "board" in document else _from_paper(keys, path.stem)
    except LabError as error:
        if error.where == str(path):
            raise
        raise LabError(error.what, where=str(path), remedy=error.remedy) from error


def _with_key(text: str, key: str, value: str, table: str) -> str:
    """Return the text with the key set, in the table where one is named, else at the top."""
    line = re.compile(rf"^([ \t]*{key}[ \t]*=[ \t]*)[^#\s]+", re.MULTILINE)
    if line.search(text):
        return line.sub(rf"\g<1>{value}", text, count=1)
    if not table:
        return f"{key} = {value}\n{text}"
    header = re.compile(rf"^[ \t]*\[{table}\][^\n]*$", re.MULTILINE)
    return header.sub(lambda m: f"{m.group(0)}\n{key} = {value}", text, count=1)


class _Keys:
    """The keys of a TOML table, each taken with its kind checked."""

    def __init__(self, table: Any, where: str) -> None:
        if not isinstance(table, Mapping):
            raise LabError("[board] is not a table", where=where)
        self.table, self.where = table, where

    def allow(self, allowed: set[str]) -> None:
        unknown = sorted(set(self.table) - allowed)
        if unknown:
            raise LabError(
                f"unknown key {', '.join(unknown)}",
                where=self.where,
                remedy=f"Known keys: {', '.join(sorted(allowed))}.",
            )

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        if key not in self.table:
            if default is None:
                raise LabError(f"the key {key} is missing", where=self.where)
            return default
        value = self.table[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise LabError(f"{key} must be a {kind.__name__}, got {value!r}", where=self.where)
        return value


def _from_own(keys: _Keys, stem: str) -> Board:
    keys.allow(_OWN_KEYS)
    printed_mm = keys.take("square_mm", float)
    square_mm = keys.take("measured_square_mm", float, printed_mm)
    if ("marker_mm" in keys.table) == ("marker_ratio" in keys.table):
        raise LabError("give either marker_mm or marker_ratio", where=keys.where)
    if "marker_mm" in keys.table:
        # The printer scales markers and squares alike.
        marker_mm = keys.take("marker_mm", float) * (square_mm / printed_mm if printed_mm else 1)
    else:
        marker_mm = square_mm * keys.take("marker_ratio", float)
    return Board(
        columns=keys.take("columns", int),
        rows=keys.take("rows", int),
        square_m=square_mm / 1000,
        marker_m=marker_mm / 1000,
        dictionary=keys.take("dictionary", str),
        legacy=keys.take("legacy", bool, False),
        inverted=keys.take("inverted", bool, False),
        name=keys.take("name", str, stem),
        mirrored=keys.take("mirrored", bool, False),
        two_sided=keys.take("two_sided", bool, False),
        thickness_m=keys.take("thickness_mm", float, 0.0) / 1000,
        nominal_m=printed_mm / 1000,
    )


def _from_paper(keys: _Keys, stem: str) -> Board:
    keys.allow(_PAPER_KEYS)
    columns, rows = keys.take("columns", int), keys.take("rows", int)
    nominal_m = 0.0
    override = next((k for k in _OVERRIDES if k in keys.table), "")
    if "units" in keys.table or not override:
        unit = keys.take("units", str)
        if unit not in _UNITS_M:
            raise LabError(f"units must be one of {', '.join(_UNITS_M)}", where=keys.where)
        width, height = (keys.take(k, float) for k in ("board_width", "board_height"))
        nominal_m = min(width / max(columns, 1), height / max(rows, 1)) * _UNITS_M[unit]
    square_m = keys.take(override, float) * _UNITS_M["cm"] if override else nominal_m
    return Board(
        columns=columns,
        rows=rows,
        square_m=square_m,
        marker_m=square_m * keys.take("aruco_scale", float),
        dictionary=keys.take("dictionary", str),
        legacy=keys.take("legacy_pattern", bool, False),
        inverted=keys.take("inverted", bool, False),
        name=stem,
        nominal_m=nominal_m,
    )
