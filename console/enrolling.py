"""Pairing this computer with a camera computer, step by step, for a window that never waits."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from pathlib import Path

from capture.enrol import ENROL_PORT, enrol_with
from lab.errors import LabError

ASKING, COMPARING, DONE, FAILED = "asking", "comparing", "done", "failed"
_PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class EnrolNow:
    """How it stands.

    Attributes:
        state: asking, comparing, done or failed.
        node: The other's name, once it has told it.
        code: What both screens must show, while it is compared.
        fault: Why it failed.
    """

    state: str
    node: str = ""
    code: str = ""
    fault: str = ""


class Enrolling:
    """One attempt.

    Args:
        keys: Folder of this computer's keys.
        host: Where the node waits (`gaitlab node enrol` there).
        port: Of its waiting.
    """

    def __init__(self, keys: Path, host: str, port: int = ENROL_PORT) -> None:
        self.host = host
        self._now = EnrolNow(ASKING)
        self._answered, self._same = threading.Event(), False
        self._thread = threading.Thread(target=self._run, args=(keys, port), daemon=True)
        self._thread.start()

    def look(self) -> EnrolNow:
        """Return how it stands."""
        return self._now

    def answer(self, same: bool) -> None:
        """Say whether the other screen shows the same code."""
        self._same = same
        self._answered.set()

    def _run(self, keys: Path, port: int) -> None:
        try:
            node = enrol_with(keys, _own_name(), f"tcp://{self.host}:{port}", self._compare)
        except LabError as error:
            self._now = EnrolNow(FAILED, fault=str(error))
        else:
            self._now = EnrolNow(DONE, node)

    def _compare(self, other: str, code: str) -> bool:
        self._now = EnrolNow(COMPARING, other, code)
        return self._answered.wait(_PATIENCE_S) and self._same


def _own_name() -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-"
                   for c in socket.gethostname().partition(".")[0])  # fmt: skip
    return name.strip("-_")[:48] or "lab"
