"""The ChArUco board: what was printed, as geometry, as a picture and in words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray
from lab.errors import LabError


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
        mirrored: Printed as its mirror image (a transfer, or a print seen through glass).
        two_sided: The back bears the same pattern, square behind square, so that from behind it
            reads as the mirror image.
        thickness_m: From the front print to the back one; the back corners lie so far behind.
        nominal_m: Side of a square as it is sent to the printer; 0 where it is `square_m`.
    """

    columns: int
    rows: int
    square_m: float = field(metadata={"unit": "m"})
    marker_m: float = field(metadata={"unit": "m"})
    dictionary: str = "DICT_4X4_1000"
    legacy: bool = False
    inverted: bool = False
    name: str = ""
    mirrored: bool = False
    two_sided: bool = False
    thickness_m: float = field(default=0.0, metadata={"unit": "m"})
    nominal_m: float = field(default=0.0, metadata={"unit": "m"})

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
        if not 0 <= self.thickness_m < 0.1:
            raise LabError(
                f"a board {1e3 * self.thickness_m:g} mm thick is none (0 to 100 mm)", where="board"
            )
        if not 0 <= self.nominal_m < math.inf:
            raise LabError("the square to print must be positive", where="board")
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
        from calibration.board_toml import read_board

        return read_board(path)

    def words(self) -> str:
        """Return the board's identity in words, for the record."""
        said = (
            ("legacy pattern", self.legacy),
            ("inverted", self.inverted),
            ("mirrored", self.mirrored),
            (f"two-sided, {1e3 * self.thickness_m:.4g} mm thick", self.two_sided),
        )
        extras = [word for word, on in said if on]
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
        """The names of the N inner corners as keypoints: c000, c001, ...

        A thick two-sided board has as many again on its back, which follow.
        """
        sides = 2 if self.two_sided and self.thickness_m > 0 else 1
        return tuple(f"c{i:03d}" for i in range(sides * self.corners_per_side))

    @property
    def corners_per_side(self) -> int:
        """How many inner corners a print of it has."""
        return (self.columns - 1) * (self.rows - 1)

    @property
    def print_square_m(self) -> float:
        """Side of a square as it is sent to the printer."""
        return self.nominal_m or self.square_m

    def corners_m(self) -> FloatArray:
        """Return the inner corners (N, 3) m in the board frame, row by row (OpenCV's ids)."""
        across = np.arange(1, self.columns)
        x, y = np.meshgrid(across[::-1] if self.mirrored else across, np.arange(1, self.rows))
        flat = self.square_m * np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
        if len(self.corner_names) > len(flat):
            flat = np.concatenate([flat, flat + np.array([0.0, 0.0, self.thickness_m])])
        return np.asarray(flat, np.float64)

    def pattern(self) -> Any:
        """Return OpenCV's own object of this board, which knows neither inverted nor mirrored."""
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        pattern = cv2.aruco.CharucoBoard(
            (self.columns, self.rows), self.square_m, self.marker_m, dictionary
        )
        pattern.setLegacyPattern(self.legacy)
        return pattern

    def image(self, px_per_square: int, *, back: bool = False) -> NDArray[np.uint8]:
        """Draw the print (rows * px_per_square, columns * px_per_square) uint8, without a margin.

        The image covers exactly the pattern, `size_m` wide and high: its outer top-left corner
        (pixel coordinates -0.5, -0.5) is the origin of the board frame, and the board point
        (x, y, 0) lies at pixel x * px_per_square / square_m - 0.5, and so in y. The back of a
        two-sided board is drawn as who stands behind it sees it.
        """
        if px_per_square < 8:
            raise ValueError(f"px_per_square must be at least 8, got {px_per_square}")
        size = (self.columns * px_per_square, self.rows * px_per_square)
        drawn = np.asarray(self.pattern().generateImage(size, marginSize=0), np.uint8)
        drawn = 255 - drawn if self.inverted else drawn
        return np.ascontiguousarray(drawn[:, ::-1]) if self.mirrored != back else drawn
