"""gaitlab trial: trial folders."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from console.event_edits import add_edit
from console.lab_folder import leave_out, take_in
from console.progress import steps
from console.quick_look import look_quickly
from console.settings import RECORD, TEMPLATE, TRIAL_FILE, check_code
from console.terminal import out, write_json
from console.verbs.options import AsJson
from lab.errors import LabError
from lab.store import load_trial

app = typer.Typer(help="Trial folders.", no_args_is_help=True, rich_markup_mode=None)
_NEAR_S = 0.02


@app.command("new")
def new(
    folder: Annotated[Path, typer.Argument(help="The folder to make.")],
    patient: Annotated[str, typer.Option(help="The patient's code, never a name.")] = "P001",
    json: AsJson = False,
) -> int:
    """Make a trial folder with a commented trial.toml."""
    path = folder / TRIAL_FILE
    check_code(patient, "--patient")
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


@app.command("look")
def look(
    folder: Annotated[Path, typer.Argument(help="The trial's folder.")],
    json: AsJson = False,
) -> int:
    """Say whether the person is found in a recorded trial, from a few instants of it."""
    with steps(("a first look",)) as progress:
        progress("a first look")
        found = look_quickly(folder)
    if json:
        write_json(asdict(found))
    else:
        name, share = found.weakest
        out.print(
            f"{found.found_share:.0%} seen by two cameras or more at {found.instants} instants; "
            f"least: {name}, {share:.0%}",
            markup=False,
        )
    return 0


@app.command("event")
def event(
    folder: Annotated[Path, typer.Argument(help="The processed trial's folder.")],
    side: Annotated[str, typer.Option(help="left or right.")],
    kind: Annotated[str, typer.Option(help="foot_strike or foot_off.")],
    at: Annotated[float, typer.Option(help="Where it was found, s.")],
    reason: Annotated[str, typer.Option(help="Why it is changed; it stands in the report.")],
    to: Annotated[float | None, typer.Option(help="Where it is; without it, left out.")] = None,
    json: AsJson = False,
) -> int:
    """Move an event or leave it out, with a reason; gaitlab process then goes by it."""
    trial = load_trial(folder / RECORD)
    first, last = float(trial.points.t[0]), float(trial.points.t[-1])
    if to is not None and not first <= to <= last:
        raise LabError(
            f"{to:.3f} s is not in the recording, which goes from {first:.3f} to {last:.3f} s",
            where="--to",
            remedy="Give the time of the event in the recording, in s.",
        )
    near = [
        e for e in trial.events if (e.side, e.kind) == (side, kind) and abs(e.t - at) <= _NEAR_S
    ]
    if not near:
        raise LabError(
            f"there is no {side} {kind} within {_NEAR_S * 1000:.0f} ms of {at:.3f} s",
            where=str(folder),
            remedy="gaitlab export --to csv lists the events; sides are left and right, kinds "
            "foot_strike and foot_off.",
        )
    edits = add_edit(folder, min(near, key=lambda e: abs(e.t - at)), reason, to)
    if json:
        write_json({"edits": [e.words for e in edits]})
    else:
        out.print(f"{edits[-1].words}\nnow run gaitlab process {folder}", markup=False)
    return 0


@app.command("leave-out")
def leave_out_of_report(
    folder: Annotated[Path, typer.Argument(help="The trial's folder.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the trial.")] = "",
    back: Annotated[bool, typer.Option("--back", help="Take it in again.")] = False,
    json: AsJson = False,
) -> int:
    """Leave a trial out of what the console processes and reports; nothing is deleted."""
    if not (folder / TRIAL_FILE).is_file():
        raise LabError("there is no trial.toml", where=str(folder))
    if back:
        take_in(folder)
    else:
        leave_out(folder, reason or "left out")
    if json:
        write_json({"trial": str(folder), "left_out": not back})
    else:
        out.print(f"{folder}: {'taken in' if back else 'left out'}", markup=False)
    return 0
