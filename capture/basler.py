"""Basler cameras through pypylon, and pylon's own emulation of them (PYLON_CAMEMU=n).

The camera's block number is the counter; its time stamp, in a chunk where the camera sends one,
marks the start of the exposure. The emulation sends no time stamp: arrival stands in, and
`accepted.stamps` says so.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from capture.cameras import CameraSettings, differences
from capture.driver import Accepted, CameraError, Shot
from capture.host_clock import HostClock
from lab.errors import LabError

_ROLLOVER = 65535  # block numbers of GigE Vision 1 go from 1 to this and to 1 again
_BUFFERS = 64


class BaslerCamera:
    """One camera. Options: `line` of a hardware trigger, `image_files` (emulation only).

    Raises:
        LabError: When pypylon is not installed, the camera is not there, is in use, or does not
            know what is asked of it.
    """

    def __init__(self, settings: CameraSettings, clock: HostClock) -> None:
        self._settings, self._clock = settings, clock
        self._pylon, self._genicam = _load_pylon()
        self._raw = self._genicam.RuntimeException, self._genicam.GenericException
        self._last_raw = self._index = -1
        self._base = 0
        self._camera = self._open()
        try:
            self._set_up()
            self._accepted = self._read_back()
        except self._raw as error:
            self._camera.Close()
            raise LabError(
                f"the camera does not take its settings ({_short(error)})",
                where=settings.name,
                remedy="Compare cameras.toml with what the pylon Viewer offers.",
            ) from error
        except LabError:
            self._camera.Close()
            raise

    def _open(self) -> Any:
        factory = self._pylon.TlFactory.GetInstance()
        try:
            found = {d.GetSerialNumber(): d for d in factory.EnumerateDevices()}
            chosen = found.get(self._settings.serial)
            if not self._settings.serial and len(found) == 1:
                chosen = next(iter(found.values()))
            if chosen is None:
                raise LabError(
                    f'no Basler camera has the serial number "{self._settings.serial}"',
                    where=self._settings.name,
                    remedy=f"Found: {', '.join(sorted(found)) or 'none'}. Check power and cable.",
                )
            camera = self._pylon.InstantCamera(factory.CreateDevice(chosen))
            camera.Open()
        except self._raw as error:
            raise LabError(
                f"the camera does not open ({_short(error)})",
                where=f"{self._settings.name} ({self._settings.serial})",
                remedy="Close every other program that uses it.",
            ) from error
        return camera

    def _set_up(self) -> None:
        asked = self._settings
        self._camera.MaxNumBuffer.Value = _BUFFERS
        self._put(("PixelFormat",), "Mono8")
        if asked.options.get("image_files"):
            self._put(("ImageFileMode",), "On", must=True)
            self._put(("ImageFilename",), str(Path(asked.options["image_files"])), must=True)
            self._put(("TestImageSelector",), "Off")
        self._set_region()
        self._set_trigger()
        self.configure(asked.exposure_us, asked.gain_db, asked.rate_hz)
        self._chunks = self._ask_for_stamps()

    def _set_region(self) -> None:
        asked = self._settings
        region = asked.region_px
        if region is None and asked.size_px is not None:
            region = (0, 0, *asked.size_px)
        if region is None:
            return
        for names in (("OffsetX",), ("OffsetY",)):
            self._put(names, 0)
        for name, value in zip(("Width", "Height", "OffsetX", "OffsetY"),
                               (*region[2:], *region[:2]), strict=True):  # fmt: skip
            self._put((name,), value, must=value != 0)

    def _set_trigger(self) -> None:
        kind = self._settings.trigger
        self._put(("TriggerSelector",), "FrameStart")
        if kind == "ptp":
            self._put(("PtpEnable", "GevIEEE1588"), True, must=True)
        if kind in ("free", "ptp"):
            self._put(("TriggerMode",), "Off")
            return
        line = self._settings.options.get("line", "Line1")
        self._put(("TriggerMode",), "On", must=True)
        self._put(("TriggerSource",), "Software" if kind == "software" else line, must=True)

    def _ask_for_stamps(self) -> bool:
        """Have the camera send its time with each image; whether it can."""
        if not self._put(("ChunkModeActive",), True):
            return False
        can = self._put(("ChunkSelector",), "Timestamp") and self._put(("ChunkEnable",), True)
        if not can:
            self._put(("ChunkModeActive",), False)
        return can

    def _node(self, names: Sequence[str]) -> Any:
        nodes = self._camera.GetNodeMap()
        for name in names:
            node = nodes.GetNode(name)
            if node is not None and self._genicam.IsWritable(node):
                return node
        return None

    def _put(self, names: Sequence[str], value: Any, must: bool = False) -> bool:
        """Set the first of several names that the camera knows; whether there was one."""
        node = self._node(names)
        if node is None:
            if must:
                raise LabError(
                    f"the camera knows no {names[0]}",
                    where=self._settings.name,
                    remedy="Take that setting out of cameras.toml, or use a camera that has it.",
                )
            return False
        kind = type(node).__name__
        if kind == "IntegerParameter":
            step = node.GetInc()
            value = min(max(int(value), node.GetMin()), node.GetMax())
            value -= (value - node.GetMin()) % step
        elif kind == "FloatParameter":
            value = min(max(float(value), node.GetMin()), node.GetMax())
        node.SetValue(value)
        return True

    def _get(self, names: Sequence[str]) -> float:
        nodes = self._camera.GetNodeMap()
        for name in names:
            node = nodes.GetNode(name)
            if node is not None and self._genicam.IsReadable(node):
                return float(node.GetValue())
        return math.nan

    @property
    def accepted(self) -> Accepted:
        """What the camera really does, read back from it."""
        return self._accepted

    def _read_back(self) -> Accepted:
        info = self._camera.GetDeviceInfo()
        region = [int(self._get((n,))) for n in ("OffsetX", "OffsetY", "Width", "Height")]
        rates = ("ResultingFrameRate", "ResultingFrameRateAbs", "AcquisitionFrameRateAbs")
        got = Accepted(
            serial=info.GetSerialNumber(),
            model=info.GetModelName(),
            size_px=(region[2], region[3]),
            channels=1,
            rate_hz=self._get(rates),
            exposure_us=self._get(("ExposureTime", "ExposureTimeAbs")),
            gain_db=self._get(("Gain",)),
            trigger=self._settings.trigger,
            region_px=(region[0], region[1], region[2], region[3]),
            stamps="exposure_start" if self._chunks else "arrival",
        )
        return replace(got, differences=differences(self._settings, got))

    def start(self) -> None:
        """Begin to take frames; the counter goes on after a stop."""
        if self._last_raw >= 0:
            self._base, self._last_raw = self._index + 1, -1
        try:
            self._camera.StartGrabbing(self._pylon.GrabStrategy_OneByOne)
        except self._raw as error:
            raise CameraError(_short(error), where=self._settings.name) from error

    def trigger(self) -> None:
        """Take one frame now, where the trigger is software.

        Raises:
            CameraError: When the camera is not ready for it.
        """
        try:
            self._camera.WaitForFrameTriggerReady(200, self._pylon.TimeoutHandling_ThrowException)
            self._camera.ExecuteSoftwareTrigger()
        except self._raw as error:
            raise CameraError(_short(error), where=self._settings.name) from error

    def grab(self, timeout_s: float) -> Shot | None:
        """Return the next frame.

        Raises:
            CameraError: When the camera was unplugged or stopped.
        """
        pylon = self._pylon
        try:
            if self._settings.trigger == "software":
                self.trigger()
            result = self._camera.RetrieveResult(
                round(timeout_s * 1e3), pylon.TimeoutHandling_Return
            )
        except self._raw as error:
            raise CameraError(_short(error), where=self._settings.name) from error
        host_ns = self._clock.now_ns()
        if not result.IsValid():
            if self._camera.IsCameraDeviceRemoved():
                raise CameraError("the camera was unplugged", where=self._settings.name)
            return None
        try:
            if not result.GrabSucceeded():
                return None  # damaged on its way: its number is missing, and counted as lost
            self._count(int(result.BlockID))
            image = np.array(result.Array, dtype=np.uint8)
            device_ns = self._stamp(result, host_ns)
        finally:
            result.Release()
        exposure_ns = round(self._accepted.exposure_us * 1e3)
        half = exposure_ns // 2 if self._chunks else -(exposure_ns // 2)
        return Shot(self._index, device_ns, host_ns, device_ns + half, exposure_ns, image)

    def _stamp(self, result: Any, host_ns: int) -> int:
        if not self._chunks:
            return host_ns
        ticks = int(result.ChunkTimestamp.Value)
        hertz = self._get(("GevTimestampTickFrequency",))
        return ticks if math.isnan(hertz) or hertz == 1e9 else round(ticks * (1e9 / hertz))

    def _count(self, raw: int) -> None:
        if self._last_raw < 0:
            self._base -= raw
        elif raw < self._last_raw:
            self._base += _ROLLOVER
        self._last_raw = raw
        self._index = self._base + raw

    def configure(
        self,
        exposure_us: float | None = None,
        gain_db: float | None = None,
        rate_hz: float | None = None,
    ) -> None:
        """Change settings, within what the camera can do; `accepted` tells what came of it."""
        if exposure_us is not None:
            self._put(("ExposureAuto",), "Off")
            self._put(("ExposureTime", "ExposureTimeAbs"), exposure_us, must=True)
        if gain_db is not None:
            self._put(("GainAuto",), "Off")
            self._put(("Gain",), gain_db, must=True)
        if rate_hz is not None:
            self._put(("AcquisitionFrameRateEnable",), True)
            self._put(("AcquisitionFrameRateAbs", "AcquisitionFrameRate"), rate_hz, must=True)
        asked = self._settings
        self._settings = msgspec.structs.replace(
            asked,
            exposure_us=asked.exposure_us if exposure_us is None else exposure_us,
            gain_db=asked.gain_db if gain_db is None else gain_db,
            rate_hz=asked.rate_hz if rate_hz is None else rate_hz,
        )
        if hasattr(self, "_accepted"):
            self._accepted = self._read_back()

    def stop(self) -> None:
        """Take no more frames."""
        self._camera.StopGrabbing()

    def close(self) -> None:
        """Give the camera back."""
        if self._camera.IsOpen():
            self._camera.StopGrabbing()
            self._camera.Close()


def _load_pylon() -> tuple[Any, Any]:
    try:
        with warnings.catch_warnings():
            # SWIG's types warn while they are made; made an error, that ends the process.
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module("pypylon.pylon"), importlib.import_module(
                "pypylon.genicam"
            )
    except ImportError as error:
        raise LabError(
            "Basler cameras need pypylon, which is not installed here",
            remedy="Run: python -m pip install 'gaitlab[basler]'",
        ) from error


def _short(error: BaseException) -> str:
    return str(error).split(" : ")[0].splitlines()[0][:200] if str(error) else type(error).__name__


def open_camera(settings: CameraSettings, clock: HostClock) -> BaslerCamera:
    """Open a Basler camera."""
    return BaslerCamera(settings, clock)
