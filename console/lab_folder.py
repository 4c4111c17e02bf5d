"""A lab's folder: where its nodes, boards, rigs, sessions and takes are, and how each stands.

    nodes.toml                              the camera computers (capture/discovery.py)
    lab.toml                                what the lab states of itself; may be absent
    boards/NAME.toml                        boards besides those that come with gaitlab
    rigs/NAME/calibration.h5                a rig; its recordings calibrate/ and floor/ beside it
    sessions/PATIENT/DATE/TAKE/trial.toml   a take's videos; trial.h5, report.pdf once processed

Everything here is read from what exists, each time it is asked for: nothing is kept beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from console.settings import (
    RECORD,
    REPORT,
    TRIAL_FILE,
    DetectTable,
    TieTable,
    TrialSettings,
    read_settings,
)
from lab.atomic import write_atomically
from lab.errors import LabError
from lab.store import load_verdict
from lab.toml_file import read_toml

LAB_FILE = "lab.toml"
NODES_FILE = "nodes.toml"
SESSIONS, RIGS, BOARDS = "sessions", "rigs", "boards"
RIG_FILE = "calibration.h5"
# Written by capture/session.py and capture/landing.py, which are long to import.
JOURNAL, SYNC = "session.jsonl", "sync.json"
LEFT_OUT = "left-out.txt"
_TAKE_FILES = (TRIAL_FILE, SYNC, RECORD, REPORT, LEFT_OUT)


class LabSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """lab.toml.

    Attributes:
        name: Of the lab.
        registry: Address of the registry's database; empty for registry.db in the lab's folder.
        board: Name of the board in use.
        keys: Folder of this computer's keys; empty where all nodes are on this computer.
        rig_days: A rig older than this many days is to be made again.
        detect: What finds the person in captured videos: [detect] of every trial.toml.
        tie: How standing trials tie the plates worn: [tie] of their trial.toml.
    """

    name: str = ""
    registry: str = ""
    board: str = ""
    keys: str = ""
    rig_days: float = 7.0
    detect: DetectTable | None = None
    tie: TieTable | None = None

    @property
    def needs_height(self) -> bool:
        """Whether a person's height is part of a recording: plates tied by the standing pose."""
        return self.tie is not None and self.tie.by == "standing"


def lab_folder(stated: Path | None) -> Path:
    """Return the lab's folder: as stated, GAITLAB_HOME, or ~/gaitlab."""
    if stated is not None:
        return stated
    home = os.environ.get("GAITLAB_HOME")
    return Path(home) if home else Path.home() / "gaitlab"


def read_lab(folder: Path) -> LabSettings:
    """Read lab.toml; what is not there has its usual value.

    Raises:
        FileError: When it is there and wrong.
    """
    path = folder / LAB_FILE
    if not path.is_file():
        return LabSettings()
    remedy = "docs/console.md lists what may stand in it."
    return read_toml(path, LabSettings, "a lab's settings", remedy)


@dataclass(frozen=True, slots=True)
class TakeState:
    """How one take stands.

    Attributes:
        folder: The take's.
        kind: static or trial.
        state: recorded (not processed yet), unfit (its frames or clocks), accepted, refused,
            damaged, or left out (by the operator).
        reasons: Why not; or what to note.
        figures: Of the recording, by name with unit suffix.
        lost: Frames lost, of how many; by camera.
        settings: None where trial.toml cannot be read.
        processed_s: When trial.h5 was written, s since the epoch; 0 where there is none.
        reported: Whether report.pdf is there.
    """

    folder: Path
    kind: str
    state: str
    reasons: tuple[str, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)
    lost: dict[str, tuple[int, int]] = field(default_factory=dict)
    settings: TrialSettings | None = None
    processed_s: float = 0.0
    reported: bool = False

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.folder.name

    @property
    def record(self) -> Path:
        """Its trial.h5, there or not."""
        return self.folder / RECORD

    @property
    def report(self) -> Path:
        """Its report.pdf, there or not."""
        return self.folder / REPORT


@dataclass(frozen=True, slots=True)
class SessionState:
    """How one session stands.

    Attributes:
        folder: Its folder.
        patient: The code.
        activity: Of its first take.
        recorded: ISO 8601 of its first take.
        takes: In the order they were recorded.
        on_nodes: Names of takes that were begun and are not collected: they are on the nodes.
    """

    folder: Path
    patient: str
    activity: str
    recorded: str
    takes: tuple[TakeState, ...]
    on_nodes: tuple[str, ...] = ()


def take_state(folder: Path) -> TakeState:
    """Say how a take stands, from its files."""
    record = folder / RECORD
    return replace(
        _take_state(folder),
        processed_s=record.stat().st_mtime if record.is_file() else 0.0,
        reported=(folder / REPORT).is_file(),
    )


class TakeReader:
    """Says how takes stand, and reads again only what has changed since it was last read.

    A take is what its files are: as long as their sizes and times are the same, so is its state.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[object, TakeState]] = {}

    def __call__(self, folder: Path) -> TakeState:
        """Return how a take stands."""
        sign = tuple(_sign(folder / name) for name in _TAKE_FILES)
        known = self._known.get(folder)
        if known is None or known[0] != sign:
            known = self._known[folder] = (sign, take_state(folder))
        return known[1]


def _sign(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _take_state(folder: Path) -> TakeState:
    figures, lost, unfit = _read_sync(folder)
    try:
        settings = read_settings(folder)[0]
    except LabError as error:
        return TakeState(folder, "trial", "damaged", (str(error),), figures, lost)
    kind = "static" if folder.name.startswith(("static", "standing")) else "trial"
    if (folder / LEFT_OUT).is_file():
        reason = (folder / LEFT_OUT).read_text(encoding="utf-8", errors="replace").strip()
        return TakeState(folder, kind, "left out", (reason,), figures, lost, settings)
    record = folder / RECORD
    if record.is_file():
        try:
            accepted, reasons = load_verdict(record)
        except LabError as error:
            return TakeState(folder, kind, "damaged", (str(error),), figures, lost, settings)
        state = "accepted" if accepted else "refused"
        return TakeState(folder, kind, state, reasons, figures, lost, settings)
    return TakeState(folder, kind, "unfit" if unfit else "recorded", unfit, figures, lost, settings)


def session_state(
    folder: Path, read: Callable[[Path], TakeState] = take_state
) -> SessionState | None:
    """Say how a session stands; None where the folder holds no take and no journal."""
    takes = [read(f.parent) for f in sorted(folder.glob(f"*/{TRIAL_FILE}"))]
    takes.sort(key=lambda t: (t.settings.trial.recorded if t.settings else "", t.name))
    waiting = tuple(_on_nodes(folder))
    if not takes and not waiting and not (folder / JOURNAL).is_file():
        return None
    first = next((t.settings.trial for t in takes if t.settings is not None), None)
    moving = next((t.settings.trial for t in takes if t.settings and t.kind == "trial"), first)
    return SessionState(
        folder,
        first.patient if first else folder.parent.name,
        moving.activity if moving else "",
        (first.recorded if first else "") or _day_of(folder),
        tuple(takes),
        waiting,
    )


def leave_out(take: Path, reason: str) -> None:
    """Leave a take out of processing and report; nothing of it is deleted."""
    write_atomically(take / LEFT_OUT, f"{reason.strip()}\n".encode())


def take_in(take: Path) -> None:
    """Take a take in again that was left out."""
    (take / LEFT_OUT).unlink(missing_ok=True)


def find_sessions(
    lab: Path, read: Callable[[Path], TakeState] = take_state
) -> Iterator[SessionState]:
    """Find every session of the lab, the newest first within a patient.

    Args:
        lab: Its folder.
        read: Says how a take stands; a `TakeReader` where it is asked again and again.
    """
    for patient in sorted(_folders(lab / SESSIONS)):
        for folder in sorted(_folders(patient), reverse=True):
            state = session_state(folder, read)
            if state is not None:
                yield state


def find_rigs(lab: Path) -> list[Path]:
    """Return every rig of the lab, the newest first."""
    found = [f / RIG_FILE for f in _folders(lab / RIGS) if (f / RIG_FILE).is_file()]
    return sorted(found, key=lambda p: (p.stat().st_mtime, p), reverse=True)


def new_session_folder(lab: Path, patient: str, day: date | None = None) -> Path:
    """Return a folder for a new session of a patient; it does not exist yet."""
    return _free(lab / SESSIONS / patient, (day or datetime.now(UTC).date()).isoformat())


def new_rig_folder(lab: Path, day: date | None = None) -> Path:
    """Return a folder for a new calibration; it does not exist yet."""
    return _free(lab / RIGS, (day or datetime.now(UTC).date()).isoformat())


def next_name(session: Path, stem: str) -> str:
    """Return the first free name of a take: walk1, walk2, and so on."""
    number = 1
    while (session / f"{stem}{number}").exists():
        number += 1
    return f"{stem}{number}"


def _free(parent: Path, stem: str) -> Path:
    folder, number = parent / stem, 2
    while folder.exists():
        folder, number = parent / f"{stem}-{number}", number + 1
    return folder


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return [f for f in parent.iterdir() if f.is_dir() and not f.name.startswith(".")]


def _day_of(folder: Path) -> str:
    day = folder.name[:10]
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError:
        return ""


def _read_sync(
    folder: Path,
) -> tuple[dict[str, float], dict[str, tuple[int, int]], tuple[str, ...]]:
    """Return figures, frames lost by camera, and why the take is unfit, as far as known."""
    try:
        content = json.loads((folder / SYNC).read_text(encoding="utf-8"))
        figures = {str(k): float(v) for k, v in content["figures"].items()}
        lost = {
            str(name): (int(c["lost"]) + int(c["late"]), int(c["frames"]))
            for name, c in content["cameras"].items()
        }
        reasons = () if content["fit"] else tuple(str(r) for r in content["reasons"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, {}, ()
    return figures, lost, reasons


def read_journal(session: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of a session's journal, each with its content; torn lines are left out."""
    path = session / JOURNAL
    if not path.is_file():
        return []
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            content = json.loads(line)
            events.append((str(content["event"]), {**content, "trial": str(content["trial"])}))
        except (ValueError, KeyError, TypeError):
            continue
    return events


def _on_nodes(session: Path) -> list[str]:
    """Return the takes of a session that were begun and not collected."""
    names: dict[str, str] = {}
    for event, content in read_journal(session):
        trial = content["trial"]
        if event == "begun":
            names[trial] = str(content.get("note", {}).get("name") or trial)
        elif event in ("collected", "abandoned"):
            names.pop(trial, None)
    return list(names.values())
