"""Work over cores: whole, in order, the same on any number of them, never waiting for itself."""

from __future__ import annotations

import os
import threading

import pytest

from lab import cores
from lab.cores import over_cores


@pytest.fixture(params=[1, 2, 5])
def on_cores(request, monkeypatch):
    monkeypatch.setattr(cores, "core_count", lambda: request.param)
    cores._pool.cache_clear()
    yield request.param
    cores._pool().shutdown()
    cores._pool.cache_clear()


def test_chunks_are_whole_in_order_and_do_not_depend_on_the_cores(on_cores):
    parts = over_cores(lambda a, b: (a, b), 10_001, chunk=4000)
    assert parts == [(0, 4000), (4000, 8000), (8000, 10_001)]
    assert over_cores(lambda a, b: (a, b), 0, chunk=4) == []


def test_all_cores_work_at_once(on_cores):
    together = threading.Barrier(on_cores)
    over_cores(lambda a, b: together.wait(timeout=20), on_cores, chunk=1)


def test_a_call_from_within_a_chunk_comes_to_an_end(on_cores):
    def outer(a, b):
        return sum(over_cores(lambda c, d: d - c, 100, chunk=7))

    assert over_cores(outer, 20, chunk=1) == [100] * 20


def test_what_a_chunk_raises_is_raised_and_nothing_more_is_begun(on_cores):
    begun = []

    def work(a, b):
        begun.append(a)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        over_cores(work, 1000, chunk=1)
    assert len(begun) <= on_cores


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(cores, "core_count", lambda: 2)
    cores._pool.cache_clear()
    over_cores(lambda a, b: None, 2, chunk=1)
    child = os.fork()
    if child == 0:
        together = threading.Barrier(2)
        try:
            over_cores(lambda a, b: together.wait(timeout=20), 2, chunk=1)
        except threading.BrokenBarrierError:
            os._exit(1)
        os._exit(0)
    cores._pool.cache_clear()
    assert os.waitpid(child, 0)[1] == 0
