"""gaitlab node: the process on a camera computer, and its pairing with the lab's."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from capture.cameras import read_cameras
from capture.discovery import advertise
from capture.door import is_loopback
from capture.enrol import ENROL_PORT, await_lab, enrol_with
from capture.guard import Ready, run_guarded
from capture.keys import trusted_keys
from capture.node import DEFAULT_PORT
from console.terminal import log, out, write_json
from console.verbs.options import KEYS, AsJson
from lab.errors import LabError

app = typer.Typer(
    help="The process on a camera computer, and its pairing with the lab's.",
    rich_markup_mode=None,
)
_Keys = Annotated[Path, typer.Option("--keys", help="Folder of this computer's keys.")]
_Name = Annotated[str, typer.Option("--name", help="Name of this computer in the lab.")]


@app.callback(invoke_without_command=True)
def node(
    context: typer.Context,
    cameras: Annotated[Path, typer.Option(help="cameras.toml of the rig.")] = Path("cameras.toml"),
    data: Annotated[Path, typer.Option(help="Folder of recordings.")] = Path("recordings"),
    name: _Name = "",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of the control channel; 0 for any.")] = DEFAULT_PORT,
    keys: _Keys = KEYS,
    hidden: Annotated[bool, typer.Option(help="Not to be found by name on the network.")] = False,
    json: AsJson = False,
) -> None:
    """Run the process on a camera computer until Ctrl-C; a trial under way is recorded first."""
    if context.invoked_subcommand is not None:
        return
    called = name or _computer_name()
    chosen = tuple(read_cameras(cameras, called))
    if not chosen:
        raise LabError(
            f'there is no camera of the node "{called}"',
            where=str(cameras),
            remedy=f'Set node = "{called}" there, or give --name.',
        )
    open_to_others = not is_loopback(host)
    if open_to_others and not trusted_keys(keys):
        raise LabError(
            "this node knows no lab's computer, so nobody could talk to it",
            remedy="Run gaitlab node enrol first.",
        )
    words: list[str | Path] = ["--name", called, "--cameras", cameras, "--data", data]
    words += ["--host", host] + (["--keys", keys] if open_to_others else [])
    with ExitStack() as stack:

        def ready(running: Ready) -> None:
            if open_to_others and not hidden:
                stack.enter_context(advertise(called, running.port))
            _tell_ready(running, json)

        status = run_guarded(words, port, ready, lambda line: log.print(f"! {line}", markup=False))
    if status:
        raise typer.Exit(status)


@app.command("enrol")
def enrol(
    to: Annotated[
        str, typer.Option(help="On the lab's computer: address of the node that waits.")
    ] = "",
    name: _Name = "",
    port: Annotated[int, typer.Option(help="Port to wait on, or of the node.")] = ENROL_PORT,
    keys: _Keys = KEYS,
    json: AsJson = False,
) -> None:
    """Pair with another computer: here without --to on the node, then with --to on the lab's."""
    called = name or _computer_name()
    if to:
        other = enrol_with(keys, called, f"tcp://{to}:{port}", _compare)
    else:
        log.print(f"waiting for the lab's computer: gaitlab node enrol --to {called}")
        other = await_lab(keys, called, _compare, port=port)
    if json:
        write_json({"enrolled": other})
    else:
        out.print(f"✓ enrolled with {other}", style="green", markup=False)


def _compare(other: str, code: str) -> bool:
    log.print(f"{other} and this computer: code {code[:3]} {code[3:]}", style="bold", markup=False)
    return typer.confirm("Does the other screen show the same code?", default=False, err=True)


def _tell_ready(running: Ready, json: bool) -> None:
    if json:
        write_json(asdict(running))
        return
    out.print(f"node {running.node} on port {running.port}: {', '.join(running.cameras)}")
    for line in running.differences:
        out.print(f"  {line}", markup=False)


def _computer_name() -> str:
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-"
                   for c in socket.gethostname().partition(".")[0])  # fmt: skip
    return kept.strip("-_")[:48] or "node"
