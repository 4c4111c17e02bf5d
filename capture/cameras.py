"""cameras.toml: which camera is which, how it is to be set, and whether it took that."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from capture.wire import is_name
from lab.errors import FileError
from lab.toml_file import read_toml

if TYPE_CHECKING:
    from capture.driver import Accepted

_Positive = Annotated[float, Meta(gt=0)]


class CameraSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is asked of one camera; None leaves the camera's own value.

    Attributes:
        name: The camera's name in the rig.
        driver: simulated, opencv, basler, genicam or stream.
        serial: Which one: the serial number, or a stable path; a stream's address or file.
        node: Name of the camera computer that it is plugged into.
        size_px: Width and height.
        rate_hz: Frames a second.
        exposure_us, gain_db: Exposure and gain.
        trigger: free runs by itself; hardware waits for a line; software for the node; ptp runs
            by the camera's PTP clock.
        region_px: Left, top, width, height on the sensor.
        options: What only this driver knows.
    """

    name: str = ""
    driver: str
    serial: str = ""
    node: str = ""
    size_px: tuple[Annotated[int, Meta(gt=0)], Annotated[int, Meta(gt=0)]] | None = None
    rate_hz: _Positive | None = None
    exposure_us: _Positive | None = None
    gain_db: float | None = None
    trigger: Literal["free", "hardware", "software", "ptp"] = "free"
    region_px: tuple[int, int, int, int] | None = None
    options: dict[str, Any] = {}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cameras: dict[str, CameraSettings]


def read_cameras(path: Path, node: str | None = None) -> list[CameraSettings]:
    """Read cameras.toml.

    Args:
        path: The file.
        node: Only the cameras of this node; None for all. A camera that names no node is
            everybody's, as on a lab with one computer.

    Raises:
        FileError: When the file is missing or wrong, with the key concerned.
    """
    content = read_toml(path, _File, "a list of cameras", "Compare it with docs/capture.md.")
    cameras = []
    for name, settings in content.cameras.items():
        if not is_name(name):
            raise FileError(
                f'the name "{name}" is not letters, digits, _ and -',
                where=str(path),
                remedy="Rename the camera.",
            )
        cameras.append(msgspec.structs.replace(settings, name=name))
    twice = _same_camera(cameras)
    if twice:
        raise FileError(twice, where=str(path), remedy="Give each camera its own serial.")
    return [c for c in cameras if node is None or c.node in ("", node)]


def _same_camera(cameras: list[CameraSettings]) -> str:
    """Say which two entries are one camera; recordings may be played by several."""
    seen: dict[tuple[str, str, str], str] = {}
    for camera in cameras:
        key = (camera.driver, camera.serial, camera.node)
        if camera.driver in ("simulated", "stream") or not camera.serial:
            continue
        if key in seen:
            return f"{seen[key]} and {camera.name} are both the camera {camera.serial}"
        seen[key] = camera.name
    return ""


def differences(asked: CameraSettings, got: Accepted) -> tuple[str, ...]:
    """Say where a camera does not do what it was asked, a sentence each.

    Numbers may differ by 1 % (cameras round to their own steps), sizes and regions not at all.
    """
    found = []
    for key, unit, tolerance in (("rate_hz", "Hz", 0.01), ("exposure_us", "us", 0.01)):
        want, have = getattr(asked, key), getattr(got, key)
        if want is not None and not math.isnan(have) and abs(have - want) > tolerance * want:
            found.append(f"{key}: {want:g} {unit} asked, {have:g} {unit} accepted")
    if asked.gain_db is not None and abs(got.gain_db - asked.gain_db) > 0.1:
        found.append(f"gain_db: {asked.gain_db:g} dB asked, {got.gain_db:g} dB accepted")
    for key in ("size_px", "region_px", "trigger"):
        want, have = getattr(asked, key), getattr(got, key)
        if want is not None and want != have:
            found.append(f"{key}: {want} asked, {have} accepted")
    if asked.serial and got.serial and asked.driver == "basler" and asked.serial != got.serial:
        found.append(f"serial: {asked.serial} asked, {got.serial} found")
    return tuple(found)
