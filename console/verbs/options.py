"""Options that verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

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
