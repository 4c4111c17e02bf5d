"""How long the window is kept waiting, by what: a beat of its event loop, and a look from beside.

A timer of the window's own thread beats 30 times a second. A beat that comes late by more than an
operator feels is kept as a wait, with where its time went: CPU of the window's own thread, standing
in line for a core that other processes have, and the rest (a lock, a disk, or the interpreter held
by another thread). A thread may look meanwhile at what all the others are doing; Python 3.11 dies
of such looks once in a long while, so that they are for searching only.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QTimer

_BEAT_S, FELT_S = 0.033, 0.05
_LOOK_S = 0.01
# Threads that wait stand in one of these.
_AT_REST = ("wait", "poll", "get", "select", "_wait_for_tstate_lock", "_worker", "_run_job",
            "<lambda>")  # fmt: skip


@dataclass(slots=True)
class Wait:
    """The event loop was kept waiting.

    Attributes:
        at_s: On the performance counter.
        seconds: How long beyond its turn.
        own_s: CPU of the window's own thread meanwhile.
        queued_s: The window's thread could run, and other processes had the cores; NaN where the
            system does not tell.
        page: In view.
        seen: What the window's thread was seen doing, by how often.
        beside: What other threads were seen doing.
    """

    at_s: float
    seconds: float
    own_s: float
    queued_s: float
    page: str
    seen: Counter[str] = field(default_factory=Counter)
    beside: Counter[str] = field(default_factory=Counter)

    @property
    def words(self) -> str:
        """As it is printed."""
        lines = [
            f"{1e3 * self.seconds:.0f} ms: {1e3 * self.own_s:.0f} ms own CPU, "
            f"{1e3 * self.queued_s:.0f} ms in line for a core, page {self.page}"
        ]
        lines += [f"    {n:3} looks: {where}" for where, n in self.seen.most_common(2)]
        lines += [f"    {n:3} beside: {where}" for where, n in self.beside.most_common(3)]
        return "\n  ".join(lines)


class Beats(QObject):
    """See the module. Begins at once; `forget` what is the script's own work and not the window's.

    Args:
        window: Whose event loop it is; names the page in view.
        looking: Whether a thread looks at what the others do.
    """

    def __init__(self, window, looking: bool = False) -> None:
        super().__init__()
        self._window, self._main = window, threading.main_thread().ident
        self.waits: list[Wait] = []
        self.longest_s = 0.0
        self._seen: Counter[str] = Counter()
        self._beside: Counter[str] = Counter()
        self._ending = threading.Event()
        self.forget()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(round(1e3 * _BEAT_S))
        if looking:
            threading.Thread(target=self._watch, name="watchman", daemon=True).start()

    def forget(self) -> None:
        """Begin to count from here."""
        self._at_s, self._own_s, self._queued_s = _clocks()
        self._seen, self._beside = Counter(), Counter()

    def close(self) -> None:
        """End it."""
        self._ending.set()
        self._timer.stop()

    def report(self, most: int = 10) -> str:
        """Return the longest waits in words."""
        waits = sorted(self.waits, key=lambda w: -w.seconds)
        lines = [
            f"longest time the window was kept waiting: {1e3 * self.longest_s:.0f} ms",
            f"waits over {1e3 * FELT_S:.0f} ms: {len(waits)}; of them with as much own CPU: "
            f"{sum(w.own_s > FELT_S for w in waits)}",
        ]
        for page in sorted({w.page for w in waits}):
            there = [w for w in waits if w.page == page]
            most_own = 1e3 * max(w.own_s for w in there)
            lines.append(f"  {page}: {len(there)}, own CPU at most {most_own:.0f} ms")
        return "\n".join([*lines, *(f"  {w.words}" for w in waits[:most])])

    def _beat(self) -> None:
        at, own, queued = _clocks()
        waited = at - self._at_s - _BEAT_S
        self.longest_s = max(self.longest_s, waited)
        if waited > FELT_S:
            spent, line = own - self._own_s, queued - self._queued_s
            page = self._window.page.name
            self.waits.append(Wait(at, waited, spent, line, page, self._seen, self._beside))
        self._at_s, self._own_s, self._queued_s = at, own, queued
        self._seen, self._beside = Counter(), Counter()

    def _watch(self) -> None:
        own = threading.get_ident()
        while not self._ending.wait(_LOOK_S):
            if time.perf_counter() - self._at_s < _BEAT_S + _LOOK_S:
                continue
            for ident, frame in sys._current_frames().items():
                lines = traceback.extract_stack(frame)[-5:]
                if ident == self._main:
                    self._seen[_words(lines)] += 1
                elif ident != own and lines[-1].name not in _AT_REST:
                    self._beside[_words(lines)] += 1


def _words(lines: list[traceback.FrameSummary]) -> str:
    return " < ".join(f"{Path(x.filename).stem}:{x.lineno} {x.name}" for x in lines[::-1])


def _clocks() -> tuple[float, float, float]:
    """Return the time, this thread's CPU, and how long it stood in line for a core, s."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/schedstat") as file:
            queued = 1e-9 * float(file.read().split()[1])
    except OSError:
        queued = float("nan")
    return time.perf_counter(), time.thread_time(), queued
