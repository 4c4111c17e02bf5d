"""Work shared out to processes: all of it is done, counted, and a fault comes back as itself."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from console.workers import run_jobs
from lab.errors import LabError


def write_job(job, tick, stopped):
    """Write a file; a job named bad is refused, one named dead ends its process."""
    if job.name == "bad":
        raise LabError("not this one", where=str(job))
    if job.name == "dead":
        os._exit(3)
    if not stopped():
        job.write_text("done")
        tick()


def prepare():
    """Return what does a job."""
    return partial(write_job)


def test_every_job_is_done_and_counted(tmp_path):
    jobs = [tmp_path / str(i) for i in range(5)]
    counts = []
    run_jobs(jobs, prepare, 1, counts.append, "writes")
    assert all(j.read_text() == "done" for j in jobs)
    assert counts[-1] == 5
    assert counts == sorted(counts)


def test_what_a_job_refuses_is_said_in_its_words(tmp_path):
    with pytest.raises(LabError, match="not this one"):
        run_jobs([tmp_path / "bad"], prepare, 1, lambda done: None, "writes")


def test_a_process_that_dies_is_named(tmp_path):
    with pytest.raises(LabError, match="a process that writes ended without a word"):
        run_jobs([Path(tmp_path / "dead")], prepare, 1, lambda done: None, "writes")


def test_no_job_needs_no_process():
    run_jobs([], prepare, 4, lambda done: pytest.fail("nothing to report"), "writes")
