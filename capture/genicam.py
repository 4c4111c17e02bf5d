"""Any GenICam camera through harvesters, with the .cti file of its maker's transport layer.

Harvesters and a transport layer come from elsewhere; without them this driver says what to
install. It has been written against harvesters' documented interface and not run on a camera.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from capture.cameras import CameraSettings, differences
from capture.driver import Accepted, CameraError, Shot
from capture.host_clock import HostClock
from lab.errors import LabError


class GenicamCamera:
    """One camera. Option `cti` is the path of the transport layer."""

    def __init__(self, settings: CameraSettings, clock: HostClock) -> None:
        self._settings, self._clock = settings, clock
        core = _load_harvesters()
        cti = str(settings.options.get("cti", ""))
        if not cti or not Path(cti).is_file():
            raise LabError(
                f'there is no transport layer "{cti}"',
                where=settings.name,
                remedy="Install the camera maker's GenTL producer and give its .cti file: "
                'options.cti = "/path/to/producer.cti".',
            )
        self._harvester = core.Harvester()
        self._harvester.add_file(cti)
        self._harvester.update()
        serials = [i.serial_number for i in self._harvester.device_info_list]
        if settings.serial not in serials:
            self._harvester.reset()
            raise LabError(
                f'no camera has the serial number "{settings.serial}"',
                where=settings.name,
                remedy=f"Found: {', '.join(map(str, serials)) or 'none'}.",
            )
        self._acquirer = self._harvester.create({"serial_number": settings.serial})
        self._nodes = self._acquirer.remote_device.node_map
        self._timeouts = _timeout_errors()
        self._set_up()

    def _set_up(self) -> None:
        asked = self._settings
        self._put("PixelFormat", "Mono8")
        region = asked.region_px or ((0, 0, *asked.size_px) if asked.size_px else None)
        if region is not None:
            for name, value in zip(("Width", "Height", "OffsetX", "OffsetY"),
                                   (*region[2:], *region[:2]), strict=True):  # fmt: skip
                self._put(name, value)
        if asked.trigger == "ptp":
            self._put("PtpEnable", True)
        self._put("TriggerMode", "Off" if asked.trigger in ("free", "ptp") else "On")
        if asked.trigger in ("software", "hardware"):
            line = asked.options.get("line", "Line1")
            self._put("TriggerSource", "Software" if asked.trigger == "software" else line)
        self.configure(asked.exposure_us, asked.gain_db, asked.rate_hz)

    def _put(self, name: str, value: Any) -> None:
        node = getattr(self._nodes, name, None)
        if node is not None:
            node.value = value

    def _get(self, name: str) -> Any:
        node = getattr(self._nodes, name, None)
        return math.nan if node is None else node.value

    @property
    def accepted(self) -> Accepted:
        """What the camera really does, read back from it."""
        size = (int(self._get("Width")), int(self._get("Height")))
        left, top = (0 if math.isnan(self._get(n)) else int(self._get(n))
                     for n in ("OffsetX", "OffsetY"))  # fmt: skip
        got = Accepted(
            serial=self._settings.serial,
            model=str(self._get("DeviceModelName")),
            size_px=size,
            channels=1,
            rate_hz=float(self._get("AcquisitionFrameRate")),
            exposure_us=float(self._get("ExposureTime")),
            gain_db=float(self._get("Gain")),
            trigger=self._settings.trigger,
            region_px=(left, top, *size),
            stamps="exposure_start",
        )
        return replace(got, differences=differences(self._settings, got))

    def start(self) -> None:
        """Begin to take frames."""
        self._acquirer.start()

    def grab(self, timeout_s: float) -> Shot | None:
        """Return the next frame.

        Raises:
            CameraError: When the camera is gone.
        """
        try:
            if self._settings.trigger == "software":
                self._nodes.TriggerSoftware.execute()
            buffer = self._acquirer.fetch(timeout=timeout_s)
        except self._timeouts:
            return None
        except (OSError, RuntimeError) as error:
            raise CameraError(str(error), where=self._settings.name) from error
        with buffer:
            host_ns = self._clock.now_ns()
            part = buffer.payload.components[0]
            image = np.array(part.data, dtype=np.uint8).reshape(part.height, part.width)
            index, device_ns = int(buffer.frame_id), int(buffer.timestamp_ns)
        exposure_us = float(self._get("ExposureTime"))
        exposure_ns = 0 if math.isnan(exposure_us) else round(exposure_us * 1e3)
        mid_ns = device_ns + exposure_ns // 2
        return Shot(index, device_ns, host_ns, mid_ns, exposure_ns, image)

    def configure(
        self,
        exposure_us: float | None = None,
        gain_db: float | None = None,
        rate_hz: float | None = None,
    ) -> None:
        """Change settings; `accepted` tells what came of it."""
        if exposure_us is not None:
            self._put("ExposureTime", exposure_us)
        if gain_db is not None:
            self._put("Gain", gain_db)
        if rate_hz is not None:
            self._put("AcquisitionFrameRateEnable", True)
            self._put("AcquisitionFrameRate", rate_hz)

    def stop(self) -> None:
        """Take no more frames."""
        self._acquirer.stop()

    def close(self) -> None:
        """Give the camera back."""
        self._acquirer.destroy()
        self._harvester.reset()


def _load_harvesters() -> Any:
    try:
        return importlib.import_module("harvesters.core")
    except ImportError as error:
        raise LabError(
            "GenICam cameras need harvesters, which is not installed here",
            remedy="Run: python -m pip install 'gaitlab[genicam]', and install the camera "
            "maker's GenTL producer.",
        ) from error


def _timeout_errors() -> tuple[type[BaseException], ...]:
    """Return the exceptions that mean "no frame in time"."""
    found: list[type[BaseException]] = [TimeoutError]
    genicam = importlib.import_module("genicam.gentl")
    timeout = getattr(genicam, "TimeoutException", None)
    if timeout is not None:
        found.append(timeout)
    return tuple(found)


def open_camera(settings: CameraSettings, clock: HostClock) -> GenicamCamera:
    """Open a GenICam camera."""
    return GenicamCamera(settings, clock)
