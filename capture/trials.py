"""A trial on a node, from its arming to its end; it ends by itself when nobody ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from capture.control import Arm, CameraHealth, Fault, Start, Stop, Stopped
from capture.host_clock import HostClock
from capture.index import IndexHeader
from capture.recorder import Recorder, bytes_per_second, check_disk
from capture.shelf import Shelf
from capture.station import Station, Take
from lab.errors import LabError

_STOP_WAIT_S = 30.0


class Trials:
    """The one trial that a node may have armed or under way.

    Its end is kept by the elapsed time of this computer, not by any clock that could be set.
    """

    def __init__(
        self,
        node: str,
        shelf: Shelf,
        stations: Mapping[str, Station],
        clock: HostClock,
        report: Callable[[str, str, str], None],
    ) -> None:
        self.state = "idle"
        self.name = ""
        self._node, self._shelf, self._stations = node, shelf, stations
        self._clock, self._report = clock, report
        self._armed: list[Station] = []
        self._asked: Arm | None = None
        self._ends_at_s = float("inf")
        self._last: Stopped | None = None
        self._lock = threading.RLock()

    def arm(self, asked: Arm) -> list[str]:
        """Check disk and rate, open the files; notes for the operator.

        Raises:
            LabError: When a trial is under way, a camera is not there, or the disk is too small.
        """
        with self._lock:
            if self.state in ("recording", "closing"):
                raise LabError(
                    f'trial "{self.name}" is under way', remedy="Stop it, or wait until it ends."
                )
            if self.state == "armed":
                self._disarm()
            stations = self._choose(asked)
            rate = sum(self._rate(s, asked.encoding) for s in stations)
            notes = check_disk(self._shelf.folder, rate * asked.duration_s, rate)
            folder = self._shelf.new_trial(asked.trial)
            encoders = [s.new_encoder(asked.encoding, asked.quality) for s in stations]
            takes: list[Take] = []
            try:
                for station, encoder in zip(stations, encoders, strict=True):
                    recorder = Recorder(folder, self._header(station, asked))
                    takes.append(Take(asked.trial, encoder, recorder))
            except LabError:
                self._discard(takes)
                raise
            for station, take in zip(stations, takes, strict=True):
                station.arm(take)
            self.name, self._asked, self._armed = asked.trial, asked, stations
            self._last, self.state = None, "armed"
            differing = [
                f"{s.settings.name}: {d}" for s in stations for d in s.accepted.differences
            ]
            return notes + differing

    def start(self, asked: Start) -> list[str]:
        """Record from a time on.

        Raises:
            LabError: When that trial is not armed.
        """
        with self._lock:
            if self.state == "recording" and asked.trial == self.name:
                return ["was recording already"]
            if self.state != "armed" or asked.trial != self.name or self._asked is None:
                raise LabError(f'trial "{asked.trial}" is not armed', remedy="Arm it first.")
            for station in self._armed:
                station.set_start(asked.at_host_ns)
            wait_s = max(0.0, (asked.at_host_ns - self._clock.now_ns()) * 1e-9)
            self._ends_at_s = time.monotonic() + min(wait_s, 3600.0) + self._asked.duration_s
            self.state = "recording"
            late_ns = self._clock.now_ns() - asked.at_host_ns
            return [f"started {late_ns / 1e6:.0f} ms late"] if late_ns > 0 else []

    def stop(self, asked: Stop) -> Stopped:
        """End the trial and close its files.

        Raises:
            LabError: When there is no such trial.
        """
        with self._lock:
            if asked.trial != self.name or self.state == "idle":
                if self._last is not None and self._last.trial == asked.trial:
                    return self._last
                raise LabError(f'no trial "{asked.trial}" is under way')
            if self.state == "armed":
                stopped = Stopped(self.name, [], [])
                self._disarm()
                return stopped
            self.state = "closing"
            return self._close(asked.at_host_ns or self._clock.now_ns())

    def end_when_due(self) -> None:
        """End a trial whose time is over; called often."""
        if time.monotonic() < self._ends_at_s or not self._lock.acquire(blocking=False):
            return
        try:
            if self.state == "recording":
                self.state = "closing"
                self._report(
                    "lab",
                    f"nobody ended trial {self.name}: it was ended here when its time was over",
                    "Its files wait here; gaitlab capture collects them when it runs again.",
                )
                self._close(self._clock.now_ns())
        finally:
            self._lock.release()

    @property
    def due(self) -> bool:
        """Whether a trial's time is over."""
        return self.state == "recording" and time.monotonic() >= self._ends_at_s

    def _close(self, stop_ns: int) -> Stopped:
        for station in self._armed:
            station.set_stop(stop_ns)
        faults: list[Fault] = []
        health: list[CameraHealth] = []
        for station in self._armed:
            failure = station.finish(_STOP_WAIT_S)
            if failure is not None:
                faults.append(
                    Fault(self._clock.now_ns(), station.settings.name, failure.what, failure.remedy)
                )
            # Lost frames are in the health, and said once, by the lab.
            health.append(station.health())
        self._last = Stopped(self.name, health, faults)
        self._forget()
        return self._last

    def _disarm(self) -> None:
        """Give up a trial that did not start, with its empty files."""
        takes = [take for station in self._armed if (take := station.disarm()) is not None]
        self._discard(takes)
        self._forget()

    def _discard(self, takes: Sequence[Take]) -> None:
        for take in takes:
            take.recorder.discard()
            self._shelf.drop_empty(take.trial)

    def _forget(self) -> None:
        self.state, self.name, self._armed, self._asked = "idle", "", [], None
        self._ends_at_s = float("inf")

    def _choose(self, asked: Arm) -> list[Station]:
        missing = [name for name in asked.cameras if name not in self._stations]
        if missing:
            raise LabError(
                f"the node has no camera {', '.join(missing)}",
                remedy=f"It has {', '.join(self._stations)}.",
            )
        chosen = [self._stations[name] for name in asked.cameras or self._stations]
        broken = [f"{s.settings.name} ({s.fault})" for s in chosen if s.state != "running"]
        if broken:
            raise LabError(
                f"not running: {', '.join(broken)}", remedy="Mend the camera, then arm again."
            )
        return chosen

    @staticmethod
    def _rate(station: Station, encoding: str) -> float:
        got = station.accepted
        rate_hz = got.rate_hz if got.rate_hz > 0 else 60.0
        return bytes_per_second(got.size_px, got.channels, rate_hz, encoding)

    def _header(self, station: Station, asked: Arm) -> IndexHeader:
        known = msgspec.structs.asdict(station.describe()) | {
            "trial": asked.trial,
            "node": self._node,
            "encoding": asked.encoding,
            "armed_host_ns": self._clock.now_ns(),
        }
        return IndexHeader(**{name: known[name] for name in IndexHeader.__struct_fields__})
