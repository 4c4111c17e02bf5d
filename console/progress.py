"""Progress bars with time left, on standard error; or lines of JSON for a program that watches.

With GAITLAB_PROGRESS=lines every change is one line: {"step": what, "share": 0 to 1, or null}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from console.terminal import log

LINES = "GAITLAB_PROGRESS"
_LINE_EVERY_S = 0.1


class _Lines:
    """Tells a watching program, not more often than it can use."""

    def __init__(self) -> None:
        self._last = ("", 0.0)

    def tell(self, step: str, share: float | None) -> None:
        now = time.monotonic()
        if self._last[0] == step and now - self._last[1] < _LINE_EVERY_S and share != 1.0:
            return
        self._last = (step, now)
        sys.stderr.write(json.dumps({"step": step, "share": share}) + "\n")
        sys.stderr.flush()

    def begin(self, step: str) -> None:
        self.tell(step, None)

    def update(self, done: int, total: int, what: str) -> None:
        self.tell(what, done / total if total else None)


def _watched() -> bool:
    return os.environ.get(LINES) == "lines"


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=log,
        transient=True,
    )


@contextmanager
def steps(names: Sequence[str]) -> Iterator[Callable[[str], None]]:
    """Show named steps as they begin; a step that is not among the names only changes the text."""
    if _watched():
        yield _Lines().begin
        return
    with _bar() as bar:
        task = bar.add_task(names[0], total=len(names))

        def begin(name: str) -> None:
            done = names.index(name) if name in names else None
            bar.update(task, description=name, completed=done)

        yield begin


@contextmanager
def steps_and_counts(
    names: Sequence[str],
) -> Iterator[tuple[Callable[[str], None], Callable[[int, int, str], None]]]:
    """Show named steps, and within one how many of a known number are done, in one display."""
    if _watched():
        lines = _Lines()
        yield lines.begin, lines.update
        return
    with _bar() as bar:
        task = bar.add_task(names[0], total=len(names))
        tasks: dict[str, TaskID] = {}

        def begin(name: str) -> None:
            done = names.index(name) if name in names else None
            bar.update(task, description=name, completed=done)

        def update(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield begin, update


@contextmanager
def counts() -> Iterator[Callable[[int, int, str], None]]:
    """Show how many of a known number are done: called with done, total, what."""
    if _watched():
        yield _Lines().update
        return
    with _bar() as bar:
        tasks: dict[str, TaskID] = {}

        def update(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield update
