"""Work shared out to the cores of the processor, in parts that do not depend on how many there are.

Threads, not processes: for compiled functions and whatever else lets go of Python's lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

Result = TypeVar("Result")


@cache
def core_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def over_cores(work: Callable[[int, int], Result], n: int, *, chunk: int) -> list[Result]:
    """Call work(first, end) for each `chunk` of n things, on all cores; results in order.

    The chunks are the same on any machine, so that sums within them are. The caller takes chunks
    as the helpers do, so a call from within a chunk waits for nothing that waits for it.

    Args:
        work: Does the things from first to before end. What it raises is raised here.
        n: How many things.
        chunk: How many are done at a time; the last chunk may be smaller.
    """
    first = range(0, n, chunk)
    results: list[Any] = [None] * len(first)
    left = iter(range(len(first)))

    def help_out() -> None:
        for i in left:
            results[i] = work(first[i], min(first[i] + chunk, n))

    helpers = [_pool().submit(help_out) for _ in range(min(core_count(), len(first)) - 1)]
    try:
        help_out()
    finally:
        # After an error nothing more is begun; elsewhere nothing is left.
        for _ in left:
            pass
        # A helper that has not begun is not needed any more.
        waiting = [helper for helper in helpers if not helper.cancel()]
        for helper in waiting:
            helper.exception()
    for helper in waiting:
        helper.result()
    return results


def each_over_cores(work: Callable[[int], Result], n: int) -> list[Result]:
    """Call work(i) for each of n things, one at a time, as `over_cores` does."""
    return over_cores(lambda i, _: work(i), n, chunk=1)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, core_count() - 1), thread_name_prefix="core")


if hasattr(os, "register_at_fork"):
    # The threads do not go along into a forked process.
    os.register_at_fork(after_in_child=_pool.cache_clear)
