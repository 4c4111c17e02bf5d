"""What every camera is to a node: opened with settings, says what it accepted, hands out shots."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from capture.cameras import CameraSettings
from capture.host_clock import HostClock
from lab.errors import LabError

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One frame as a driver hands it out.

    Attributes:
        index: The camera's own counter; a gap is a lost frame.
        device_ns: The camera's clock, as read.
        host_ns: The node's monotonic clock at arrival.
        mid_device_ns: The middle of the exposure on the camera's clock, from what the driver knows
            of the moment that device_ns marks.
        exposure_ns: Length of the exposure; 0 where the camera does not tell.
        image: (H, W) or (H, W, 3) BGR uint8; or the camera's own JPEG as bytes.
    """

    index: int
    device_ns: int
    host_ns: int
    mid_device_ns: int
    exposure_ns: int
    image: Image | bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a camera really does after it was set.

    Attributes:
        serial, model: As the camera names itself.
        size_px: Width and height of its images.
        channels: 1 (grey) or 3 (BGR).
        rate_hz: Frames a second; NaN where only a measurement can tell.
        exposure_us, gain_db: NaN where the camera does not tell.
        trigger: free, hardware, software or ptp.
        region_px: Left, top, width, height on the sensor.
        stamps: What device_ns marks: exposure_start, exposure_end or arrival.
        delivers: raw or mjpeg.
        differences: Where this is not what was asked for, a sentence each.
    """

    serial: str
    model: str
    size_px: tuple[int, int]
    channels: int
    rate_hz: float
    exposure_us: float
    gain_db: float
    trigger: str
    region_px: tuple[int, int, int, int]
    stamps: str
    delivers: str = "raw"
    differences: tuple[str, ...] = ()


class CameraError(LabError):
    """The camera stopped giving frames: unplugged, reset, stream ended."""


@runtime_checkable
class CameraDriver(Protocol):
    """One camera. Opened on construction; used by one thread at a time, except `close`."""

    @property
    def accepted(self) -> Accepted:
        """What the camera really does."""
        ...

    def start(self) -> None:
        """Begin to take frames; the counter goes on from where it was or begins at 0."""
        ...

    def grab(self, timeout_s: float) -> Shot | None:
        """Return the next frame, or None when none came in time.

        Raises:
            CameraError: When the camera is gone, or its stream has ended.
        """
        ...

    def configure(
        self,
        exposure_us: float | None = None,
        gain_db: float | None = None,
        rate_hz: float | None = None,
    ) -> None:
        """Change settings; `accepted` tells what came of it."""
        ...

    def stop(self) -> None:
        """Take no more frames."""
        ...

    def close(self) -> None:
        """Give the camera back; nothing happens the second time."""
        ...


Opener = Callable[[CameraSettings, HostClock], CameraDriver]

# Modules by name: a driver's library is imported only when a camera needs it.
_MODULES = {
    "simulated": "capture.simulated",
    "played": "capture.played",
    "opencv": "capture.opencv",
    "basler": "capture.basler",
    "genicam": "capture.genicam",
    "stream": "capture.stream",
}
_added: dict[str, Opener] = {}


def register(name: str, opener: Opener) -> None:
    """Add a driver of another program under a name, or replace one."""
    _added[name] = opener


def driver_names() -> tuple[str, ...]:
    """Return the names that cameras.toml may use."""
    return tuple(sorted({*_MODULES, *_added}))


def open_camera(settings: CameraSettings, clock: HostClock) -> CameraDriver:
    """Open one camera with the driver that its settings name.

    Raises:
        LabError: For a name without a driver, a library that is missing, or a camera that is not
            there or refuses its settings.
    """
    opener = _added.get(settings.driver)
    if opener is None:
        module = _MODULES.get(settings.driver)
        if module is None:
            raise LabError(
                f'no driver is called "{settings.driver}"',
                where=settings.name,
                remedy=f"Use one of {', '.join(driver_names())}.",
            )
        opener = importlib.import_module(module).open_camera
    return opener(settings, clock)


def open_cameras(cameras: Sequence[CameraSettings], clock: HostClock) -> Mapping[str, CameraDriver]:
    """Open all cameras at once; all of them, or none and every failure in one message.

    Raises:
        LabError: A line for each camera that failed; those that opened are closed again.
    """
    opened: dict[str, CameraDriver] = {}
    failures: dict[str, LabError] = {}

    def attempt(settings: CameraSettings) -> None:
        try:
            opened[settings.name] = open_camera(settings, clock)
        except LabError as error:
            failures[settings.name] = error

    with ThreadPoolExecutor(max_workers=max(1, min(8, len(cameras)))) as pool:
        list(pool.map(attempt, cameras))
    if failures:
        for driver in opened.values():
            driver.close()
        lines = "".join(f"\n  {name}: {failures[name]}" for name in sorted(failures))
        raise LabError(
            f"{len(failures)} of {len(cameras)} cameras did not open:{lines}\n ",
            remedy="Mend each, then start again.",
        )
    return {settings.name: opened[settings.name] for settings in cameras}


def shape_of(image: Any) -> tuple[tuple[int, int], int]:
    """Return width and height, and channels, of an image (H, W[, 3])."""
    height, width = image.shape[:2]
    return (int(width), int(height)), 1 if image.ndim == 2 else int(image.shape[2])
