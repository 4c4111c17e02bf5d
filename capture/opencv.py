"""USB cameras through OpenCV: V4L2 on Linux, DirectShow on Windows, AVFoundation on macOS.

`serial` in cameras.toml is a stable path (/dev/v4l/by-id/..., /dev/v4l/by-path/...), or on Windows
and macOS, whose interfaces give no serial number to OpenCV, the number of the device. These
cameras give no counter: frames are counted as they come, and where the camera's own time stamps
(or, without them, arrivals) leave a hole of more than one and a half periods, the counter skips
what fits into it.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from capture.cameras import CameraSettings, differences
from capture.driver import Accepted, CameraError, Shot, shape_of
from capture.host_clock import HostClock
from lab.errors import LabError

_MEASURED_FRAMES = 20
_BACKENDS = {"linux": cv2.CAP_V4L2, "win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}


class OpenCvCamera:
    """One camera. What it negotiated is measured on its first frames, not believed.

    Args:
        settings: See the module; option `backend = "file"` plays a video file, for tests.
        clock: The node's.

    Raises:
        LabError: When the camera does not open or gives no frames.
    """

    def __init__(self, settings: CameraSettings, clock: HostClock) -> None:
        self._settings, self._clock = settings, clock
        self._file = settings.options.get("backend") == "file"
        self._capture = self._open()
        self._ask()
        self._index = -1
        self._last_ns = -1
        self._rate = math.nan
        self._size, self._channels = (0, 0), 0
        self._measure()

    def _open(self) -> Any:
        serial = self._settings.serial
        if self._file:
            capture = cv2.VideoCapture(serial, cv2.CAP_FFMPEG)
        else:
            device = int(serial) if serial.isdigit() else str(Path(serial).resolve())
            capture = cv2.VideoCapture(device, _BACKENDS.get(sys.platform, cv2.CAP_ANY))
        if not capture.isOpened():
            raise LabError(
                "the camera does not open",
                where=f"{self._settings.name} ({serial or 'no serial'})",
                remedy="Check that it is plugged in, that no other program uses it, and its path "
                "in cameras.toml.",
            )
        return capture

    def _ask(self) -> None:
        asked = self._settings
        if asked.trigger != "free":
            raise LabError(
                f"a USB camera has no {asked.trigger} trigger",
                where=asked.name,
                remedy='Set trigger = "free".',
            )
        if not self._file:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        if asked.size_px is not None:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, asked.size_px[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, asked.size_px[1])
        if asked.rate_hz is not None:
            self._capture.set(cv2.CAP_PROP_FPS, asked.rate_hz)
        if asked.exposure_us is not None or asked.gain_db is not None:
            self.configure(asked.exposure_us, asked.gain_db)

    def _measure(self) -> None:
        """Take a few frames: their size, and the rate at which they really come."""
        times: list[int] = []
        for _ in range(_MEASURED_FRAMES):
            good, image = self._capture.read()
            if not good or image is None:
                break
            self._size, self._channels = shape_of(image)
            times.append(time.monotonic_ns())
        if not times:
            self._capture.release()
            raise LabError(
                "the camera opened but gives no frames",
                where=self._settings.name,
                remedy="Use a port of its own: two cameras on one USB controller often exceed it.",
            )
        if self._file:
            self._rate = float(self._capture.get(cv2.CAP_PROP_FPS))
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        elif len(times) > 5:
            self._rate = 1e9 / statistics.median(np.diff(times[2:]).tolist())

    @property
    def accepted(self) -> Accepted:
        """What the camera really does: size and rate as measured."""
        width, height = self._size
        got = Accepted(
            serial=self._settings.serial,
            model=f"OpenCV {self._capture.getBackendName()}",
            size_px=self._size,
            channels=self._channels,
            rate_hz=self._rate,
            exposure_us=self._exposure_us(),
            gain_db=math.nan,
            trigger="free",
            region_px=(0, 0, width, height),
            stamps="arrival",
        )
        found = [d for d in differences(self._settings, got) if not d.startswith("rate_hz")]
        asked = self._settings.rate_hz
        if asked is not None and not abs(self._rate - asked) <= 0.1 * asked:
            found.append(f"rate_hz: {asked:g} Hz asked, {self._rate:.1f} Hz measured")
        return replace(got, differences=tuple(found))

    def start(self) -> None:
        """Begin; a USB camera runs from its opening on."""

    def grab(self, timeout_s: float) -> Shot | None:
        """Return the next frame. OpenCV's own wait, not `timeout_s`, bounds the call.

        Raises:
            CameraError: When the camera is gone.
        """
        if self._file:
            time.sleep(1.0 / self._rate if self._rate > 0 else 0.0)
        if not self._capture.grab():
            raise CameraError("the camera gives no more frames", where=self._settings.name)
        host_ns = self._clock.now_ns()
        good, image = self._capture.retrieve()
        if not good or image is None:
            raise CameraError("a frame cannot be read", where=self._settings.name)
        device_ns = self._stamp(host_ns)
        self._count(device_ns)
        exposure_us = self._exposure_us()
        exposure_ns = 0 if math.isnan(exposure_us) else round(exposure_us * 1e3)
        return Shot(
            self._index,
            device_ns,
            host_ns,
            device_ns - exposure_ns // 2,
            exposure_ns,
            np.ascontiguousarray(image, dtype=np.uint8),
        )

    def configure(
        self,
        exposure_us: float | None = None,
        gain_db: float | None = None,
        rate_hz: float | None = None,
    ) -> None:
        """Set the exposure (V4L2 counts in 100 us) and the rate.

        Raises:
            LabError: For a gain, which OpenCV knows in no unit, or an exposure elsewhere.
        """
        if gain_db is not None:
            raise LabError(
                "OpenCV knows no gain in dB",
                where=self._settings.name,
                remedy="Leave gain_db out and set the gain with the camera's own program.",
            )
        if exposure_us is not None:
            if sys.platform != "linux":
                raise LabError(
                    "the exposure of a USB camera can be set on Linux only",
                    where=self._settings.name,
                    remedy="Leave exposure_us out and set it with the camera's own program.",
                )
            self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, 1)
            self._capture.set(cv2.CAP_PROP_EXPOSURE, round(exposure_us / 100))
        if rate_hz is not None:
            self._capture.set(cv2.CAP_PROP_FPS, rate_hz)

    def stop(self) -> None:
        """Take no more frames."""

    def close(self) -> None:
        """Give the camera back."""
        self._capture.release()

    def _exposure_us(self) -> float:
        if self._file or sys.platform != "linux":
            return math.nan
        value = self._capture.get(cv2.CAP_PROP_EXPOSURE)
        return value * 100.0 if value > 0 else math.nan

    def _stamp(self, host_ns: int) -> int:
        """Return the buffer's own time where the backend gives one, else the arrival."""
        value = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        return round(value * 1e6) if value > 0 else (0 if self._file else host_ns)

    def _count(self, device_ns: int) -> None:
        step = 1
        if self._last_ns >= 0 and self._rate > 0:
            periods = (device_ns - self._last_ns) * 1e-9 * self._rate
            step = max(1, round(periods)) if periods > 1.5 else 1
        self._index += step
        self._last_ns = device_ns


def open_camera(settings: CameraSettings, clock: HostClock) -> OpenCvCamera:
    """Open a USB camera."""
    return OpenCvCamera(settings, clock)
