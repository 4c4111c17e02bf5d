"""What the readers of text files of markers share: lines, numbers, and what has to be given."""

from __future__ import annotations

import math
from pathlib import Path

from lab.errors import FileError, LabError


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file.

    Raises:
        FileError: When the file is missing, empty, or not text.
    """
    if not path.is_file():
        raise FileError("there is no such file", where=str(path), remedy="Check the path.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(
            "the file is not text",
            where=path.name,
            remedy="Give a C3D its ending .c3d; export TRC and CSV as text.",
        ) from error
    except OSError as error:
        raise FileError(
            f"the file cannot be read ({error.strerror})",
            where=path.name,
            remedy="Check that you may read it.",
        ) from error
    lines = text.splitlines()
    if not text.strip():
        raise FileError("the file is empty", where=path.name, remedy="Export the trial again.")
    return lines


def number(cell: str, where: str) -> float:
    """Return a cell's number; NaN for a blank one.

    Raises:
        FileError: When it holds something else.
    """
    text = cell.strip()
    if not text:
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise FileError(
            f"{text[:40]!r} is not a number",
            where=where,
            remedy="Write numbers with a decimal point and leave missing points blank.",
        ) from error


def unit_to_give(unit: str | None, where: str) -> str:
    """Return the unit, or ask for it.

    Raises:
        LabError: When it is not known.
    """
    if not unit:
        raise LabError(
            "the file does not say its unit of length",
            where=where,
            remedy='Give unit = "mm" (or "m", "cm") under [markers] in trial.toml.',
        )
    return unit


def axes_to_give(up: str | None, forward: str | None, where: str) -> tuple[str, str]:
    """Return the axes, or ask for them.

    Raises:
        LabError: When one is not known.
    """
    if not up:
        raise LabError(
            "the file does not say which axis points up",
            where=where,
            remedy='Give up = "z" (or "y") under [markers] in trial.toml.',
        )
    if not forward:
        raise LabError(
            "the file does not say which axis runs along the walkway or belt",
            where=where,
            remedy='Give forward = "+x" (or another axis) under [markers] in trial.toml.',
        )
    return up, forward
