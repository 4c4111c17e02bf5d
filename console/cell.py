"""The lab's camera computers as they stand now: who answers, what the cameras see, what is wrong.

Nothing here waits: threads follow each node, and `look` says what is known at this moment.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capture.control import CameraDescription, Configure, Describe, Description, Done, NodeHealth
from capture.live import LiveView, Picture
from capture.watch import NodeAddress, NodeWatch
from lab.errors import LabError

GOOD, LOOK, BAD, UNKNOWN = "good", "look", "bad", "unknown"
_CLOCK_HZ = 15.0
_CLOCK_KEPT = 4500  # five minutes: what is shown is how well the clock is known now
_SETTLED = 45  # exchanges before which a clock is not judged
_DESCRIBE_EVERY_S = 3.0
_FRESH_S = 1.5
_LITTLE_DISK_BYTES = 20e9
_NO_DISK_BYTES = 2e9
_CLOCK_LIMIT_MS = 5.0
_SAID_KEPT = 50


@dataclass(frozen=True, slots=True, eq=False)
class CameraNow:
    """One camera.

    Attributes:
        name, node: Names.
        mark: good, look or bad.
        words: What stands under its picture.
        picture: The newest preview; None before the first.
        rate_hz: As measured; NaN where not known.
        lost: Frames that the camera has skipped since its node started.
        described: As the node accepted it; None where the node does not answer.
    """

    name: str
    node: str
    mark: str
    words: str
    picture: Picture | None
    rate_hz: float
    lost: int
    described: CameraDescription | None


@dataclass(frozen=True, slots=True, eq=False)
class NodeNow:
    """One camera computer.

    Attributes:
        name: Of the node.
        mark: good, look, bad or unknown.
        words: What an operator should know.
        clock_ms: Half width of the interval of its clock; NaN before it is known.
        disk_bytes: Left there; NaN where not known.
        recording: Name of the trial under way there; empty otherwise.
    """

    name: str
    mark: str
    words: str
    clock_ms: float
    disk_bytes: float
    recording: str


@dataclass(frozen=True, slots=True, eq=False)
class CellNow:
    """All of it, with the sentences that nodes said, the newest last."""

    nodes: tuple[NodeNow, ...]
    cameras: tuple[CameraNow, ...]
    said: tuple[str, ...]


class Cell:
    """See the module.

    Args:
        addresses: Of the nodes; there may be none.
    """

    def __init__(self, addresses: Sequence[NodeAddress]) -> None:
        self.addresses = {a.name: a for a in addresses}
        self.live = LiveView()
        self._said: deque[str] = deque(maxlen=_SAID_KEPT)
        self._followed = {a.name: _Followed(a, self.live, self._said.append) for a in addresses}

    def look(self) -> CellNow:
        """Return how everything stands, nodes and cameras by name."""
        pictures = self.live.newest()
        nodes, cameras = [], []
        for followed in self._followed.values():
            nodes.append(followed.node())
            cameras += followed.cameras(pictures)
        nodes.sort(key=lambda n: by_name(n.name))
        cameras.sort(key=lambda c: by_name(c.name))
        return CellNow(tuple(nodes), tuple(cameras), tuple(self._said))

    def configure(
        self, camera: str, exposure_us: float | None = None, gain_db: float | None = None
    ) -> str:
        """Change a camera, and return what came of it in words. Waits for the node's answer.

        Raises:
            LabError: When the node refuses or is silent.
        """
        for followed in self._followed.values():
            if followed.has(camera):
                return followed.configure(camera, exposure_us, gain_db)
        raise LabError(f"no node answers that has the camera {camera}")

    def close(self) -> None:
        """End all threads."""
        closing = [threading.Thread(target=f.close) for f in self._followed.values()]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(timeout=5)
        self.live.close()


def by_name(name: str) -> list[tuple[int, str]]:
    """Return what names are sorted by: numbers in them count as numbers, cam2 before cam10."""
    return [(int(p), "") if p.isdecimal() else (0, p) for p in re.split(r"(\d+)", name)]


class _Followed:
    """One node, followed by two threads: its clock and health, and how its cameras are set."""

    def __init__(self, address: NodeAddress, live: LiveView, say: Callable[[str], None]) -> None:
        self._address, self._live = address, live
        self._description: Description | None = None
        self._fault = ""
        self._clock_ms = float("nan")
        self._ending = threading.Event()
        self._watch = NodeWatch(address, say, rate_hz=_CLOCK_HZ, kept=_CLOCK_KEPT)
        self._watch.start()
        self._thread = threading.Thread(target=self._describe, daemon=True)
        self._thread.start()

    def has(self, camera: str) -> bool:
        found = self._description
        return found is not None and any(c.camera == camera for c in found.cameras)

    def configure(self, camera: str, exposure_us: float | None, gain_db: float | None) -> str:
        with self._address.link(timeout_s=4.0) as link:
            notes = link.ask(Configure(camera, exposure_us, gain_db), Done).notes
            self._description = link.ask(Describe(), Description)
        return "; ".join(notes)

    def close(self) -> None:
        self._ending.set()
        self._watch.close()
        self._thread.join(timeout=5)

    def _describe(self) -> None:
        process = None
        while not self._ending.is_set():
            self._measure_clock()
            try:
                with self._address.link(timeout_s=2.0) as link:
                    found = link.ask(Describe(), Description)
                self._description, self._fault = found, ""
                if found.process != process:
                    self._live.add(self._address, found)
                    process = found.process
            except LabError as error:
                if self._description is None:
                    self._fault = error.what
            settled = np.isfinite(self._clock_ms)
            self._ending.wait(_DESCRIBE_EVERY_S if self._description and settled else 0.5)

    def _measure_clock(self) -> None:
        if self._watch.exchanges < _SETTLED:
            return
        now = time.monotonic_ns()
        try:
            fit = self._watch.clock().fit_at(now)
        except LabError:
            self._clock_ms = float("nan")
            return
        self._clock_ms = 1e3 * float(np.asarray(fit.interval(now)))

    def node(self) -> NodeNow:
        name, health = self._address.name, self._watch.health
        silent = self._watch.silent_since
        if health is None and self._description is None:
            words = "does not answer: is it switched on, and gaitlab node running there?"
            mark = UNKNOWN if not self._fault else BAD
            return NodeNow(name, mark, words if self._fault else "is being asked", *_NOTHING)
        if silent is not None:
            away = time.monotonic() - silent
            words = (
                f"has been silent for {away:.0f} s: check its power and cable. "
                "A trial under way is still recorded there."
            )
            return NodeNow(name, BAD, words, self._clock_ms, float("nan"), "")
        disk = float(health.disk_free_bytes) if health else float("nan")
        recording = health.trial if health and health.state == "recording" else ""
        mark, words = _judge_node(disk, self._clock_ms)
        return NodeNow(name, mark, words, self._clock_ms, disk, recording)

    def cameras(self, pictures: Mapping[str, Picture]) -> list[CameraNow]:
        found, health = self._description, self._watch.health
        if found is None:
            return []
        silent = self._watch.silent_since is not None
        return [
            _camera(c, found.node, pictures.get(c.camera), health, silent) for c in found.cameras
        ]


_NOTHING = (float("nan"), float("nan"), "")


def _judge_node(disk: float, clock_ms: float) -> tuple[str, str]:
    if disk < _NO_DISK_BYTES:
        return BAD, f"has {disk / 1e9:.1f} GB of disk left: nothing can be recorded. Make space."
    if clock_ms > _CLOCK_LIMIT_MS:
        return BAD, (
            f"its clock is known to {clock_ms:.1f} ms only; {_CLOCK_LIMIT_MS:.0f} ms are allowed. "
            "Use a quicker network."
        )
    if disk < _LITTLE_DISK_BYTES:
        return LOOK, f"has {disk / 1e9:.0f} GB of disk left."
    if not np.isfinite(clock_ms):
        return UNKNOWN, "its clock is being measured"
    return GOOD, ""


def _camera(
    described: CameraDescription,
    node: str,
    picture: Picture | None,
    health: NodeHealth | None,
    silent: bool,
) -> CameraNow:
    own = None
    if health is not None:
        own = next((c for c in health.cameras if c.camera == described.camera), None)
    rate = own.rate_hz if own is not None else float("nan")
    lost = own.lost if own is not None else 0
    old = picture is None or time.monotonic() - picture.received_s > _FRESH_S
    mark, words = GOOD, f"{rate:.0f} Hz"
    if silent:
        mark, words = BAD, "its computer is silent"
    elif own is not None and own.state != "running":
        mark, words = BAD, own.fault or own.state
    elif old:
        mark, words = (UNKNOWN, "no picture yet") if picture is None else (BAD, "no picture")
    elif described.differences:
        mark, words = LOOK, described.differences[0]
    elif rate < 0.95 * described.rate_hz:
        mark, words = LOOK, f"{rate:.0f} Hz of {described.rate_hz:.0f} Hz asked"
    return CameraNow(described.camera, node, mark, words, picture, rate, lost, described)
