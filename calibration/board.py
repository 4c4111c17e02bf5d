"""The ChArUco board: what was printed, as geometry, as a picture and in words."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray
from lab.errors import FileError, LabError

_UNITS_M = {"mm": 0.001, "cm": 0.01, "inch": 0.0254, "in": 0.0254, "m": 1.0}
_OWN_KEYS = {
    "name",
    "columns",
    "rows",
    "square_mm",
    "marker_mm",
    "marker_ratio",
    "dictionary",
    "legacy",
    "inverted",
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
    "square_size_overide_cm",
    "inverted",
    "legacy_pattern",
}


@dataclass(frozen=True, slots=True)
class Board:
    """A ChArUco board as printed.

    The board frame has its origin at the outer top-left corner of the print, x along its columns,
    y down its rows and z into the board, away from who looks at it (OpenCV's).

    Attributes:
        columns, rows: Squares across and down.
        square_m: Side of a square, measured on the print.
        marker_m: Side of a marker's black frame.
        dictionary: OpenCV's name of the marker dictionary, for example DICT_4X4_1000.
        legacy: The pattern of OpenCV before 4.6 (differs where the number of rows is even).
        inverted: Printed with black and white exchanged.
        name: For people.
    """

    columns: int
    rows: int
    square_m: float = field(metadata={"unit": "m"})
    marker_m: float = field(metadata={"unit": "m"})
    dictionary: str = "DICT_4X4_1000"
    legacy: bool = False
    inverted: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if self.columns < 3 or self.rows < 3:
            raise LabError(
                f"a board needs at least 3 x 3 squares, got {self.columns} x {self.rows}",
                where="board",
            )
        if not 0 < self.marker_m < self.square_m < math.inf:
            raise LabError(
                f"the marker ({1e3 * self.marker_m:g} mm) must be smaller than the square "
                f"({1e3 * self.square_m:g} mm), both positive",
                where="board",
            )
        number = getattr(cv2.aruco, self.dictionary, None)
        if not self.dictionary.startswith("DICT_") or not isinstance(number, int):
            raise LabError(
                f"there is no marker dictionary called {self.dictionary!r}",
                where="board",
                remedy="Use OpenCV's names, for example DICT_4X4_1000.",
            )
        markers = len(cv2.aruco.getPredefinedDictionary(number).bytesList)
        if self.columns * self.rows // 2 > markers:
            raise LabError(
                f"{self.dictionary} has {markers} markers, this board needs "
                f"{self.columns * self.rows // 2}",
                where="board",
                remedy="Choose a larger dictionary.",
            )

    @classmethod
    def from_toml(cls, path: Path | str) -> Board:
        """Read a board from our own layout ([board]) or from Caliscope's.

        Raises:
            FileError: When the file is missing or is not TOML.
            LabError: When a key is missing, unknown, of the wrong kind, or out of range.
        """
        path = Path(path)
        try:
            document = tomllib.loads(path.read_bytes().decode("utf-8"))
        except OSError as error:
            raise FileError(
                f"cannot be read ({error.strerror})", where=str(path), remedy="Check the path."
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise FileError(f"not a TOML file ({error})", where=str(path)) from error
        keys = _Keys(document.get("board", document), str(path))
        try:
            return (
                _from_own(keys, path.stem) if "board" in document else _from_paper(keys, path.stem)
            )
        except LabError as error:
            if error.where == str(path):
                raise
            raise LabError(error.what, where=str(path), remedy=error.remedy) from error

    def words(self) -> str:
        """Return the board's identity in words, for the record."""
        extras = [
            w for w, on in (("legacy pattern", self.legacy), ("inverted", self.inverted)) if on
        ]
        return ", ".join(
            [
                f"ChArUco {self.columns} x {self.rows}",
                f"square {1e3 * self.square_m:.4g} mm",
                f"marker {1e3 * self.marker_m:.4g} mm",
                self.dictionary,
                *extras,
            ]
        )

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of the printed pattern in m."""
        return self.columns * self.square_m, self.rows * self.square_m

    @property
    def corner_names(self) -> tuple[str, ...]:
        """The names of the N inner corners as keypoints: c000, c001, ..."""
        return tuple(f"c{i:03d}" for i in range((self.columns - 1) * (self.rows - 1)))

    def corners_m(self) -> FloatArray:
        """Return the inner corners (N, 3) m in the board frame, row by row (OpenCV's ids)."""
        x, y = np.meshgrid(np.arange(1, self.columns), np.arange(1, self.rows))
        flat = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
        return np.asarray(self.square_m * flat, np.float64)

    def pattern(self) -> Any:
        """Return OpenCV's own object of this board (not inverted: OpenCV does not know that)."""
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        pattern = cv2.aruco.CharucoBoard(
            (self.columns, self.rows), self.square_m, self.marker_m, dictionary
        )
        pattern.setLegacyPattern(self.legacy)
        return pattern

    def image(self, px_per_square: int) -> NDArray[np.uint8]:
        """Draw the print (rows * px_per_square, columns * px_per_square) uint8, without a margin.

        The image covers exactly the pattern, `size_m` wide and high: its outer top-left corner
        (pixel coordinates -0.5, -0.5) is the origin of the board frame, and the board point
        (x, y, 0) lies at pixel x * px_per_square / square_m - 0.5, and so in y.
        """
        if px_per_square < 8:
            raise ValueError(f"px_per_square must be at least 8, got {px_per_square}")
        size = (self.columns * px_per_square, self.rows * px_per_square)
        drawn = np.asarray(self.pattern().generateImage(size, marginSize=0), np.uint8)
        return 255 - drawn if self.inverted else drawn


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
    square_mm = keys.take("square_mm", float)
    if ("marker_mm" in keys.table) == ("marker_ratio" in keys.table):
        raise LabError("give either marker_mm or marker_ratio", where=keys.where)
    if "marker_mm" in keys.table:
        marker_mm = keys.take("marker_mm", float)
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
    )


def _from_paper(keys: _Keys, stem: str) -> Board:
    keys.allow(_PAPER_KEYS)
    columns, rows = keys.take("columns", int), keys.take("rows", int)
    for key in ("square_size_override_cm", "square_size_overide_cm"):
        if key in keys.table:
            square_m = keys.take(key, float) * _UNITS_M["cm"]
            break
    else:
        unit = keys.take("units", str)
        if unit not in _UNITS_M:
            raise LabError(f"units must be one of {', '.join(_UNITS_M)}", where=keys.where)
        width, height = (keys.take(k, float) for k in ("board_width", "board_height"))
        square_m = min(width / max(columns, 1), height / max(rows, 1)) * _UNITS_M[unit]
    return Board(
        columns=columns,
        rows=rows,
        square_m=square_m,
        marker_m=square_m * keys.take("aruco_scale", float),
        dictionary=keys.take("dictionary", str),
        legacy=keys.take("legacy_pattern", bool, False),
        inverted=keys.take("inverted", bool, False),
        name=stem,
    )
