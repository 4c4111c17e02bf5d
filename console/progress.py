"""Progress bars with time left, on standard error."""

from __future__ import annotations

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
    with _bar() as bar:
        tasks: dict[str, TaskID] = {}

        def update(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield update
