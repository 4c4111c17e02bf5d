"""gaitlab trial: trial folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.settings import TEMPLATE, TRIAL_FILE
from console.terminal import out, write_json
from console.verbs.options import AsJson
from lab.errors import LabError

app = typer.Typer(help="Trial folders.", no_args_is_help=True, rich_markup_mode=None)


@app.command("new")
def new(
    folder: Annotated[Path, typer.Argument(help="The folder to make.")],
    patient: Annotated[str, typer.Option(help="The patient's code, never a name.")] = "P001",
    json: AsJson = False,
) -> int:
    """Make a trial folder with a commented trial.toml."""
    path = folder / TRIAL_FILE
    if path.exists():
        raise LabError(
            "there is a trial already", where=str(path), remedy="Choose another folder name."
        )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(TEMPLATE.format(patient=patient), encoding="utf-8")
    if json:
        write_json({"trial": str(path)})
    else:
        out.print(
            f"made {path}: fill in what it asks for, then run gaitlab process {folder}",
            markup=False,
        )
    return 0


@app.callback()
def _group() -> None:
    """Keep `new` a verb of its own although it is the only one."""
