"""gaitlab registry: patients and where their sessions lie."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from console.registry import open_registry
from console.terminal import out, write_json
from console.verbs.options import AsJson

app = typer.Typer(
    help="Patients and sessions: codes, and names where the lab keeps them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_Lab = Annotated[Path | None, typer.Option("--lab", help="The lab's folder.")]
_Code = Annotated[str, typer.Argument(help="The patient's code.")]


@app.command("search")
def search(
    text: Annotated[str, typer.Argument(help="A part of the code or the name.")] = "",
    lab: _Lab = None,
    json: AsJson = False,
) -> None:
    """Find patients; the search is logged."""
    rows = open_registry(lab).search(text)
    if json:
        write_json({"patients": [asdict(r) for r in rows]})
        return
    for row in rows:
        name = f"  {row.name}" if row.name else ""
        last = f", last {row.last[:10]}" if row.last else ""
        out.print(f"{row.code}{name}  {row.sessions} sessions{last}", markup=False)
    if not rows:
        out.print("nobody was found")


@app.command("add")
def add(
    code: _Code,
    name: Annotated[str, typer.Option(help="Kept in the registry and nowhere else.")] = "",
    born: Annotated[int | None, typer.Option(help="Year of birth.")] = None,
    lab: _Lab = None,
    json: AsJson = False,
) -> None:
    """Enter a patient."""
    open_registry(lab).add(code, name, born)
    if json:
        write_json({"entered": code})
    else:
        out.print(f"✓ entered {code}", style="green", markup=False)


@app.command("sessions")
def sessions(code: _Code, lab: _Lab = None, json: AsJson = False) -> None:
    """List a patient's sessions; it is logged."""
    rows = open_registry(lab).sessions(code)
    if json:
        write_json({"sessions": [asdict(r) for r in rows]})
        return
    for row in rows:
        out.print(
            f"{row.recorded[:16]}  {row.activity}  {row.takes} takes  {row.folder}", markup=False
        )
    if not rows:
        out.print("no session was found")


@app.command("rebuild")
def rebuild(lab: _Lab = None, json: AsJson = False) -> None:
    """Make all entries anew from the lab's folders; names are kept."""
    patients, found = open_registry(lab).rebuild()
    if json:
        write_json({"patients": patients, "sessions": found})
    else:
        out.print(f"✓ {patients} patients, {found} sessions", style="green")


@app.command("log")
def log(
    last: Annotated[int, typer.Option(help="How many.")] = 50,
    lab: _Lab = None,
    json: AsJson = False,
) -> None:
    """Show who did what, the newest first."""
    rows = open_registry(lab).accesses(last)
    if json:
        write_json({"accesses": [asdict(r) for r in rows]})
        return
    for row in rows:
        out.print(f"{row.at}  {row.who}@{row.computer}  {row.what} {row.about}", markup=False)
