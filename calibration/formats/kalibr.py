"""Kalibr camera chains (camchain.yaml), in and out.

X_cn = T_cn_cnm1 X_cnm1: each camera's pose is given from the one before it in the chain; lengths in
m, pixels and axes as OpenCV's, lenses `radtan` (k1, k2, p1, p2) or `equidistant` (Kannala-Brandt,
k1 to k4). (Kalibr's wiki, "Yaml formats"; its `ConfigReader.CameraChainParameters`.) Kalibr gives
the first camera no pose: the chain's frame is that camera's. A rig written here gives it one, from
the lab, which Kalibr passes over and mrcal reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from calibration.formats.reading import (
    camera_of,
    foreign_rig,
    image_size,
    nearest_rotation,
    numbers,
    opencv_lens,
    read_text,
)
from calibration.formats.refit import Refit, as_model
from calibration.formats.writing import Written, array, not_held, quoted, write_text
from calibration.formats.yaml_text import read_yaml
from lab.camera import Camera
from lab.errors import FileError
from lab.pose import Pose
from lab.rig import Rig

_LENSES = {"radtan": False, "equidistant": True, "none": False}


def read_camchain(path: Path | str) -> Rig:
    """Read a Kalibr camera chain.

    A camera is named by its ROS topic (`/left/image_raw` is left), or cam0, cam1, ...

    Raises:
        FileError: When the file is missing, damaged, lacks a key, or holds a lens not known here.
    """
    path = Path(path)
    document = read_yaml(read_text(path), str(path))
    tables = _cameras(document, path)
    names = [_topic(table, f"cam{i}") for i, table in enumerate(tables)]
    if len(set(names)) < len(names):
        names = [f"cam{i}" for i in range(len(tables))]
    pose, cameras = Pose.identity(), []
    for index, (name, table) in enumerate(zip(names, tables, strict=True)):
        where = f"{path}, cam{index}"
        if "T_cn_cnm1" in table:
            pose = _transform(table["T_cn_cnm1"], where) @ pose
        elif index:
            raise FileError("T_cn_cnm1 is missing", where=where)
        cameras.append(_camera(table, name, pose, where))
    notes = () if "T_cn_cnm1" in tables[0] else (f"the lab frame is that of {names[0]}",)
    return foreign_rig(cameras, path, "Kalibr", notes=notes)


def _cameras(document: Any, path: Path) -> list[Mapping[str, Any]]:
    found = document if isinstance(document, Mapping) else {}
    keys = sorted((k for k in found if re.fullmatch(r"cam\d+", k)), key=lambda k: int(k[3:]))
    if not keys or [int(k[3:]) for k in keys] != list(range(len(keys))):
        raise FileError("the cameras must be cam0, cam1, ... without a gap", where=str(path))
    for key in keys:
        if not isinstance(found[key], Mapping):
            raise FileError("it holds no camera", where=f"{path}, {key}")
    return [found[key] for key in keys]


def _topic(table: Mapping[str, Any], otherwise: str) -> str:
    match = re.fullmatch(r"/(.+)/image_raw", str(table.get("rostopic", "")))
    return match[1] if match else otherwise


def _transform(value: Any, where: str) -> Pose:
    matrix = numbers(value, (4, 4), "T_cn_cnm1", where)
    if np.abs(matrix[3] - (0, 0, 0, 1)).max() > 0:
        raise FileError("the last row of T_cn_cnm1 is not 0, 0, 0, 1", where=where)
    return Pose(nearest_rotation(matrix[:3, :3], where), matrix[:3, 3])


def _camera(table: Mapping[str, Any], name: str, pose: Pose, where: str) -> Camera:
    for key in ("camera_model", "intrinsics", "distortion_model", "resolution"):
        if key not in table:
            raise FileError(f"{key} is missing", where=where)
    if table["camera_model"] != "pinhole":
        raise FileError(
            f"the camera model {table['camera_model']!r} is not read, only pinhole is", where=where
        )
    kind = str(table["distortion_model"])
    if kind not in _LENSES:
        raise FileError(
            f"the distortion model {kind!r} is not read, only {', '.join(_LENSES)} are", where=where
        )
    given = table.get("distortion_coeffs") or []
    model, k = opencv_lens([] if kind == "none" else given, _LENSES[kind], where)
    if kind == "radtan" and len(given) != 4:
        raise FileError(f"radtan has 4 coefficients, the file has {len(given)}", where=where)
    size = image_size(table["resolution"], where)
    core = numbers(table["intrinsics"], (4,), "intrinsics", where).tolist()
    return camera_of(name, size, model, [*core, *k], pose, where)


def write_camchain(rig: Rig, path: Path) -> Written:
    """Write the rig as a Kalibr camera chain; lenses beyond four coefficients are refitted."""
    before, refits, lines = Pose.identity(), list[Refit](), []
    for index, own in enumerate(rig.cameras):
        camera, refit = (own, None) if own.model == "fisheye" else as_model(own, ("brown4",))
        refits += [refit] if refit else []
        step = camera.cam_from_lab @ before.inverse()
        before = camera.cam_from_lab
        rows = [*np.column_stack([step.rotation, step.translation]), (0.0, 0.0, 0.0, 1.0)]
        lines += [
            f"cam{index}:",
            "  camera_model: pinhole",
            f"  intrinsics: {array(camera.intrinsics[:4])}",
            f"  distortion_model: {'equidistant' if camera.model == 'fisheye' else 'radtan'}",
            f"  distortion_coeffs: {array(camera.coefficients)}",
            f"  resolution: [{camera.size_px[0]}, {camera.size_px[1]}]",
            f"  rostopic: {quoted(f'/{camera.name}/image_raw')}",
            "  T_cn_cnm1:",
            *(f"  - {array(row)}" for row in rows),
        ]
    lost = not_held(
        rig,
        "the lab frame for Kalibr itself, whose frame is that of cam0 (it stands in the file as "
        "T_cn_cnm1 of cam0 for readers that take it, gaitlab and mrcal among them)",
    )
    return Written((write_text(path, "\n".join(lines) + "\n"),), lost, tuple(refits))
