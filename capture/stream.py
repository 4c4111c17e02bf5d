"""Streams and files as cameras: RTSP, MJPEG over HTTP, and video files played at their rate.

What comes over a network has no counter of its own: frames are counted as they come, so a frame
lost on the way can be seen in the stream's own times only. Where those leave a hole of more than
one and a half periods, the counter skips what fits into it.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from capture.cameras import CameraSettings, differences
from capture.driver import Accepted, CameraError, Shot, shape_of
from capture.host_clock import HostClock
from lab.errors import LabError

_OPEN_S = 5.0


class StreamCamera:
    """One stream or file. `serial` in cameras.toml is its address or path.

    A file ends with CameraError; `loop = true` in the options plays it again.
    """

    def __init__(self, settings: CameraSettings, clock: HostClock) -> None:
        self._settings, self._clock = settings, clock
        self._is_file = "://" not in settings.serial
        self._loop = settings.options.get("loop") is True
        self._index = -1
        self._last_pts_ns = -1
        self._base_ns = 0
        self._began_ns = 0
        self._container = self._open()
        stream = self._container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate
        self._rate = settings.rate_hz or (float(rate) if rate else math.nan)
        if self._is_file and not self._rate > 0:
            raise LabError("the file does not tell its rate", where=settings.serial)
        self._grey = stream.codec_context.pix_fmt in ("gray", "gray8")
        self._frames = self._decode()
        self._width, self._height = stream.codec_context.width, stream.codec_context.height

    def _open(self) -> Any:
        try:
            container = av.open(self._settings.serial, timeout=_OPEN_S)
        except (OSError, FFmpegError, ValueError) as error:
            raise LabError(
                f"cannot be opened ({error})",
                where=self._settings.serial or self._settings.name,
                remedy="Check the address or path in cameras.toml.",
            ) from error
        if not container.streams.video:
            container.close()
            raise LabError("holds no video", where=self._settings.serial)
        return container

    @property
    def accepted(self) -> Accepted:
        """What the stream is."""
        got = Accepted(
            serial=self._settings.serial,
            model="file" if self._is_file else "stream",
            size_px=(self._width, self._height),
            channels=1 if self._grey else 3,
            rate_hz=self._rate,
            exposure_us=math.nan,
            gain_db=math.nan,
            trigger="free",
            region_px=(0, 0, self._width, self._height),
            stamps="arrival",
        )
        return replace(got, differences=differences(self._settings, got))

    def start(self) -> None:
        """Begin, or go on."""
        self._began_ns = time.monotonic_ns() - (self._index + 1) * self._period_ns()

    def grab(self, timeout_s: float) -> Shot | None:
        """Return the next frame; a file's at its time.

        Raises:
            CameraError: When the stream has ended.
        """
        if self._is_file:
            due_ns = self._began_ns + (self._index + 1) * self._period_ns()
            now_ns = time.monotonic_ns()
            if due_ns > now_ns + timeout_s * 1e9:
                time.sleep(timeout_s)
                return None
            time.sleep(max(0, due_ns - now_ns) * 1e-9)
        frame = self._next_frame()
        host_ns = self._clock.now_ns()
        image = np.ascontiguousarray(
            frame.to_ndarray(format="gray" if self._grey else "bgr24"), dtype=np.uint8
        )
        (self._width, self._height), _ = shape_of(image)
        device_ns = self._count(frame)
        return Shot(self._index, device_ns, host_ns, device_ns, 0, image)

    def configure(
        self,
        exposure_us: float | None = None,
        gain_db: float | None = None,
        rate_hz: float | None = None,
    ) -> None:
        """A stream is as it is.

        Raises:
            LabError: Always.
        """
        raise LabError("a stream has no settings", where=self._settings.name)

    def stop(self) -> None:
        """Take no more frames."""

    def close(self) -> None:
        """Close the stream."""
        self._container.close()

    def _period_ns(self) -> int:
        return round(1e9 / self._rate) if self._rate > 0 else 0

    def _decode(self) -> Any:
        return self._container.decode(video=0)

    def _next_frame(self) -> Any:
        for attempt in (0, 1):
            try:
                return next(self._frames)
            except StopIteration:
                if not (self._is_file and self._loop and attempt == 0):
                    break
                self._container.close()
                self._container = self._open()
                self._frames = self._decode()
                self._base_ns = (self._index + 1) * self._period_ns()
            except (OSError, FFmpegError, ValueError) as error:
                raise CameraError(f"the stream broke ({error})", where=self._name()) from error
        raise CameraError("the stream has ended", where=self._name())

    def _count(self, frame: Any) -> int:
        """Number a frame from the stream's own times; its time in ns."""
        period = self._period_ns()
        if frame.pts is None or frame.time_base is None:
            self._index += 1
            return self._index * period
        pts_ns = self._base_ns + round(frame.pts * frame.time_base * 1_000_000_000)
        step = 1
        if self._last_pts_ns >= 0 and period and pts_ns - self._last_pts_ns > 1.5 * period:
            step = round((pts_ns - self._last_pts_ns) / period)
        self._index += step
        self._last_pts_ns = pts_ns
        return pts_ns

    def _name(self) -> str:
        return Path(self._settings.serial).name if self._is_file else self._settings.name


def open_camera(settings: CameraSettings, clock: HostClock) -> StreamCamera:
    """Open a stream or a file."""
    return StreamCamera(settings, clock)
