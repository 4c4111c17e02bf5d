"""Calibrations of other programs: Qualisys and aniposelib files in, aniposelib files out.

A file read here has no covariance (`Rig.cov` is NaN): none of these formats holds one. A file
written here keeps the lenses and the poses; what it cannot hold is returned by the writer.
"""

from __future__ import annotations

import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lab.camera import Camera
from lab.errors import FileError, LabError
from lab.lens_model import COEFFICIENTS
from lab.pose import Pose
from lab.rig import Rig, RigQuality

FORMATS = ("aniposelib",)

_UNITS_M = {"m": 1.0, "cm": 0.01, "mm": 0.001}
# No camera of a gait lab stands further than this from its origin; a file in mm always does.
_FARTHEST_M = 100.0
# Qualisys writes lengths in mm and pixels in 1/64 px (its sub-pixel unit).
_QCA_MM = 0.001
_QCA_SUBPIXELS = 64.0
_QCA_ORIGIN_PX = 0.5
_NOT_ORTHONORMAL = 1e-4


def read_rig(path: Path | str, *, unit: str = "m") -> Rig:
    """Read a calibration of another program, found out by the file's content.

    Args:
        path: A Qualisys calibration (XML) or an aniposelib, Pose2Sim or Caliscope TOML.
        unit: Of the lengths in a TOML file, which does not say it: m, cm or mm.

    Raises:
        FileError: When the file is missing or is none of these.
    """
    path = Path(path)
    head = _read_bytes(path)[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"<"):
        return read_qca(path)
    if path.suffix.lower() == ".toml":
        return read_aniposelib(path, unit=unit)
    raise FileError(
        "not a calibration that can be read",
        where=str(path),
        remedy="Give a Qualisys .qca.txt or an aniposelib, Pose2Sim or Caliscope .toml.",
    )


def write_rig_as(rig: Rig, format: str, path: Path | str) -> tuple[str, ...]:
    """Write a rig in a format of `FORMATS`; return what that format could not hold, in words."""
    if format == "aniposelib":
        return write_aniposelib(rig, path)
    raise LabError(
        f"there is no format called {format!r}",
        where="rig export",
        remedy=f"Choose one of: {', '.join(FORMATS)}.",
    )


def read_qca(path: Path | str) -> Rig:
    """Read a Qualisys calibration (.qca.txt, XML).

    The rows of the stored rotation are the camera's axes in the lab; x points right, y up and z
    backwards in the image, so the view is turned by 180 degrees about x to get OpenCV's axes. The
    stored position is the camera's centre in mm. Pixels are in 1/64 px, counted from the corner of
    the top-left pixel, so half a pixel is taken off. Evidence for the origin: four marks of a
    static platform seen by the four cameras of Pose2Sim's demo reproject to 0.36 px per axis with
    half a pixel off, 0.51 px with none, 0.61 px with a whole one.

    The principal points of a file turned upright may be those of before the turn, mirrored; the
    file does not say so (in the same demo they are, which costs 7 px). Where keypoints are at
    hand, `turned.settle_principal_points` finds it out.

    Returns:
        The rig in the lab frame of the file (z up), its covariance NaN.

    Raises:
        FileError: When the file is missing, damaged, or lacks a number.
    """
    path = Path(path)
    try:
        root = ElementTree.fromstring(_read_bytes(path))
    except ElementTree.ParseError as error:
        raise FileError(f"the XML is damaged ({error})", where=str(path)) from error
    cameras, residuals = [], {}
    for element in root.iter("camera"):
        name = element.get("serial") or ""
        where = f"{path}, camera {name or len(cameras) + 1}"
        if not name:
            raise FileError("a camera has no serial, so no name", where=where)
        cameras.append(_qca_camera(element, name, where))
        if "avg-residual" in element.attrib:
            residual_mm = _number(element.attrib, "avg-residual", where)
            residuals[name] = {"average_residual_mm": residual_mm}
    return _foreign_rig(cameras, residuals, path, "Qualisys")


def _qca_camera(element: ElementTree.Element, name: str, where: str) -> Camera:
    parts = {}
    for tag in ("transform", "intrinsic", "fov_video"):
        found = element.find(tag)
        if found is None:
            raise FileError(f"<{tag}> is missing", where=where)
        parts[tag] = found.attrib
    transform, lens, view = parts["transform"], parts["intrinsic"], parts["fov_video"]
    if _number(lens, "skew", where) != 0:
        raise FileError("a lens with skew is not supported", where=where)
    rows = [[_number(transform, f"r{i}{j}", where) for j in (1, 2, 3)] for i in (1, 2, 3)]
    centre = _QCA_MM * np.array([_number(transform, axis, where) for axis in "xyz"])
    rotation = np.diag([1.0, -1.0, -1.0]) @ _nearest_rotation(np.array(rows), where)
    left, top = _number(view, "left", where), _number(view, "top", where)
    u, v = (_number(lens, f"centerPoint{axis}", where) / _QCA_SUBPIXELS for axis in "UV")
    intrinsics = [
        _number(lens, "focalLengthU", where) / _QCA_SUBPIXELS,
        _number(lens, "focalLengthV", where) / _QCA_SUBPIXELS,
        u - _QCA_ORIGIN_PX - left,
        v - _QCA_ORIGIN_PX - top,
        _number(lens, "radialDistortion1", where),
        _number(lens, "radialDistortion2", where),
        _number(lens, "tangentalDistortion1", where),
        _number(lens, "tangentalDistortion2", where),
        _number(lens, "radialDistortion3", where),
    ]
    size = (
        int(_number(view, "right", where) - left) + 1,
        int(_number(view, "bottom", where) - top) + 1,
    )
    return Camera(name, size, "brown5", np.array(intrinsics), Pose(rotation, -rotation @ centre))


def read_aniposelib(path: Path | str, *, unit: str = "m") -> Rig:
    """Read an aniposelib TOML file, or one of its relatives (Pose2Sim, Caliscope).

    Args:
        path: Tables with name, size, matrix, distortions, rotation (a rotation vector, or a
            matrix) and translation; X_cam = R X_lab + t, pixels as OpenCV's.
        unit: Of the translations: m, cm or mm. The format does not say it.

    Raises:
        FileError: When the file is missing, damaged, lacks a key, or its unit cannot be right.
    """
    path = Path(path)
    if unit not in _UNITS_M:
        raise LabError(
            f"the unit must be one of {', '.join(_UNITS_M)}, got {unit!r}", where=str(path)
        )
    try:
        document = tomllib.loads(_read_bytes(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"not a TOML file ({error})", where=str(path)) from error
    tables = document.get("cameras", document)
    cameras = [
        _toml_camera(table, str(table.get("name", key)), f"{path}, [{key}]", _UNITS_M[unit])
        for key, table in (tables.items() if isinstance(tables, Mapping) else ())
        if isinstance(table, Mapping) and "matrix" in table
    ]
    if any(np.linalg.norm(camera.centre) > _FARTHEST_M for camera in cameras):
        raise FileError(
            f"a camera stands more than {_FARTHEST_M:.0f} m from the origin in {unit}",
            where=str(path),
            remedy="Say the unit of the file (mm?).",
        )
    return _foreign_rig(cameras, {}, path, "aniposelib")


def _toml_camera(table: Mapping[str, Any], name: str, where: str, unit_m: float) -> Camera:
    if table.get("rotation_count", 0) != 0:
        raise FileError("a camera whose image is turned (rotation_count) is not read", where=where)
    arrays = {}
    for key in ("size", "matrix", "distortions", "rotation", "translation"):
        try:
            arrays[key] = np.array(table[key], float)
        except KeyError as error:
            raise FileError(f"{key} is missing", where=where) from error
        except (TypeError, ValueError) as error:
            raise FileError(f"{key} is not made of numbers", where=where) from error
        if not np.isfinite(arrays[key]).all():
            raise FileError(f"{key} is not finite", where=where)
    matrix, distortions = arrays["matrix"], arrays["distortions"].ravel()
    if matrix.shape != (3, 3) or arrays["size"].shape != (2,) or arrays["translation"].size != 3:
        raise FileError("size, matrix or translation has the wrong shape", where=where)
    if abs(matrix[0, 1]) > 0:
        raise FileError("a lens with skew is not supported", where=where)
    model = "fisheye" if table.get("fisheye", False) else f"brown{len(distortions)}"
    if model not in COEFFICIENTS or len(distortions) != len(COEFFICIENTS[model]):
        raise FileError(
            f"{len(distortions)} distortion coefficients are not a lens model known here",
            where=where,
        )
    translation = unit_m * arrays["translation"].ravel()
    if arrays["rotation"].shape == (3, 3):
        pose = Pose(_nearest_rotation(arrays["rotation"], where), translation)
    elif arrays["rotation"].size == 3:
        pose = Pose.from_rotvec(arrays["rotation"].ravel(), translation)
    else:
        raise FileError("rotation is neither a vector nor a matrix", where=where)
    intrinsics = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], *distortions]
    width, height = arrays["size"]
    return Camera(name, (int(width), int(height)), model, np.array(intrinsics), pose)


def write_aniposelib(rig: Rig, path: Path | str) -> tuple[str, ...]:
    """Write the rig as an aniposelib TOML file, lengths in m.

    Every number is written so that it reads back as the same double; a rotation goes through its
    rotation vector and comes back to 1e-15. aniposelib reads the fisheye flag; its own optimiser
    ignores coefficients beyond the first two.

    Returns:
        What the format cannot hold, in words.
    """
    lines = []
    for index, camera in enumerate(rig.cameras):
        lines += [
            f"[cam_{index}]",
            f"name = {_toml_string(camera.name)}",
            f"size = [{camera.size_px[0]}, {camera.size_px[1]}]",
            "matrix = [" + ", ".join(_toml_array(row) for row in camera.matrix) + "]",
            f"distortions = {_toml_array(camera.coefficients)}",
            f"rotation = {_toml_array(camera.cam_from_lab.rotvec())}",
            f"translation = {_toml_array(camera.cam_from_lab.translation)}",
            f"fisheye = {'true' if camera.model == 'fisheye' else 'false'}",
            "",
        ]
    lines += ["[metadata]", "adjusted = true", 'unit = "m"']
    if "rmse_px" in rig.quality.figures:
        lines.append(f"error = {float(rig.quality.figures['rmse_px'])!r}")
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    lost = ["the gate's verdict and its reasons", "the board", "the time of calibration"]
    return ("the covariance", *lost) if rig.has_covariance else tuple(lost)


def _foreign_rig(
    cameras: list[Camera], figures: Mapping[str, Mapping[str, float]], path: Path, origin: str
) -> Rig:
    if not cameras:
        raise FileError(
            "no camera found in it", where=str(path), remedy="Is this a calibration file?"
        )
    names = [camera.name for camera in cameras]
    if len(set(names)) != len(names):
        raise FileError("two cameras have the same name", where=str(path))
    size = sum(6 + len(camera.intrinsics) for camera in cameras)
    note = f"read from a {origin} file: its calibration error is not known"
    quality = RigQuality(True, (note,), {}, figures)
    return Rig(tuple(cameras), np.full((size, size), np.nan), quality, "", "")


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="Check the path."
        ) from error


def _number(attributes: Mapping[str, str], key: str, where: str) -> float:
    try:
        value = float(attributes[key])
    except KeyError as error:
        raise FileError(f"{key} is missing", where=where) from error
    except ValueError as error:
        raise FileError(f"{key} is not a number ({attributes[key]!r})", where=where) from error
    if not np.isfinite(value):
        raise FileError(f"{key} is not finite", where=where)
    return value


def _nearest_rotation(matrix: np.ndarray, where: str) -> np.ndarray:
    """Take the rounding of a text file off a rotation; refuse what is none."""
    u, _, vt = np.linalg.svd(matrix)
    rotation = u @ vt
    if np.abs(rotation - matrix).max() > _NOT_ORTHONORMAL or np.linalg.det(rotation) < 0:
        raise FileError("the rotation is not a proper rotation", where=where)
    return rotation


def _toml_array(values: np.ndarray) -> str:
    return "[" + ", ".join(repr(float(value)) for value in values) + "]"


def _toml_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
