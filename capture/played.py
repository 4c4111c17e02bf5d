"""A camera that is not there, on a trigger line: plays a film, one frame for each pulse.

Nothing is exposed until a pulse train begins. A file stands for the line: a cue names the film and
says when its first pulse comes. All cameras with the same cue expose at the same instants, whatever
computer's process they are in. For a room that is rendered beforehand; faults are the business of
the `simulated` driver.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import av
import msgspec
import numpy as np
from av.error import FFmpegError
from msgspec import Meta

from capture.cameras import CameraSettings, differences
from capture.driver import Accepted, CameraError, Image, Shot
from capture.host_clock import HostClock
from lab.errors import LabError

_LOOK_S = 0.02
_EXPOSURE_US = 2000.0


class Cue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pulse train.

    Attributes:
        number: Of the train; another number is another train.
        films: Folder with a film for each camera, NAME.mkv.
        first_ns: Mid-exposure of the first frame on this computer's monotonic clock.
        rate_hz: Pulses a second.
    """

    number: int
    films: str
    first_ns: int
    rate_hz: Annotated[float, Meta(gt=0, le=1000)]


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What cameras.toml says: the file that cues are written to."""

    cue: str


def write_cue(path: Path, cue: Cue) -> None:
    """Let a train of pulses begin; the file is whole or not there."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(msgspec.json.encode(cue))
    os.replace(part, path)


class PlayedCamera:
    """See the module. Films in MJPEG are handed out as they are, others as images.

    Raises:
        LabError: For options that are none, or a size that is not given.
    """

    def __init__(self, settings: CameraSettings, clock: HostClock) -> None:
        try:
            self._cue = Path(msgspec.convert(settings.options, _Options).cue)
        except msgspec.ValidationError as error:
            raise LabError(
                f"options of a played camera: {error}", where=settings.name,
                remedy='Write options = {cue = "FILE"}.',
            ) from error  # fmt: skip
        if settings.size_px is None:
            raise LabError(
                "a played camera needs the size of its films", where=settings.name,
                remedy="Write size_px = [WIDTH, HEIGHT].",
            )  # fmt: skip
        self._settings, self._size, self._clock = settings, settings.size_px, clock
        self._exposure_ns = round((settings.exposure_us or _EXPOSURE_US) * 1e3)
        self._index = 0
        self._played = -1  # number of the last train
        self._train: Iterator[tuple[int, Image | bytes]] | None = None
        self._next: tuple[int, Image | bytes] | None = None

    @property
    def accepted(self) -> Accepted:
        """What the camera really does."""
        got = Accepted(
            serial=self._settings.name,
            model="played",
            size_px=self._size,
            channels=1,
            rate_hz=self._settings.rate_hz or 100.0,
            exposure_us=self._exposure_ns / 1e3,
            gain_db=0.0,
            trigger="hardware",
            region_px=(0, 0, *self._size),
            stamps="exposure_start",
            delivers="raw",
        )
        return replace(got, differences=differences(self._settings, got))

    def start(self) -> None:
        """Wait for pulses."""

    def grab(self, timeout_s: float) -> Shot | None:
        """Return the next frame of the train, or None when no pulse came in time.

        Raises:
            CameraError: When a film cannot be played.
        """
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        while True:
            if self._next is None:
                self._next = self._advance()
            if self._next is not None:
                mid_ns, image = self._next
                ready_ns = mid_ns + self._exposure_ns // 2
                if ready_ns > deadline_ns:
                    _sleep_until(deadline_ns)
                    return None
                _sleep_until(ready_ns)
                self._next = None
                self._index += 1
                return Shot(
                    index=self._index - 1,
                    device_ns=mid_ns - self._exposure_ns // 2,
                    host_ns=self._clock.now_ns(),
                    mid_device_ns=mid_ns,
                    exposure_ns=self._exposure_ns,
                    image=image,
                )
            if time.monotonic_ns() >= deadline_ns:
                return None
            time.sleep(_LOOK_S)

    def configure(
        self,
        exposure_us: float | None = None,
        gain_db: float | None = None,
        rate_hz: float | None = None,
    ) -> None:
        """Change nothing: films are as they were rendered."""

    def stop(self) -> None:
        """Let the train go."""
        self._train = self._next = None

    def close(self) -> None:
        """Give up the camera."""
        self.stop()

    def _advance(self) -> tuple[int, Image | bytes] | None:
        """Return the next frame and its mid-exposure; None between trains."""
        try:
            if self._train is None:
                cue = self._read_cue()
                if cue is None:
                    return None
                self._played = cue.number
                path = Path(cue.films) / f"{self._settings.name}.mkv"
                self._train = _play(path, cue.first_ns, cue.rate_hz)
            frame = next(self._train, None)
        except (OSError, FFmpegError, IndexError) as error:
            self._train = None
            raise CameraError(
                f"its film does not play ({error})", where=self._settings.name
            ) from error
        if frame is None:
            self._train = None
        return frame

    def _read_cue(self) -> Cue | None:
        try:
            cue = msgspec.json.decode(self._cue.read_bytes(), type=Cue)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise CameraError(f"the cue cannot be read ({error})", where=str(self._cue)) from error
        return cue if cue.number != self._played else None


def _play(path: Path, first_ns: int, rate_hz: float) -> Iterator[tuple[int, Image | bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec_context.name == "mjpeg":
            contents = (bytes(p) for p in container.demux(stream) if p.size)
        else:
            contents = (
                np.ascontiguousarray(f.to_ndarray(format="gray"), dtype=np.uint8)
                for f in container.decode(stream)
            )
        for k, content in enumerate(contents):
            yield first_ns + round(k * 1e9 / rate_hz), content


def open_camera(settings: CameraSettings, clock: HostClock) -> PlayedCamera:
    """Open a played camera."""
    return PlayedCamera(settings, clock)


def _sleep_until(when_ns: int) -> None:
    left = when_ns - time.monotonic_ns()
    if left > 0:
        time.sleep(left * 1e-9)
