"""The lab folder as it stands, read again and again in a thread: nobody waits for a disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from console.calibrating import RigState, rig_in_use, rig_state
from console.lab_folder import (
    RIGS,
    SessionState,
    TakeReader,
    TakeState,
    find_sessions,
    take_state,
)
from lab.errors import LabError

_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class LabNow:
    """The folder's content.

    Attributes:
        sessions: Of all patients.
        rig: The rig in use; None without any.
        making: The calibration that is being made: the newest rig folder, solved or not.
        fault: Why the folder cannot be read.
    """

    sessions: tuple[SessionState, ...] = ()
    rig: RigState | None = None
    making: RigState | None = None
    fault: str = ""

    def session(self, folder: Path | None) -> SessionState | None:
        """Return the session of a folder; None where there is none yet."""
        return next((s for s in self.sessions if s.folder == folder), None)


class LabWatch:
    """See the module."""

    def __init__(self, lab: Path) -> None:
        self._lab, self._read = lab, TakeReader()
        self._now = read_now(lab, self._read)
        self._ending, self._again = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="lab watch", daemon=True)
        self._thread.start()

    def look(self) -> LabNow:
        """Return what was last read."""
        return self._now

    def look_again(self) -> None:
        """Read at once, because something has changed."""
        self._again.set()

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._again.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._again.wait(_EVERY_S)
            self._again.clear()
            self._now = read_now(self._lab, self._read)


def read_now(lab: Path, read: Callable[[Path], TakeState] = take_state) -> LabNow:
    """Read the folder once."""
    try:
        rigs = sorted((f for f in (lab / RIGS).glob("*") if f.is_dir()), key=_changed)
        making = rig_state(rigs[-1]) if rigs else None
        return LabNow(tuple(find_sessions(lab, read)), rig_in_use(lab), making)
    except (OSError, LabError) as error:
        return LabNow(fault=str(error))


def _changed(folder: Path) -> tuple[float, str]:
    return folder.stat().st_ctime, folder.name
