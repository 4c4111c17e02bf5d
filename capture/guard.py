"""Keeps a node alive from outside: a crash in a driver's C code takes the process, not the node.

A driver that raises is dealt with inside the process (station). One that crashes takes cameras,
sockets and files with it; what was recorded is on disk by then. The guard starts the process anew
on the same port, and the new one tells the lab what happened.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from capture.node_process import node_command
from lab.errors import LabError

_BACKOFF_S = (0.2, 1.0, 3.0, 10.0, 30.0)
_HEALTHY_S = 60.0  # a process that lived so long begins the row of waits anew
_ENDING_S = 0.1


@dataclass(frozen=True, slots=True)
class Ready:
    """A node that has its cameras and its sockets.

    Attributes:
        node: Its name.
        port: Of its control channel.
        cameras: Names.
        differences: What a camera does other than asked, a sentence each.
    """

    node: str
    port: int
    cameras: tuple[str, ...]
    differences: tuple[str, ...]


class Guard:
    """One node's process and its successors.

    Args:
        words: Options of capture.node_process, without --port.
        port: 0 for any; successors take the port that the first one got.
        say: Called with a sentence for whoever stands at the node.
    """

    def __init__(self, words: Sequence[str | Path], port: int, say: Callable[[str], None]) -> None:
        self._words, self._port, self._say = list(words), port, say
        self._ending = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def start(self) -> Ready:
        """Start the first process.

        Raises:
            LabError: What it says when it cannot run.
        """
        return self._start("")

    def end(self) -> None:
        """Ask the process to end in order; `watch` returns when it has."""
        self._ending.set()
        with self._lock:
            process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()

    def watch(self) -> int:
        """Wait for the end, starting the process anew after every crash; its last status."""
        crashes = 0
        while True:
            process, began = self._process, time.monotonic()
            if process is None:
                return 0
            status = _wait(process)
            _close(process)
            if self._ending.is_set() or status == 0:
                return max(status, 0) if self._ending.is_set() else status
            if time.monotonic() - began > _HEALTHY_S:
                crashes = 0
            after = f"the node's process crashed ({_how(status)}) and was started anew"
            self._say(after)
            while not self._ending.wait(_BACKOFF_S[min(crashes, len(_BACKOFF_S) - 1)]):
                crashes += 1
                try:
                    self._start(after)
                    break
                except LabError as error:
                    self._say(f"not yet: {error}")

    def _start(self, after: str) -> Ready:
        words = [*self._words, "--port", str(self._port), "--guarded", "--after", after]
        process = subprocess.Popen(
            node_command(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if process.stdout is None:
            raise ValueError("a node's process without standard output")
        try:
            word, _, rest = process.stdout.readline().partition(" ")
        except BaseException:
            process.kill()
            _wait(process)
            _close(process)
            raise
        if word == "ready":
            ready = json.loads(rest.partition(" ")[2])
            with self._lock:
                self._process = process
            self._port = int(ready["port"])
            if self._ending.is_set():
                self.end()
            return Ready(
                str(ready["node"]),
                self._port,
                tuple(ready["cameras"]),
                tuple(ready["differences"]),
            )
        status = _wait(process)
        _close(process)
        if word == "refused":
            said = json.loads(rest)
            raise LabError(said["what"], where=said["where"], remedy=said["remedy"])
        raise LabError(
            f"the node's process ended before it was ready ({_how(status)})",
            remedy="Look at what it printed above; check the cameras' drivers.",
        )


def run_guarded(
    words: Sequence[str | Path],
    port: int,
    ready: Callable[[Ready], None],
    say: Callable[[str], None],
) -> int:
    """Run a node under guard until SIGTERM or Ctrl-C; call from the main thread.

    Raises:
        LabError: When the node cannot run at all.
    """
    guard = Guard(words, port, say)
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, frame: guard.end())
    ready(guard.start())
    return guard.watch()


def _wait(process: subprocess.Popen[str]) -> int:
    while True:
        try:
            return process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            continue


def _close(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None and not stream.closed:
            stream.close()


def _how(status: int) -> str:
    if status < 0:
        try:
            return signal.Signals(-status).name
        except ValueError:
            return f"signal {-status}"
    return f"status {status}"
