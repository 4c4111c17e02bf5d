"""Options that verbs share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lab.atomic import make_folder
from lab.errors import FileError

# Of this computer's keys, for nodes and for the lab alike.
KEYS = Path.home() / ".gaitlab" / "keys"
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object on standard output.")
]
UseRefusedRig = Annotated[
    bool,
    typer.Option(
        "--use-refused-rig",
        help="Use a rig that its calibration refused; every page of the report says so.",
    ),
]
UseUnfit = Annotated[
    bool,
    typer.Option(
        "--use-unfit",
        help="Use a recording whose frames or clocks are unfit; the rig is then refused, and says "
        "so.",
    ),
]
USE_UNFIT = "To use it all the same add --use-unfit; the rig is then refused, with this reason."
Cache = Annotated[
    bool,
    typer.Option(help="Keep the corners found in a video, and use those found before."),
]


def to_write(path: Path | None) -> Path | None:
    """Make the folder of a file to be written, before any work is done for it.

    Raises:
        FileError: When it cannot be made or written to, or the file is a folder.
    """
    if path is None:
        return None
    folder = make_folder(path.parent, "Give a place after -o where files may be written.")
    if path.is_dir():
        raise FileError("is a folder", where=str(path), remedy="Give a file's name after -o.")
    if not os.access(folder, os.W_OK):
        raise FileError(
            "the folder may not be written to",
            where=str(folder),
            remedy="Give a place after -o where files may be written.",
        )
    return path
