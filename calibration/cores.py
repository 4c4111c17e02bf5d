"""Work on all cores of the machine, by threads: for compiled work that lets others run."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_here = threading.local()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, "calibration", _mark)


def _mark() -> None:
    _here.working = True


# The threads are not there in a process that was forked off.
os.register_at_fork(after_in_child=_pool.cache_clear)


def each(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return what the work makes of each item, in their order.

    Whatever is summed over the results is summed in that order, and is the same on any number of
    cores. Work that calls this from within is done where it is, so that no thread waits for others.
    """
    items = list(items)
    if len(items) < 2 or getattr(_here, "working", False):
        return [work(item) for item in items]
    return list(_pool().map(work, items))
