"""Events that an operator moved or left out, each with a reason, in events.toml beside trial.toml.

    [[edit]]
    kind = "foot_strike"
    side = "left"
    found_s = 3.214          # where the program had found it
    moved_to_s = 3.230       # without it the event is left out
    reason = "heel hidden by the rail"
    by = "ab"
    at = "2026-03-14T10:12:00+00:00"

`gaitlab process` applies them: the events found are changed, and everything after follows.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from analysis.events import TimedEvents
from console.settings import RECORD
from lab.atomic import write_atomically
from lab.errors import LabError
from lab.gait import Event
from lab.toml_file import read_toml, toml_bytes

EVENTS_FILE = "events.toml"
_WITHIN_S = 0.03


class EventEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change.

    Attributes:
        kind, side: Of the event.
        found_s: Where the program had found it, s on the lab clock.
        reason: Why, in words.
        moved_to_s: Where it is now; None where it is left out.
        by, at: Who changed it, and when (ISO 8601, UTC).
    """

    kind: Literal["foot_strike", "foot_off"]
    side: Literal["left", "right"]
    found_s: float
    reason: Annotated[str, Meta(min_length=3, max_length=300)]
    moved_to_s: float | None = None
    by: str = ""
    at: str = ""

    @property
    def words(self) -> str:
        """As it stands among a trial's notes."""
        what = f"{self.side} {self.kind.replace('_', ' ')} at {self.found_s:.3f} s"
        how = "left out" if self.moved_to_s is None else f"moved to {self.moved_to_s:.3f} s"
        return f"{what} {how} by hand: {self.reason}"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    edit: tuple[EventEdit, ...] = ()


def how_edited(folder: Path) -> tuple[tuple[EventEdit, ...], bool]:
    """Return the changes of a trial, and whether they wait to be processed.

    Raises:
        FileError: When the file is there and wrong.
    """
    edits, path, record = read_edits(folder), folder / EVENTS_FILE, folder / RECORD
    if not path.is_file():
        return edits, False
    return edits, not record.is_file() or path.stat().st_mtime > record.stat().st_mtime


def read_edits(folder: Path) -> tuple[EventEdit, ...]:
    """Return the changes of a trial; none where there is no file.

    Raises:
        FileError: When the file is wrong.
    """
    path = folder / EVENTS_FILE
    if not path.is_file():
        return ()
    remedy = "Mend the line named, or delete the file to go back to the events found."
    return read_toml(path, _File, "a list of changed events", remedy).edit


def edit_files(folder: Path) -> list[Path]:
    """Return events.toml where a trial has one: an input of it."""
    return [folder / EVENTS_FILE] if (folder / EVENTS_FILE).is_file() else []


def add_edit(
    folder: Path, event: Event, reason: str, moved_to: float | None = None
) -> tuple[EventEdit, ...]:
    """Add a change and write the file; an event that was moved before is moved on.

    Raises:
        LabError: Without a reason.
    """
    if len(reason.strip()) < 3:
        raise LabError("an event is not changed without a reason", remedy="Write why.")
    edits = list(read_edits(folder))
    found = event.t
    for old in edits:
        same = (old.kind, old.side) == (event.kind, event.side)
        if same and old.moved_to_s is not None and abs(old.moved_to_s - event.t) < 1e-6:
            found = old.found_s
            edits.remove(old)
            break
    edits.append(
        EventEdit(
            event.kind,  # pyright: ignore[reportArgumentType]
            event.side,  # pyright: ignore[reportArgumentType]
            round(found, 6),
            reason.strip()[:300],
            None if moved_to is None else round(moved_to, 6),
            _user(),
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
    )
    _write(folder, edits)
    return tuple(edits)


def clear_edits(folder: Path) -> None:
    """Go back to the events as found."""
    (folder / EVENTS_FILE).unlink(missing_ok=True)


def apply_edits(
    edits: tuple[EventEdit, ...], missed: list[str]
) -> Callable[[TimedEvents], TimedEvents]:
    """Return what changes the events found.

    A moved event takes the scatter of its replicates along (a hand is not surer than the detector);
    an event left out is gone from every replicate.

    Args:
        edits: The changes.
        missed: A line is added for each change whose event is not found any more.
    """

    def change(timed: TimedEvents) -> TimedEvents:
        events, t = list(timed.events), np.array(timed.t, float)
        keep = np.ones(len(events), bool)
        for edit in edits:
            near = [
                (abs(e.t - edit.found_s), i)
                for i, e in enumerate(events)
                if (e.kind, e.side) == (edit.kind, edit.side) and keep[i]
            ]
            off, i = min(near, default=(np.inf, -1))
            if off > _WITHIN_S:
                missed.append(f"no such event any more: {edit.words}")
            elif edit.moved_to_s is None:
                keep[i] = False
            else:
                t[:, i] += edit.moved_to_s - events[i].t
                events[i] = replace(events[i], t=edit.moved_to_s, source="operator")
        order = [i for i in np.argsort([e.t for e in events], kind="stable") if keep[i]]
        return replace(timed, events=tuple(events[i] for i in order), t=t[:, order])

    return change


def _write(folder: Path, edits: list[EventEdit]) -> None:
    content = {"edit": [msgspec.to_builtins(e) for e in edits]}
    note = "Events changed by hand; gaitlab process applies them."
    write_atomically(folder / EVENTS_FILE, toml_bytes(content, note))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
