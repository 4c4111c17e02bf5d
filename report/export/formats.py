"""The formats a trial can be exported to, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lab.atomic import make_folder
from lab.errors import LabError
from lab.trial import Trial
from report.export.c3d import write_c3d
from report.export.csv import write_csv
from report.export.mot import write_mot
from report.export.trc import write_trc

FORMATS: dict[str, Callable[[Trial, Path], list[Path]]] = {
    "c3d": write_c3d,
    "csv": write_csv,
    "mot": write_mot,
    "trc": write_trc,
}


def export(trial: Trial, format: str, directory: Path | str) -> list[Path]:
    """Write a trial in another program's format, each file whole or not at all.

    Args:
        trial: The walk; one without cycles exports its points and curves all the same.
        format: One of `FORMATS`.
        directory: Where to; made when it does not exist.

    Returns:
        The files written.

    Raises:
        LabError: When the format is not known, or cannot hold this trial.
        FileError: When a file cannot be written.
    """
    write = FORMATS.get(format)
    if write is None:
        raise LabError(
            f"the format {format!r} is not known",
            where="export",
            remedy=f"Choose one of {', '.join(sorted(FORMATS))}.",
        )
    folder = make_folder(Path(directory), "Choose a folder that can be written to.")
    return write(trial, folder)
