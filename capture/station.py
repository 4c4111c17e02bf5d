"""One camera in a node: its driver kept alive, its frames recorded and published.

Two threads. One only takes frames from the driver, so that nothing waits in the camera. The other
encodes, records and publishes. Between them is a bounded queue; what does not fit is counted and
shows as a gap in the counter, like any other lost frame.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from capture.cameras import CameraSettings
from capture.control import CameraDescription, CameraHealth
from capture.driver import CameraDriver, Image, Shot, open_camera
from capture.encoder import Encoder
from capture.host_clock import HostClock
from capture.recorder import Recorder, Tally
from lab.errors import LabError

_QUEUE_BYTES = 400_000_000  # a camera may be this far ahead of the disk
_GRAB_S = 0.2
_SILENCE_S = 3.0  # a free-running camera that says nothing for so long is reported
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Outlet(Protocol):
    """Where frames go besides the disk."""

    def publish(
        self,
        camera: str,
        trial: str,
        shot: Shot,
        encoder: Encoder,
        content: bytes | memoryview,
        key: bool,
    ) -> None:
        """Send one encoded frame, and a preview when one is due; never waits."""
        ...  # fmt: skip


@dataclass(slots=True, eq=False)
class Take:
    """One trial on one camera, between its arming and its end."""

    trial: str
    encoder: Encoder
    recorder: Recorder
    start_ns: int | None = None
    stop_ns: int | None = None
    started: bool = False
    fault: LabError | None = None


class Station:
    """See the module.

    Args:
        settings: Of the camera.
        driver: Opened.
        clock: The node's.
        outlet: Where frames go besides the disk.
        report: Called with where, what and remedy of every fault.
        quality: Of the JPEG that is published between trials.
    """

    def __init__(
        self,
        settings: CameraSettings,
        driver: CameraDriver,
        clock: HostClock,
        outlet: Outlet,
        report: Callable[[str, str, str], None],
        quality: int = 90,
    ) -> None:
        self.settings = settings
        self.accepted = driver.accepted
        self.state = "running"
        self.fault = ""
        self.grabbed = self.lost = self.restarts = 0
        self.tally = Tally()
        self._driver, self._clock, self._outlet, self._report = driver, clock, outlet, report
        self._quality = quality
        self._idle = self._new_encoder("mjpeg", quality)
        self._take: Take | None = None
        self._queue: deque[Shot] = deque()
        self._queued_bytes = 0
        self._change = threading.Condition()
        self._ending = threading.Event()
        self._arrivals: deque[int] = deque(maxlen=240)
        self._driver_lock = threading.Lock()
        self._last_index = self._last_host_ns = -1
        self._threads = [
            threading.Thread(target=self._keep_grabbing, name=f"grab {settings.name}"),
            threading.Thread(target=self._keep_working, name=f"work {settings.name}"),
        ]

    def start(self) -> None:
        """Begin to take frames."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End both threads; a trial under way is closed with what it has."""
        self._ending.set()
        with self._change:
            self._change.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=10)
        self._end_take()
        with self._driver_lock:
            self._driver.close()

    def configure(
        self, exposure_us: float | None, gain_db: float | None, rate_hz: float | None
    ) -> None:
        """Change the camera's settings; `accepted` tells what came of it."""
        with self._driver_lock:
            self._driver.configure(exposure_us, gain_db, rate_hz)
            self.accepted = self._driver.accepted

    def new_encoder(self, encoding: str, quality: int) -> Encoder:
        """Return an encoder for this camera's images."""
        return self._new_encoder(encoding, quality)

    def arm(self, take: Take) -> None:
        """Be ready to record; frames go to the take from its start on."""
        with self._change:
            self.tally = take.recorder.tally
            self._take = take

    def disarm(self) -> Take | None:
        """Give back a take that did not start."""
        with self._change:
            take, self._take = self._take, None
        return take

    def set_start(self, start_ns: int) -> None:
        """Say from which host time on frames are recorded."""
        if self._take is not None:
            self._take.start_ns = start_ns

    def set_stop(self, stop_ns: int) -> None:
        """Say up to which host time frames are recorded."""
        if self._take is not None:
            self._take.stop_ns = stop_ns

    def finish(self, timeout_s: float) -> LabError | None:
        """Wait until the frames before the stop are on disk; close the files.

        Args:
            timeout_s: How long the disk may stand still.

        Returns:
            What went wrong with the recording, if anything.
        """
        take = self._take
        if take is None:
            return None
        with self._change:
            deadline, waiting = time.monotonic() + timeout_s, len(self._queue)
            while self._before_stop(take) and time.monotonic() < deadline:
                self._change.wait(0.02)
                if len(self._queue) < waiting:  # a slow disk is waited for as long as it moves
                    deadline = time.monotonic() + timeout_s
                waiting = len(self._queue)
            left = sum(s.host_ns <= (take.stop_ns or 0) for s in self._queue)
        if left and take.fault is None:
            take.fault = LabError(
                f"the disk stood still: {left} frames at the end of the trial were not written",
                where=self.settings.name,
                remedy="Check the node's disk and record the trial again.",
            )
        return self._end_take()

    def describe(self) -> CameraDescription:
        """Return the camera as it really stands, not as it was asked to."""
        got = self.accepted
        return CameraDescription(
            camera=self.settings.name,
            driver=self.settings.driver,
            serial=got.serial,
            model=got.model,
            size_px=got.size_px,
            channels=got.channels,
            rate_hz=got.rate_hz,
            exposure_us=got.exposure_us,
            gain_db=got.gain_db,
            trigger=got.trigger,
            region_px=got.region_px,
            stamps=got.stamps,
            delivers=got.delivers,
            differences=list(got.differences),
        )

    def health(self) -> CameraHealth:
        """Return the counts as they stand."""
        with self._change:
            arrivals = list(self._arrivals)
            waiting = len(self._queue)
        span = (arrivals[-1] - arrivals[0]) * 1e-9 if len(arrivals) > 1 else 0.0
        return CameraHealth(
            camera=self.settings.name,
            state=self.state,
            grabbed=self.grabbed,
            lost=self.lost,
            restarts=self.restarts,
            rate_hz=(len(arrivals) - 1) / span if span > 0 else 0.0,
            recorded=self.tally.recorded,
            recorded_lost=self.tally.lost,
            waiting=waiting,
            fault=self.fault,
        )

    # ---- the thread that takes frames ----

    def _keep_grabbing(self) -> None:
        """Take frames; open the camera anew whenever it or its driver fails."""
        attempt = 0
        while not self._ending.is_set():
            failure = _outcome(self._grab_until_fault)
            if self._ending.is_set() or failure is None:
                return
            self._tell(failure)
            self.state = "restarting"
            self._ending.wait(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])
            reopened = None if self._ending.is_set() else _outcome(self._reopen)
            if reopened is None:
                attempt = 0
                self.restarts += 1
            else:
                attempt += 1
                if attempt == 1:
                    self._tell(reopened)

    def _reopen(self) -> None:
        with self._driver_lock:
            _outcome(self._driver.close)
            self._driver = open_camera(self.settings, self._clock)
            self.accepted = self._driver.accepted

    def _grab_until_fault(self) -> None:
        self._driver.start()
        self.state, ahead = "running", None
        heard = time.monotonic()
        silent = False
        while not self._ending.is_set():
            shot = self._driver.grab(_GRAB_S)
            if shot is None:
                # A camera on a trigger line may rest between trials.
                take = self._take
                expected = self.accepted.trigger in ("free", "ptp") or (
                    take is not None and take.start_ns is not None
                )
                if not expected:
                    heard = time.monotonic()
                if not silent and time.monotonic() - heard > _SILENCE_S:
                    silent = True
                    self._tell(
                        LabError(
                            f"no frame for {_SILENCE_S:g} s",
                            remedy="Check the camera, its trigger and its cable.",
                        )
                    )
                continue
            heard, silent = time.monotonic(), False
            self.grabbed += 1
            if ahead is None:
                ahead = self._counter_ahead(shot)
            self._enqueue(replace(shot, index=shot.index + ahead) if ahead else shot)
            last, self._last_index = self._last_index, shot.index + ahead
            self._last_host_ns = shot.host_ns
            if last >= 0 and self._last_index > last + 1:
                self.lost += self._last_index - last - 1

    def _counter_ahead(self, shot: Shot) -> int:
        """Return what to add to the counter of a camera that was opened anew and began again.

        The counter goes on behind at least one missing frame, by as many as fit into the time.
        """
        if shot.index > self._last_index:
            return 0
        away_s = (shot.host_ns - self._last_host_ns) * 1e-9
        rate_hz = self.accepted.rate_hz if self.accepted.rate_hz > 0 else 0.0
        return self._last_index + max(2, round(away_s * rate_hz)) - shot.index

    def _enqueue(self, shot: Shot) -> None:
        size = _size_of(shot.image)
        with self._change:
            self._arrivals.append(shot.host_ns)
            full = self._queued_bytes + size > _QUEUE_BYTES
            if not full:
                self._queue.append(shot)
                self._queued_bytes += size
            self._change.notify_all()
        if full:
            self._tell(
                LabError(
                    "this computer is too slow: frames were lost between camera and disk",
                    remedy="Use a lower rate, fewer cameras a node, or a faster disk.",
                ),
                once=True,
            )

    # ---- the thread that encodes, records and publishes ----

    def _keep_working(self) -> None:
        while not self._ending.is_set():
            failure = _outcome(self._work)
            if failure is not None:
                self._tell(failure)

    def _work(self) -> None:
        while True:
            with self._change:
                while not self._queue:
                    if self._ending.is_set():
                        return
                    self._change.wait(0.2)
                shot = self._queue[0]
                take = self._take
            try:
                self._handle(shot, take)
            finally:
                with self._change:
                    self._queue.popleft()
                    self._queued_bytes -= _size_of(shot.image)
                    self._change.notify_all()

    def _handle(self, shot: Shot, take: Take | None) -> None:
        recording = take is not None and _belongs(shot, take)
        encoder = take.encoder if take is not None and recording else self._idle
        content, key = encoder.encode(shot.image)
        if take is not None and recording:
            try:
                take.recorder.write(
                    shot.index, shot.device_ns, shot.host_ns, shot.mid_device_ns,
                    shot.exposure_ns, content, key=key,
                )  # fmt: skip
            except LabError as error:
                take.fault = error
                self._tell(error)
        trial = take.trial if take is not None and recording else ""
        self._outlet.publish(self.settings.name, trial, shot, encoder, content, key)

    def _before_stop(self, take: Take) -> bool:
        """Whether frames from before the stop may still be on their way."""
        if take.stop_ns is None or take.fault is not None:
            return False
        if self._clock.now_ns() < take.stop_ns + 100_000_000:
            return True
        return any(shot.host_ns <= take.stop_ns for shot in self._queue)

    def _end_take(self) -> LabError | None:
        with self._change:
            take, self._take = self._take, None
        if take is None:
            return None
        try:
            take.recorder.close()
        except LabError as error:
            take.fault = take.fault or error
        return take.fault

    def _new_encoder(self, encoding: str, quality: int) -> Encoder:
        got = self.accepted
        rate = got.rate_hz if got.rate_hz > 0 else 60.0
        return Encoder(encoding, got.size_px, got.channels, rate, quality)

    def _tell(self, error: BaseException, once: bool = False) -> None:
        if isinstance(error, LabError):
            what, remedy = error.what, error.remedy
        else:
            what = f"the driver failed ({type(error).__name__}: {error})"
            remedy = "It is opened again; if this repeats, check the camera and its driver."
        if once and self.fault == what:
            return
        self.fault = what
        self._report(self.settings.name, what, remedy)


def _belongs(shot: Shot, take: Take) -> bool:
    """Whether a frame is of the trial: its exposure began after the start and before the stop."""
    if take.fault is not None or take.start_ns is None:
        return False
    began_ns = shot.host_ns - shot.exposure_ns
    take.started = take.started or began_ns >= take.start_ns
    return take.started and (take.stop_ns is None or began_ns < take.stop_ns)


def _outcome(action: Callable[[], None]) -> BaseException | None:
    """Run something of a driver and return what it raised, whatever that is: it is reported."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(action).exception()


def _size_of(image: Image | bytes) -> int:
    return len(image) if isinstance(image, bytes) else image.nbytes
