"""How a calibration is told what is up and which way is walked.

Without any choice the floor is taken to be level and the board's x axis to lie along the walkway,
as `gaitlab calibrate` does by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calibration.floor import HEADINGS
from calibration.thresholds import thresholds
from console.calibrating import FLOOR
from console.lab_folder import RIG_FILE
from lab.atomic import write_atomically
from lab.errors import LabError
from lab.toml_file import toml_bytes

LEVEL, INCLINE, PLUMB = "level", "incline", "plumb"
PLUMB_FILE = "plumb.toml"
# Solved, but its up is not yet the line's: no rig that anything is recorded with.
BEFORE_LINE = "before-line.h5"
USUAL_SIGMA_DEG = float(thresholds()["gravity"]["sigma_deg"])
_STEEPEST_DEG = 45.0
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class UpChoice:
    """See the module.

    Attributes:
        by: level, incline or plumb.
        heading: The board's axis along the walkway: +x, -x, +y or -y.
        sigma_deg: How level the floor is, or how well the inclinometer reads; one standard
            deviation.
        incline_deg: Along the board's columns and down its rows, positive where it rises.
        lines_px: Top and bottom of the hanging line in the image of each camera.
        line_sigma_px: How well a point on the line was marked.
    """

    by: str = LEVEL
    heading: str = "+x"
    sigma_deg: float = USUAL_SIGMA_DEG
    incline_deg: tuple[float, float] | None = None
    lines_px: Mapping[str, tuple[Point, Point]] = field(default_factory=dict)
    line_sigma_px: float = 1.0

    def check(self) -> None:
        """Raise LabError for a choice that says too little."""
        if self.heading not in HEADINGS:
            raise ValueError(f"no heading {self.heading}")
        if not 0 < self.sigma_deg <= _STEEPEST_DEG:
            raise LabError(
                "how well the floor or the inclinometer is known lies between 0 and 45 degrees",
                remedy=f"Usual is {USUAL_SIGMA_DEG}.",
            )
        if self.by == INCLINE and (
            self.incline_deg is None or max(map(abs, self.incline_deg)) > _STEEPEST_DEG
        ):
            raise LabError(
                "the incline is not given",
                remedy="Read the inclinometer along the board's columns and down its rows; "
                "0 where it is level.",
            )
        if self.by == PLUMB and len(self.lines_px) < 2:
            raise LabError(
                f"the hanging line is marked in {len(self.lines_px)} pictures; two are needed",
                remedy="Click its top and its bottom in two pictures that see it from aside.",
            )


def solve_words(choice: UpChoice) -> tuple[str, ...]:
    """Return what `gaitlab calibrate` is told of a choice: its error is part of the adjustment.

    Raises:
        LabError: For a choice that says too little.
    """
    choice.check()
    words = [f"--heading={choice.heading}"]
    if choice.by != PLUMB:
        words += ["--level-sigma-deg", f"{choice.sigma_deg:g}"]
    if choice.by == INCLINE and choice.incline_deg is not None:
        words += ["--inclinometer-deg", *(f"{v:g}" for v in choice.incline_deg)]
    return tuple(words)


def plumb_verb(folder: Path, board: Path, choice: UpChoice) -> tuple[str, ...]:
    """Return the verb that takes up from a hanging line; writes plumb.toml into the folder.

    Raises:
        LabError: For a choice that says too little.
    """
    choice.check()
    lines = {
        camera: {"top": _tenths(top), "bottom": _tenths(bottom)}
        for camera, (top, bottom) in choice.lines_px.items()
    }
    content = {"sigma_px": round(choice.line_sigma_px, 2), "cameras": lines}
    note = "The hanging line as marked in the console: docs/floor.md."
    write_atomically(folder / PLUMB_FILE, toml_bytes(content, note))
    words = [
        "rig",
        "floor",
        str(folder / BEFORE_LINE),
        *(str(p) for p in sorted((folder / FLOOR).glob("*.mkv"))),
    ]
    words += ["--board", str(board), f"--heading={choice.heading}"]
    return (*words, "--plumb", str(folder / PLUMB_FILE), "-o", str(folder / RIG_FILE))


def _tenths(point: Point) -> list[float]:
    return [round(v, 1) for v in point]
