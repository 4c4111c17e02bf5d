"""What every writer of another program's calibration does: whole files, and what was lost."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.formats.refit import Refit
from lab.atomic import write_atomically
from lab.errors import LabError
from lab.rig import Rig


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer did.

    Attributes:
        files: The files written.
        not_held: What of the rig the format cannot hold, in words.
        refits: The lenses that had to be written in another model, with what that costs.
    """

    files: tuple[Path, ...]
    not_held: tuple[str, ...]
    refits: tuple[Refit, ...] = ()


def not_held(rig: Rig, *further: str) -> tuple[str, ...]:
    """Return what no format but our own holds, and what this one does not."""
    lost = ["the gate's verdict, reasons and figures"]
    if rig.has_covariance:
        lost.insert(0, "the covariance")
    if rig.board:
        lost.append("the board")
    if rig.created:
        lost.append("the time of calibration")
    if any("time_offset_s" in own for own in rig.quality.cameras.values()):
        lost.append("the cameras' time offsets")
    return (*lost, *further)


def write_text(path: Path, text: str) -> Path:
    """Write a text file whole, with Unix line ends; return its path."""
    write_atomically(path, text.encode("utf-8"))
    return path


def quoted(text: str) -> str:
    """Return a text in double quotes as TOML, YAML and JSON read it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def array(values: Any) -> str:
    """Return numbers in brackets, each so that it reads back as the same double."""
    return "[" + ", ".join(repr(float(value)) for value in values) + "]"


def plain_names(names: Sequence[str], where: str) -> list[str]:
    """Return names of letters, digits, _ and - alone.

    Raises:
        LabError: When two of them become the same.
    """
    plain = [re.sub(r"[^A-Za-z0-9_-]", "_", name) for name in names]
    if len(set(plain)) != len(plain):
        raise LabError(
            "the cameras' names differ only in signs that this format does not allow",
            where=where,
            remedy="Choose another format.",
        )
    return plain
