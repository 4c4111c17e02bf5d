"""Long work in processes of its own: the very verbs of the command line, watched line by line.

What the console sets going is what an operator could type; the command stands with the job. A
verb tells its progress as lines of JSON on standard error when GAITLAB_PROGRESS is "lines".
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from console.progress import LINES

WAITING, RUNNING, DONE, REFUSED, FAILED, STOPPED = (
    "waiting", "running", "done", "refused", "failed", "stopped",
)  # fmt: skip
# A verb has a process for each core; libraries that take all cores once more only get in the way,
# of it and of the window.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_BY_STATUS = {0: DONE, 1: REFUSED, 130: STOPPED}


@dataclass(slots=True, eq=False)
class Job:
    """One verb.

    Attributes:
        verb: What stands behind `gaitlab`.
        about: What it is for, for example the trial's folder.
        state: waiting, running, done, refused (done, with reasons), failed or stopped.
        step: What is being done.
        share: How much of the step is done, 0 to 1; None where it cannot be told.
        result: What the verb printed with --json.
        error: Why it failed, as a sentence.
    """

    verb: tuple[str, ...]
    about: str
    state: str = WAITING
    step: str = ""
    share: float | None = None
    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    _process: subprocess.Popen[str] | None = None
    _step_began: float = 0.0
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def command(self) -> str:
        """The line that an operator would type."""
        quoted = [f'"{w}"' if " " in w else w for w in self.verb]
        return " ".join(["gaitlab", *quoted])

    @property
    def left_s(self) -> float | None:
        """Seconds that the present step will still take, where that can be told."""
        if self.state != RUNNING or not self.share or self.share < 0.02:
            return None
        return (time.monotonic() - self._step_began) * (1 - self.share) / self.share

    def stop(self) -> None:
        """End it as Ctrl-C does: what was finished is kept."""
        if self.state == WAITING:
            self.state = STOPPED
            self._ended.set()
        elif self._process is not None and self.state == RUNNING:
            self._process.send_signal(signal.SIGINT)

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; False when it has not come in time."""
        return self._ended.wait(timeout_s)


class Jobs:
    """Runs jobs one after the other, in the order they came."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self._change = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._thread.start()

    def add(self, verb: Sequence[str | Path], about: str) -> Job:
        """Put a verb at the end of the line; one that is waiting or running is not put twice."""
        words = tuple(str(w) for w in verb)
        with self._change:
            for job in self.jobs:
                if job.verb == words and job.state in (WAITING, RUNNING):
                    return job
            job = Job(words, about)
            self.jobs.append(job)
            self._change.notify_all()
        return job

    def latest(self, about: str, verb: str = "") -> Job | None:
        """Return the last job for something, of a verb where one is named."""
        with self._change:
            for job in reversed(self.jobs):
                if job.about == about and (not verb or job.verb[0] == verb):
                    return job
        return None

    def close(self) -> None:
        """Stop what runs and begin nothing more."""
        with self._change:
            self._ending = True
            self._change.notify_all()
            running = [j for j in self.jobs if j.state == RUNNING]
        for job in running:
            job.stop()
            if not job.wait(5.0) and job._process is not None:
                job._process.kill()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._change:
                job = next((j for j in self.jobs if j.state == WAITING), None)
                while job is None and not self._ending:
                    self._change.wait()
                    job = next((j for j in self.jobs if j.state == WAITING), None)
                if self._ending or job is None:
                    return
                job.state = RUNNING
            _run_job(job)


def _run_job(job: Job) -> None:
    command = [sys.executable, "-c", "from console.cli import run; run()", *job.verb, "--json"]
    job._step_began = time.monotonic()
    try:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**_ONE_THREAD, **os.environ, LINES: "lines"},
            # Ctrl-C in the terminal is for the console, which asks before it stops its work.
            start_new_session=True,
        )
    except OSError as error:
        job.error, job.state = f"it could not be started ({error.strerror or error})", FAILED
        job._ended.set()
        return
    job._process = process
    said: list[str] = []
    out: list[str] = []
    reader = threading.Thread(target=lambda: out.append(process.stdout.read()), daemon=True)  # type: ignore[union-attr]
    reader.start()
    for line in process.stderr or ():
        _understand(job, line, said)
    status = process.wait()
    reader.join(timeout=10)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    try:
        job.result = json.loads(out[0]) if out and out[0].strip() else {}
    except json.JSONDecodeError:
        job.result = {}
    job.share = None
    failed = job.result.get("error")
    # A verb that is done, refused or not, has printed its result.
    broken = status in (0, 1) and not job.result
    if status not in _BY_STATUS or failed or broken:
        job.error = _sentence(failed) or " ".join(said[-3:]) or f"it ended with {status}"
        job.state = FAILED
    else:
        job.state = _BY_STATUS[status]
    job._ended.set()


def _understand(job: Job, line: str, said: list[str]) -> None:
    """Take one line of a verb's standard error."""
    try:
        told = json.loads(line)
        step, share = str(told["step"]), told.get("share")
    except (json.JSONDecodeError, KeyError, TypeError):
        if line.strip():
            said.append(line.strip().removeprefix("gaitlab: "))
        return
    if step != job.step:
        job.step, job._step_began = step, time.monotonic()
    job.share = None if share is None else float(share)


def _sentence(error: Any) -> str:
    if not isinstance(error, dict):
        return ""
    where = f"{error.get('where')}: " if error.get("where") else ""
    return f"{where}{error.get('what', '')}. {error.get('remedy', '')}".strip()
