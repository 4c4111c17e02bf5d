"""Options that verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
Cache = Annotated[
    bool,
    typer.Option(help="Keep the corners found in a video, and use those found before."),
]
