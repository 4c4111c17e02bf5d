"""TOML files of one family: aniposelib, Pose2Sim and Caliscope.

All three hold X_cam = R X_lab + t with R as a rotation vector, pixels as OpenCV counts them (pixel
(0, 0) is the centre of the top-left pixel), and lenses with OpenCV's coefficients. They differ in
how cameras are named: aniposelib numbers its tables and gives a name in each, Pose2Sim names the
table itself, Caliscope nests them under [cameras.N] and knows numbers alone. The unit of length is
not in the file; aniposelib's is the board's, Pose2Sim and Caliscope use m.

Read from aniposelib 0.8 `CameraGroup.from_dicts`, Pose2Sim 0.10 `retrieve_calib_params` and
`toml_write`, Caliscope 0.11 `CameraArray.from_toml`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calibration.formats.reading import (
    camera_of,
    focal_and_centre,
    foreign_rig,
    image_size,
    numbers,
    opencv_lens,
    read_text,
    rotation_of,
    unit_m,
)
from calibration.formats.refit import refit_all
from calibration.formats.writing import Written, array, not_held, quoted, write_text
from lab.camera import Camera
from lab.errors import FileError, LabError
from lab.pose import Pose
from lab.rig import Rig

_KEYS = ("size", "matrix", "distortions", "rotation", "translation")
# Tables that Pose2Sim takes for something else than a camera.
_RESERVED = ("metadata", "capture_volume", "charuco", "checkerboard")


def read_camera_toml(path: Path | str, *, unit: str = "m") -> Rig:
    """Read an aniposelib, Pose2Sim or Caliscope TOML file.

    Args:
        path: Tables with size, matrix, distortions, rotation (a vector, or a matrix) and
            translation. A Caliscope camera N is named cam_N, as its video is.
        unit: Of the translations: m, cm or mm.

    Raises:
        FileError: When the file is missing, damaged, lacks a key, or its unit cannot be right.
        LabError: When the unit is none.
    """
    path = Path(path)
    scale = unit_m(unit, str(path))
    try:
        document = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FileError(f"not a TOML file ({error})", where=str(path)) from error
    tables = document.get("cameras", document)
    nested = tables is not document
    cameras = [
        _camera(table, _name(table, key, nested), f"{path}, [{key}]", scale)
        for key, table in (tables.items() if isinstance(tables, Mapping) else ())
        if isinstance(table, Mapping) and "matrix" in table
    ]
    return foreign_rig(cameras, path, "Caliscope" if nested else "aniposelib or Pose2Sim")


def _name(table: Mapping[str, Any], key: str, nested: bool) -> str:
    if "name" in table:
        return str(table["name"])
    return f"cam_{key}" if nested and key.isdecimal() else key


def _camera(table: Mapping[str, Any], name: str, where: str, scale: float) -> Camera:
    if table.get("rotation_count", 0) != 0:
        raise FileError("a camera whose image is turned (rotation_count) is not read", where=where)
    for key in _KEYS:
        if key not in table:
            raise FileError(f"{key} is missing", where=where)
    size = image_size(table["size"], where)
    model, k = opencv_lens(table["distortions"], bool(table.get("fisheye", False)), where)
    rotation = rotation_of(table["rotation"], where)
    translation = scale * numbers(table["translation"], (3,), "translation", where)
    lens = [*focal_and_centre(table["matrix"], where), *k]
    return camera_of(name, size, model, lens, Pose(rotation, translation), where)


def write_aniposelib(rig: Rig, path: Path) -> Written:
    """Write the rig as aniposelib's TOML, lengths in m; every lens model comes back as it was.

    aniposelib reads the fisheye flag; its own optimiser ignores coefficients beyond two.
    """
    lines = []
    for index, camera in enumerate(rig.cameras):
        lines += [f"[cam_{index}]", f"name = {quoted(camera.name)}", *_table(camera), ""]
    lines += ["[metadata]", "adjusted = true", 'unit = "m"']
    if "rmse_px" in rig.quality.figures:
        lines.append(f"error = {float(rig.quality.figures['rmse_px'])!r}")
    return Written((write_text(path, "\n".join(lines) + "\n"),), not_held(rig))


def write_pose2sim(rig: Rig, path: Path) -> Written:
    """Write the rig as Pose2Sim's TOML, lengths in m.

    Pose2Sim does not use the fisheye flag: a fisheye lens is refitted as Brown-Conrady.

    Raises:
        LabError: When a camera has a name that Pose2Sim reserves, or its lens cannot be refitted.
    """
    taken = [name for name in rig.names if name in _RESERVED]
    if taken:
        raise LabError(
            f"Pose2Sim does not take {taken[0]!r} for a camera",
            where="rig export",
            remedy="Name the camera's video otherwise and calibrate again.",
        )
    cameras, refits = refit_all(rig.cameras, ("brown4", "brown5", "brown8"))
    lines = []
    for camera in cameras:
        lines += [f"[{quoted(camera.name)}]", f"name = {quoted(camera.name)}", *_table(camera), ""]
    lines += ["[metadata]", "adjusted = true"]
    error = float(rig.quality.figures.get("rmse_px", 0.0))
    lines.append(f"error = {error!r}")
    return Written((write_text(path, "\n".join(lines) + "\n"),), not_held(rig), refits)


def write_caliscope(rig: Rig, path: Path) -> Written:
    """Write the rig as Caliscope's camera_array.toml, lengths in m.

    Cameras named cam_N, camN or N keep N; if any is named otherwise all are numbered in order.
    """
    found = [re.fullmatch(r"(?:cam_?)?(\d+)", name) for name in rig.names]
    ids = [int(match[1]) if match else -1 for match in found]
    lost: tuple[str, ...] = ()
    if -1 in ids or len(set(ids)) < len(ids):
        ids = list(range(len(ids)))
    if any(name != f"cam_{i}" for name, i in zip(rig.names, ids, strict=True)):
        pairs = ", ".join(f"{name} is {i}" for name, i in zip(rig.names, ids, strict=True))
        lost = (f"the cameras' names ({pairs})",)
    lines = []
    for index, camera in zip(ids, rig.cameras, strict=True):
        figures = rig.quality.cameras.get(camera.name, {})
        lines += [f"[cameras.{index}]", f"cam_id = {index}", "rotation_count = 0"]
        if "rmse_px" in figures:
            lines.append(f"error = {float(figures['rmse_px'])!r}")
        lines += [*_table(camera), ""]
    return Written((write_text(path, "\n".join(lines)),), not_held(rig, *lost))


def _table(camera: Camera) -> list[str]:
    """Return what the three formats have in common; numbers read back as the same doubles."""
    return [
        f"size = [{camera.size_px[0]}, {camera.size_px[1]}]",
        "matrix = [" + ", ".join(array(row) for row in camera.matrix) + "]",
        f"distortions = {array(camera.coefficients)}",
        f"rotation = {array(camera.cam_from_lab.rotvec())}",
        f"translation = {array(camera.cam_from_lab.translation)}",
        f"fisheye = {'true' if camera.model == 'fisheye' else 'false'}",
    ]
