"""A session as the console runs it: a thread that does what the operator asked, and says how it is.

The recording itself is the nodes': whatever becomes of the console, a trial under way goes on there
to its end, and is collected when a session of the same folder is opened again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from capture.session import Session
from capture.watch import NodeAddress
from console.capturing import Capturing, Recorded
from console.plan import Plan, PlannedTake
from lab.errors import LabError

OPENING, READY, STARTING, RECORDING, COLLECTING, CLOSED, FAULT = (
    "opening", "ready", "starting", "recording", "collecting", "closed", "fault",
)  # fmt: skip
_SAID_KEPT = 40


@dataclass(frozen=True, slots=True, eq=False)
class RunNow:
    """How a session stands.

    Attributes:
        state: opening, ready, starting, recording, collecting, closed or fault.
        take: What is being recorded or collected; empty otherwise.
        seconds: Since the recording began.
        share: How much is collected, 0 to 1; None where it cannot be told.
        recorded: Takes of this run, in order.
        said: Sentences for the operator, the newest last.
        fault: Why the session could not be opened.
    """

    state: str
    take: str
    seconds: float
    share: float | None
    recorded: tuple[Recorded, ...]
    said: tuple[str, ...]
    fault: str


class CaptureRun:
    """See the module.

    Args:
        addresses: Of the nodes.
        folder: The session's.
        plan: Patient, activity, speed, encoding.
        rig: The rig's file as trial.toml names it.
        landed: Called in this run's thread with the folder of each take that landed.
    """

    def __init__(
        self,
        addresses: Sequence[NodeAddress],
        folder: Path,
        plan: Plan,
        rig: Path,
        landed: Callable[[Path], None] = lambda folder: None,
    ) -> None:
        self.folder, self.plan = folder, plan
        self._state, self._take, self._fault = OPENING, "", ""
        self._began = 0.0
        self._share: float | None = None
        self._said: deque[str] = deque(maxlen=_SAID_KEPT)
        self._landed = landed
        self._enough = threading.Event()
        self._orders: queue.Queue[PlannedTake | None] = queue.Queue()
        self._recorded: list[Recorded] = []
        self._thread = threading.Thread(
            target=self._run, args=(tuple(addresses), rig), name="session", daemon=True
        )
        self._thread.start()

    def look(self) -> RunNow:
        """Return how it stands."""
        seconds = time.monotonic() - self._began if self._state == RECORDING else 0.0
        return RunNow(
            self._state, self._take, max(0.0, seconds), self._share, tuple(self._recorded),
            tuple(self._said), self._fault,
        )  # fmt: skip

    def record(self, take: PlannedTake) -> None:
        """Record a take; it ends by `stop`, or by itself after its seconds."""
        if self._state == READY:
            self._enough.clear()
            self._state, self._take = STARTING, take.folder
            self._orders.put(take)

    def stop(self) -> None:
        """End the take under way."""
        self._enough.set()

    def close(self) -> None:
        """End the session; a take under way is ended and collected first."""
        self._enough.set()
        self._orders.put(None)

    def join(self, timeout_s: float = 30.0) -> None:
        """Wait for the end after `close`."""
        self._thread.join(timeout=timeout_s)

    def _run(self, addresses: tuple[NodeAddress, ...], rig: Path) -> None:
        session: Session | None = None
        try:
            session = Session(addresses, self.folder, self._said.append)
            capturing = Capturing(self.plan, session, rig, self._said.append, self._progress)
            session.open()
            self._state = COLLECTING
            capturing.finish_earlier()
            self._note(capturing, 0)
            self._follow(capturing)
        except LabError as error:
            self._fault, self._state = str(error), FAULT
        finally:
            if session is not None:
                session.close()
            if self._state != FAULT:
                self._state = CLOSED

    def _follow(self, capturing: Capturing) -> None:
        while True:
            self._state, self._take, self._share = READY, "", None
            take = self._orders.get()
            if take is None:
                return
            before = len(capturing.recorded)
            self._state, self._take = STARTING, take.folder
            try:
                capturing.record(take, enough=self._is_enough)
            except LabError as error:
                self._said.append(str(error))
            self._note(capturing, before)

    def _is_enough(self) -> bool:
        if self._state == STARTING:
            self._began, self._state = time.monotonic(), RECORDING
        if self._enough.is_set():
            self._state = COLLECTING
            return True
        return False

    def _progress(self, done: int, total: int, what: str) -> None:
        self._state = COLLECTING
        self._share = done / total if total else None

    def _note(self, capturing: Capturing, before: int) -> None:
        for recorded in capturing.recorded[before:]:
            if recorded.landed is not None:
                try:
                    self._landed(recorded.landed.folder)
                except LabError as error:
                    self._said.append(str(error))
        self._recorded = list(capturing.recorded)
