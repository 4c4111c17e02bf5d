"""gaitlab console: the lab console."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.lab_folder import lab_folder
from console.verbs.options import AsJson
from lab.errors import LabError


def console(
    lab: Annotated[
        Path | None,
        typer.Option("--lab", help="The lab's folder; GAITLAB_HOME or ~/gaitlab without it."),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Bring simulated cameras, to train without any.")
    ] = False,
    json: AsJson = False,
) -> int:
    """Open the lab console: rig, calibrate, capture, review, report."""
    try:
        from console.qt.app import run_console
    except ImportError as error:
        raise LabError(
            f"the window system cannot be loaded ({error})",
            remedy="On Debian: apt install libegl1 libgl1 libxkbcommon-x11-0 libxcb-cursor0.",
        ) from error
    from console.desk import Desk

    if not demo:
        return run_console(Desk(lab_folder(lab)))
    from console.demo_cell import DemoCell

    folder = lab if lab is not None else lab_folder(None) / "demo-lab"
    cell = DemoCell(folder)
    cell.begin()
    return run_console(Desk(folder, cell))
