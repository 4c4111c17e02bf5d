"""One node as the lab sees it: its clock followed, its health read, its silence noticed."""

from __future__ import annotations

import struct
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capture.clock import MIN_EXCHANGES, NodeClock, find_steps, follow_clock
from capture.control import Describe, Description, Health, NodeHealth
from capture.keys import ClientKeys
from capture.link import NodeLink, SilentNodeError
from lab.errors import LabError

Say = Callable[[str], None]

_STAMPS = struct.Struct("<qqqq")
_EXCHANGE_TIMEOUT_S = 1.0
_HEALTH_EVERY_S = 1.0
_SILENT_AFTER_S = 1.5
# A fit needs the present and a stretch before it, not the whole day: what is kept stays bounded.
_KEPT_EXCHANGES = 90_000


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Where a node is and what it is let in by.

    Attributes:
        name: Of the node.
        endpoint: tcp://host:port of its control channel.
        keys: None on loopback only.
    """

    name: str
    endpoint: str
    keys: ClientKeys | None = None

    def link(self, timeout_s: float = 5.0) -> NodeLink:
        """Open a channel of one's own."""
        return NodeLink(self.endpoint, self.keys, timeout_s=timeout_s)


class NodeWatch:
    """A thread that exchanges clocks with one node and tells the operator what befalls it.

    Args:
        address: Of the node.
        say: Called with one sentence for each thing an operator must know.
        log: Every exchange is added to this file (four little-endian int64 ns), so that a lab that
            was killed still has the clock of what was being recorded; None keeps them in memory.
        rate_hz: Exchanges a second.
        kept: At least the last nine tenths of so many exchanges are kept, and no more.
    """

    def __init__(
        self,
        address: NodeAddress,
        say: Say,
        log: Path | None = None,
        rate_hz: float = 25.0,
        kept: int = _KEPT_EXCHANGES,
    ) -> None:
        self._kept = kept
        self.address = address
        self.health: NodeHealth | None = None
        self.silent_since: float | None = None
        self._say, self._log, self._period = say, log, 1.0 / rate_hz
        self._stamps = _read_stamps(log)
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._told: set[tuple[str, str, int]] = set()
        self._process: int | None = None
        self._steps_told = len(find_steps(_table(self._stamps)))
        self._thread = threading.Thread(target=self._run, name=f"watch {address.name}", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching; returns within the time of one exchange."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout=3 * _EXCHANGE_TIMEOUT_S)

    @property
    def exchanges(self) -> int:
        """How many exchanges there are."""
        with self._lock:
            return len(self._stamps) // 4

    def clock(self) -> NodeClock:
        """Return the node's clock as it is known now.

        Raises:
            LabError: When there are too few exchanges, with the node's name.
        """
        with self._lock:
            stamps = _table(self._stamps)
        try:
            return follow_clock(stamps)
        except LabError as error:
            raise LabError(error.what, where=self.address.name, remedy=error.remedy) from error

    def await_clock(self, timeout_s: float) -> NodeClock:
        """Wait until the clock can be followed.

        Raises:
            LabError: When it cannot in time.
        """
        deadline = time.monotonic() + timeout_s
        while self.exchanges < MIN_EXCHANGES and time.monotonic() < deadline:
            self._ending.wait(0.05)
        return self.clock()

    def _run(self) -> None:
        file = self._log.open("ab", buffering=0) if self._log is not None else None
        last_answer, next_health = time.monotonic(), 0.0
        try:
            with self.address.link(_EXCHANGE_TIMEOUT_S) as link:
                while not self._ending.is_set():
                    began = time.monotonic()
                    try:
                        stamps = link.exchange_clock()
                        if file is not None:
                            file.write(_STAMPS.pack(*stamps))
                        self._keep(stamps)
                        if began >= next_health:
                            self._read_health(link, last_answer)
                            next_health = began + _HEALTH_EVERY_S
                        last_answer = time.monotonic()
                    except SilentNodeError:
                        next_health = 0.0
                        self._note_silence(last_answer)
                    except (LabError, OSError) as error:
                        self._tell_once("watch", str(error), 0)
                    self._ending.wait(max(0.0, self._period - (time.monotonic() - began)))
        finally:
            if file is not None:
                file.close()

    def _keep(self, stamps: tuple[int, int, int, int]) -> None:
        with self._lock:
            self._stamps.extend(stamps)
            if len(self._stamps) > 4 * self._kept:
                del self._stamps[: 4 * (self._kept // 10)]
            recent = _table(self._stamps[-8:])
        for step in find_steps(recent):
            self._say(step.sentence(self.address.name))

    def _read_health(self, link: NodeLink, last_answer: float) -> None:
        health = link.ask(Health(), NodeHealth)
        if self.silent_since is not None or self._process is None:
            process = link.ask(Describe(), Description).process
            if self.silent_since is not None:
                away = time.monotonic() - last_answer
                self._say(f"node {self.address.name} answers again after {away:.1f} s")
            if self._process is not None and process != self._process:
                self._say(
                    f"node {self.address.name} was started anew: a trial that it was recording "
                    "ended there; what it had recorded will be collected"
                )
            self._process, self.silent_since = process, None
        self.health = health
        for fault in health.faults:
            remedy = f" {fault.remedy}" if fault.remedy else ""
            minutes = (health.host_ns - fault.host_ns) / 60e9
            ago = f" ({minutes:.0f} min ago)" if minutes >= 1 else ""
            self._tell_once(fault.where, fault.what, fault.host_ns, f"{ago}.{remedy}")
        for reason, count in health.dropped.items():
            if count:
                self._tell_once("messages", f"{reason} messages arrive there and are dropped.", 0)

    def _note_silence(self, last_answer: float) -> None:
        away = time.monotonic() - last_answer
        if self.silent_since is None and away >= _SILENT_AFTER_S:
            self.silent_since = last_answer
            self._say(
                f"node {self.address.name} has not answered for {away:.1f} s: a trial under way is "
                "still recorded on its disk; check its power, its cable, and that it is enrolled"
            )

    def _tell_once(self, where: str, what: str, host_ns: int, more: str = "") -> None:
        key = (where, what, host_ns)
        if key not in self._told:
            self._told.add(key)
            self._say(f"node {self.address.name}, {where}: {what}{more}")


def _table(stamps: array[int]) -> NDArray[np.int64]:
    """Return exchanges (N, 4) of stamps that follow each other."""
    return np.array(stamps, np.int64).reshape(-1, 4)


def _read_stamps(log: Path | None) -> array[int]:
    """Read exchanges of an earlier run on the same lab clock; a torn last record is left out.

    The lab's clock begins anew with its computer: exchanges from its future are another clock's.
    """
    stamps = array("q")
    if log is None or not log.exists():
        return stamps
    content = log.read_bytes()
    whole = len(content) // _STAMPS.size * _STAMPS.size
    if whole != len(content):
        with log.open("r+b") as file:
            file.truncate(whole)
    rows = np.frombuffer(content[:whole], "<i8")
    if not (rows[3::4] > time.monotonic_ns()).any():
        stamps.extend(rows.tolist())
    return stamps
