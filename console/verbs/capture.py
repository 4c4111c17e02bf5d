"""gaitlab capture: a session without a screen."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from capture.session import Session
from console.capturing import Capturing, node_addresses, search_nodes
from console.plan import KINDS, Plan, PlannedTake, read_plan
from console.progress import counts
from console.terminal import FAILED, REFUSED, log, out, write_json
from console.verbs.options import KEYS, AsJson
from lab.errors import LabError


def capture(
    out_folder: Annotated[
        Path, typer.Option("--out", "-o", help="The session's folder; the same again goes on.")
    ],
    node: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=HOST:PORT of a camera computer, or NAME to search for it; may be repeated. "
            "Without any, every enrolled one that answers on the network."
        ),
    ] = None,
    patient: Annotated[str | None, typer.Option(help="The patient's code, never a name.")] = None,
    activity: Annotated[str | None, typer.Option(help="walk or run.")] = None,
    treadmill_speed_m_s: Annotated[float | None, typer.Option(help="Leave out overground.")] = None,
    encoding: Annotated[str | None, typer.Option(help="mjpeg, raw, ffv1 or h264.")] = None,
    rig: Annotated[
        Path, typer.Option(help="The rig's calibration.h5, as trial.toml names it.")
    ] = Path("calibration.h5"),
    keys: Annotated[
        Path | None,
        typer.Option(help=f"Folder of keys, beyond this computer; {KEYS} for a search."),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="This computer's address on the network to search, if it has several."),
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="A session plan (TOML) instead of questions.")
    ] = None,
    json: AsJson = False,
) -> int:
    """Record calibrate, floor, static and trials through nodes, each into a folder of its own."""
    given = {
        "patient": patient,
        "activity": activity,
        "treadmill_speed_m_s": treadmill_speed_m_s,
        "encoding": encoding,
    }
    wanted = _plan(read_plan(plan) if plan else Plan(), given)
    sentences: list[str] = []

    def say(sentence: str) -> None:
        sentences.append(sentence)
        log.print(f"! {sentence}", markup=False)

    nodes = dict(wanted.nodes)
    named = [text.partition("=")[::2] for text in node or []]
    nodes.update({name: address for name, address in named if address})
    sought = [name for name, address in named if not address]
    if sought or not nodes:
        keys = keys or (KEYS if KEYS.is_dir() else None)
        nodes |= search_nodes(sought, keys, network, say)
    session = Session(node_addresses(nodes, keys), out_folder, say)
    with counts() as progress:
        capturing = Capturing(wanted, session, rig, say, progress)
        try:
            session.open()
            capturing.finish_earlier()
            if plan:
                _follow(capturing, wanted.take)
        except LabError as error:
            if not capturing.recorded:
                raise
            say(str(error))
        finally:
            if plan:
                session.close()
    if not plan:
        _converse(capturing, say)
        session.close()
    result = _result(capturing, out_folder, sentences)
    if json:
        write_json(result)
    else:
        _show(capturing, out_folder)
    if any(r.landed is None for r in capturing.recorded) or (
        plan and len(capturing.recorded) < len(wanted.take)
    ):
        return FAILED
    return REFUSED if any(r.landed and r.landed.reasons for r in capturing.recorded) else 0


def _plan(plan: Plan, given: dict[str, object]) -> Plan:
    """Put what stands on the command line over the plan, checked alike."""
    changed = msgspec.to_builtins(plan) | {k: v for k, v in given.items() if v is not None}
    try:
        return msgspec.convert(changed, Plan)
    except msgspec.ValidationError as error:
        raise LabError(str(error).replace("`", ""), remedy="See gaitlab capture --help.") from error


def _follow(capturing: Capturing, takes: tuple[PlannedTake, ...]) -> None:
    for take in takes:
        log.print(f"recording {take.folder}, {take.seconds:g} s", markup=False)
        capturing.record(take)


def _converse(capturing: Capturing, say: Callable[[str], None]) -> None:
    """Ask the operator for one take after another until there are no more."""
    answers: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            answers.put(line.strip())
        answers.put(None)

    threading.Thread(target=read, name="keyboard", daemon=True).start()
    while True:
        log.print(
            f"next: {', '.join(KINDS)} [NAME] [SECONDS], or end. Enter ends a take early.",
            markup=False,
        )
        line = answers.get()
        if line is None or line in ("end", "quit", "q"):
            return
        if not line:
            continue
        try:
            take = _spoken(line.split())
            log.print(f"recording {take.folder}: press Enter to end it", markup=False)
            capturing.record(take, enough=lambda: _pressed(answers))
        except LabError as error:
            say(str(error))


def _pressed(answers: queue.Queue[str | None]) -> bool:
    """Whether Enter was pressed; another line waits for its turn."""
    if not answers.empty() and answers.queue[0] == "":
        answers.get()
        return True
    return False


def _spoken(words: list[str]) -> PlannedTake:
    """Understand `trial walk1 30`."""
    content: dict[str, object] = {"kind": words[0]}
    for word in words[1:]:
        try:
            content["seconds"] = float(word)
        except ValueError:
            content["name"] = word
    try:
        return msgspec.convert(content, PlannedTake)
    except msgspec.ValidationError as error:
        raise LabError(
            f'"{" ".join(words)}" is no take ({error})'.replace("`", ""),
            remedy="Type, for instance: trial walk1 30",
        ) from error


def _result(capturing: Capturing, folder: Path, sentences: list[str]) -> dict[str, object]:
    return {
        "session": str(folder),
        "takes": [
            {
                "name": r.take.folder,
                "kind": r.take.kind,
                "folder": str(folder / r.take.folder),
                "collected": r.landed is not None,
                "fit": r.landed is not None and not r.landed.reasons,
                "reasons": list(r.landed.reasons) if r.landed else [r.fault],
                "figures": dict(r.landed.figures) if r.landed else {},
                "cameras": {
                    c.camera: {"frames": len(c.t), "lost": c.lost}
                    for c in (r.landed.cameras if r.landed else ())
                },
            }
            for r in capturing.recorded
        ],
        "faults": sentences,
    }


def _show(capturing: Capturing, folder: Path) -> None:
    for recorded in capturing.recorded:
        where = folder / recorded.take.folder
        if recorded.landed is None:
            out.print(f"✗ {where}: not collected", style="bold red", markup=False)
            continue
        sync = recorded.landed.figures["sync_error_95_ms"]
        frames = sum(len(c.t) for c in recorded.landed.cameras)
        lost = sum(c.lost for c in recorded.landed.cameras)
        mark = "✗ unfit" if recorded.landed.reasons else "✓"
        out.print(
            f"{mark} {where}: {frames} frames, {lost} lost, clocks within ±{sync:.2f} ms",
            markup=False,
        )
        if recorded.take.kind == "calibrate":
            out.print(
                f"  next: gaitlab calibrate {where}/*.mkv --times {where}/times.csv "
                f"--board BOARD.toml -o {folder}/calibration.h5",
                markup=False,
            )
        elif recorded.take.kind == "trial":
            out.print(f"  next: gaitlab process {where}", markup=False)
