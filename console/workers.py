"""Work shared out to processes: counted as it goes, stopped between pieces, never left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any

from lab.errors import LabError

_POLL_S = 0.2

Tick = Callable[[], None]
Stopped = Callable[[], bool]
# Does one job; calls the first for each piece done, and ends early where the second says so.
Work = Callable[[Any, Tick, Stopped], None]


def run_jobs(
    jobs: Sequence[Any],
    prepare: Callable[[], Work],
    workers: int,
    report: Callable[[int], None],
    what: str,
) -> None:
    """Do all jobs in processes.

    A first Ctrl-C lets the pieces in hand finish; none is begun.

    Args:
        jobs: Picklable.
        prepare: Picklable; called once in each process, returns what does a job there.
        workers: Processes.
        report: Called now and then with the pieces done.
        what: What a process does, for an error.

    Raises:
        LabError: When a process died; and what the work itself raises.
    """
    if not jobs:
        return
    context = multiprocessing.get_context("spawn")
    done, stop = context.Value("q", 0), context.Event()
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)), context, initializer=_begin, initargs=(prepare, done, stop)
    )
    waiting: set[Future[None]] = {pool.submit(_work, job) for job in jobs}
    try:
        while waiting:
            finished, waiting = wait(waiting, _POLL_S, FIRST_COMPLETED)
            report(done.value)
            for future in finished:
                future.result()
    except BrokenProcessPool as fault:
        raise LabError(
            f"a process that {what} ended without a word",
            where="worker processes",
            remedy="Memory may have run out: close other programs and try again; what was "
            "finished is kept.",
        ) from fault
    finally:
        # Also on Ctrl-C: pieces in hand are finished, none is begun.
        stop.set()
        pool.shutdown(cancel_futures=True)
    report(done.value)


class _Process:
    """What a worker process holds."""

    work: Work
    done: Any
    stop: Any


def _begin(prepare: Callable[[], Work], done: Any, stop: Any) -> None:
    """Make ready a worker process, which ends when its parent does."""
    # Ctrl-C reaches every process of the terminal; the parent alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    _Process.work, _Process.done, _Process.stop = staticmethod(prepare()), done, stop


def _end_with(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)


def _work(job: Any) -> None:
    _Process.work(job, _tick, _Process.stop.is_set)


def _tick() -> None:
    with _Process.done.get_lock():
        _Process.done.value += 1
