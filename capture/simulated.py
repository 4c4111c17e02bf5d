"""A camera that is not there: plays given images at a set rate, with faults on request.

Every image carries its counter in its pixels (capture/counter.py), so that what is in a file can
be compared with what left the source. Frames that are lost on request take a counter but are never
handed out, as with a real camera; so are frames that nobody fetched before the camera's buffer was
full. The world runs on this computer's own monotonic clock, which the node may be made to
misread; all cameras with the same `epoch_ns` expose at the same instants.
"""

from __future__ import annotations

import ctypes
import math
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import av
import cv2
import msgspec
import numpy as np
from av.error import FFmpegError

from capture.cameras import CameraSettings, differences
from capture.counter import draw_counter
from capture.driver import Accepted, CameraError, Image, Shot, register
from capture.host_clock import HostClock
from capture.jpeg_source import CountedJpeg
from lab.errors import FileError, LabError

Source = Callable[[str, float], Image | CountedJpeg]

LEDGER = struct.Struct("<qq")  # counter, true time of the exposure's start in ns
_DEVICE_ORIGIN_NS = 123_000_000_000  # a camera's clock begins somewhere of its own
_BUFFER_FRAMES = 64


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong on purpose.

    Attributes:
        drop: Share of frames lost, chosen by a seeded generator.
        seed: Of everything random.
        stall_at, stall_s: From this counter on, nothing arrives for so long; then all at once.
        unplug_at: At this counter the camera is gone; opened anew, it is there again.
        crash_at: At this counter the driver fails with an error that is no LabError.
        segfault_at: At this counter the driver's C code reads where nothing is.
        drift_ppm: How much faster than the host's the camera's clock runs.
        jitter_us: Mean of the exponential delay of arrival on top of `latency_us`.
    """

    drop: float = 0.0
    seed: int = 1
    stall_at: int = -1
    stall_s: float = 0.0
    unplug_at: int = -1
    crash_at: int = -1
    segfault_at: int = -1
    drift_ppm: float = 0.0
    jitter_us: float = 0.0


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What cameras.toml may say of a simulated camera.

    Attributes:
        frames: A video whose frames are played, again from its start when it ends; frame
            `counter % n` is shown. Without one, a plain moving picture.
        delivers: raw, or mjpeg as from a camera that encodes by itself (grey only).
        quality: Of that JPEG.
        colour: BGR instead of grey.
        epoch_ns: When counter 0 was exposed, on this computer's monotonic clock; -1: when started.
            Cameras that share it are on one line, and may be asked for trigger = "hardware".
        latency_us: From the end of the exposure to the node.
        ledger: A file to which every frame that left the source is added (LEDGER).
        faults: See Faults.
    """

    frames: str = ""
    delivers: str = "raw"
    quality: int = 90
    colour: bool = False
    epoch_ns: int = -1
    latency_us: float = 3000.0
    ledger: str = ""
    faults: Faults = Faults()


class SimulatedCamera:
    """See the module. `source`, if any, is asked for the image of a camera at t (s since epoch).

    A source whose images are JPEG already goes with delivers = "mjpeg".
    """

    def __init__(
        self, settings: CameraSettings, clock: HostClock, source: Source | None = None
    ) -> None:
        try:
            options = msgspec.convert(settings.options, Options)
        except msgspec.ValidationError as error:
            raise LabError(
                f"options of a simulated camera: {error}",
                where=settings.name,
                remedy="Compare cameras.toml with docs/capture.md.",
            ) from error
        self._settings, self._options, self._clock = settings, options, clock
        self._faults = options.faults
        self._rng = np.random.default_rng(options.faults.seed)
        self._size = settings.size_px or (1280, 720)
        self._source = source
        self._images: list[Image] = []
        if source is None:
            self._images = (
                read_frames(Path(options.frames), options.colour)
                if options.frames
                else _moving_pictures(settings.name, self._size, options.colour)
            )
            height, width = self._images[0].shape[:2]
            self._size = (width, height)
        self._jpegs = (
            [CountedJpeg(image, options.quality) for image in self._images]
            if options.delivers == "mjpeg"
            else []
        )
        self._rate = settings.rate_hz or 60.0
        self._exposure_ns = round((settings.exposure_us or 2000.0) * 1e3)
        self._gain = settings.gain_db or 0.0
        self._epoch_ns = options.epoch_ns
        # Whoever is told when counter 0 is exposed is told so by the line.
        on_line = settings.trigger == "hardware" and options.epoch_ns >= 0
        self._trigger = "hardware" if on_line else "free"
        self._next = 0
        self._unplugged = False
        self._stalled_until_ns = 0
        self._running = False
        self._ledger: BinaryIO | None = None
        if options.ledger:
            self._ledger = Path(options.ledger).open("ab", buffering=0)  # noqa: SIM115

    @property
    def accepted(self) -> Accepted:
        """What the camera really does."""
        width, height = self._size
        got = Accepted(
            serial=self._settings.serial or self._settings.name,
            model="simulated",
            size_px=self._size,
            channels=3 if self._options.colour else 1,
            rate_hz=self._rate,
            exposure_us=self._exposure_ns / 1e3,
            gain_db=self._gain,
            trigger=self._trigger,
            region_px=(0, 0, width, height),
            stamps="exposure_start",
            delivers=self._options.delivers,
        )
        return replace(got, differences=differences(self._settings, got))

    def start(self) -> None:
        """Begin, or go on, at the next whole period."""
        now_ns = time.monotonic_ns()
        if self._epoch_ns < 0:
            self._epoch_ns = now_ns
        self._next = max(self._next, math.ceil((now_ns - self._epoch_ns) * 1e-9 * self._rate))
        self._running = True

    def grab(self, timeout_s: float) -> Shot | None:
        """Wait for the next frame that is not lost.

        Raises:
            CameraError: When it was unplugged, or never started.
        """
        if not self._running:
            raise CameraError("was not started", where=self._settings.name)
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        while True:
            counter = self._next
            self._go_wrong(counter)
            exposed_ns = self._exposed_ns(counter)
            arrival_ns = self._arrival_ns(exposed_ns)
            if arrival_ns > deadline_ns:
                _sleep_until(deadline_ns)
                return None
            _sleep_until(arrival_ns)
            self._next = counter + 1
            if self._faults.drop and self._rng.random() < self._faults.drop:
                continue
            if time.monotonic_ns() > arrival_ns + self._buffered_ns(exposed_ns):
                continue  # nobody came for it in time
            return self._shoot(counter, exposed_ns)

    def configure(
        self,
        exposure_us: float | None = None,
        gain_db: float | None = None,
        rate_hz: float | None = None,
    ) -> None:
        """Change exposure and gain; the rate only before the start."""
        if exposure_us is not None:
            self._exposure_ns = round(exposure_us * 1e3)
        if gain_db is not None:
            self._gain = gain_db
        if rate_hz is not None and not self._running:
            self._rate = rate_hz
        self._settings = msgspec.structs.replace(
            self._settings,
            exposure_us=exposure_us or self._settings.exposure_us,
            gain_db=self._settings.gain_db if gain_db is None else gain_db,
            rate_hz=rate_hz or self._settings.rate_hz,
        )

    def stop(self) -> None:
        """Take no more frames."""
        self._running = False

    def close(self) -> None:
        """Give up the camera."""
        self._running = False
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def _exposed_ns(self, counter: int) -> int:
        return self._epoch_ns + round(counter * 1e9 / self._rate)

    def _arrival_ns(self, exposed_ns: int) -> int:
        late = self._options.latency_us
        if self._faults.jitter_us:
            late += self._rng.exponential(self._faults.jitter_us)
        arrival_ns = exposed_ns + self._exposure_ns + round(late * 1e3)
        return max(arrival_ns, self._stalled_until_ns)

    def _buffered_ns(self, exposed_ns: int) -> int:
        if exposed_ns < self._stalled_until_ns:
            return round(60e9)
        return round(_BUFFER_FRAMES * 1e9 / self._rate)

    def _go_wrong(self, counter: int) -> None:
        faults = self._faults
        if counter == faults.stall_at and faults.stall_s:
            self._stalled_until_ns = max(
                self._stalled_until_ns, self._exposed_ns(counter) + round(faults.stall_s * 1e9)
            )
        if counter == faults.crash_at and _first_time(self._settings.name, counter):
            raise RuntimeError("the simulated driver was asked to crash")
        if counter == faults.segfault_at:
            ctypes.string_at(0)
        if counter == faults.unplug_at and _first_time(self._settings.name, counter):
            raise CameraError("the camera was unplugged", where=self._settings.name)

    def _shoot(self, counter: int, exposed_ns: int) -> Shot:
        image = self._image(counter)
        elapsed = exposed_ns - self._epoch_ns
        device_ns = elapsed + round(elapsed * self._faults.drift_ppm * 1e-6) + _DEVICE_ORIGIN_NS
        if self._ledger is not None:
            self._ledger.write(LEDGER.pack(counter, exposed_ns))
        return Shot(
            index=counter,
            device_ns=device_ns,
            host_ns=self._clock.now_ns(),
            mid_device_ns=device_ns + self._exposure_ns // 2,
            exposure_ns=self._exposure_ns,
            image=image,
        )

    def _image(self, counter: int) -> Image | bytes:
        if self._jpegs:
            return self._jpegs[counter % len(self._jpegs)].with_counter(counter)
        if self._source is not None:
            given = self._source(self._settings.name, counter / self._rate)
            if isinstance(given, CountedJpeg):
                return given.with_counter(counter)
            image = given.copy()
        else:
            image = self._images[counter % len(self._images)].copy()
        draw_counter(image, counter)
        return image


_gone_wrong: set[tuple[str, int]] = set()


def _first_time(camera: str, counter: int) -> bool:
    """Whether a fault has not struck yet in this process: a camera opened anew has no memory."""
    known = (camera, counter) in _gone_wrong
    _gone_wrong.add((camera, counter))
    return not known


def open_camera(settings: CameraSettings, clock: HostClock) -> SimulatedCamera:
    """Open a simulated camera."""
    return SimulatedCamera(settings, clock)


def register_source(name: str, source: Source) -> None:
    """Make a driver of this name that plays images from a callable (camera, t) -> image."""
    register(name, lambda settings, clock: SimulatedCamera(settings, clock, source))


def read_ledger(path: Path) -> list[tuple[int, int]]:
    """Return counter and true time of the exposure's start, ns, of every frame that left."""
    content = path.read_bytes()
    return list(LEDGER.iter_unpack(content[: len(content) // LEDGER.size * LEDGER.size]))


def read_frames(path: Path, colour: bool) -> list[Image]:
    """Return all frames of a video.

    Raises:
        FileError: When it cannot be read or holds none.
    """
    try:
        with av.open(str(path)) as container:
            kind = "bgr24" if colour else "gray"
            images = [
                np.ascontiguousarray(frame.to_ndarray(format=kind), dtype=np.uint8)
                for frame in container.decode(video=0)
            ]
    except (OSError, FFmpegError, IndexError) as error:
        raise FileError(f"cannot be played ({error})", where=str(path)) from error
    if not images:
        raise FileError("holds no frames", where=str(path))
    return images


def _moving_pictures(camera: str, size_px: tuple[int, int], colour: bool) -> list[Image]:
    """Return a few plain pictures that differ between cameras and move."""
    width, height = size_px
    shade = np.linspace(60, 180, width, dtype=np.float32)[None, :]
    pictures = []
    for step in range(8):
        image = np.repeat(shade, height, axis=0).astype(np.uint8)
        x = int((0.5 + 0.4 * math.sin(step * math.pi / 4)) * width)
        level = 200 + sum(camera.encode()) % 50
        cv2.circle(image, (x, height // 2), max(4, height // 10), level, -1)
        pictures.append(np.repeat(image[..., None], 3, axis=2) if colour else image)
    return pictures


def _sleep_until(when_ns: int) -> None:
    left = when_ns - time.monotonic_ns()
    if left > 0:
        time.sleep(left * 1e-9)
