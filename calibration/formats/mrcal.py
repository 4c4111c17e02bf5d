"""mrcal camera models (.cameramodel), one file a camera, in and out.

A Python dictionary in text: lensmodel, intrinsics (fx, fy, cx, cy, then the coefficients),
rt_cam_ref (older: extrinsics), a rotation vector and a translation in m that take the reference
frame to the camera, and imagersize. Pixel (0, 0) is the centre of the top-left pixel and the
camera's axes are OpenCV's. (mrcal's documentation, "conventions" and "lens models";
`mrcal.cameramodel`.) mrcal has no Kannala-Brandt lens: a fisheye is refitted as OPENCV8.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calibration.formats.reading import (
    camera_of,
    foreign_rig,
    image_size,
    numbers,
    opencv_lens,
    read_text,
)
from calibration.formats.refit import refit_all
from calibration.formats.writing import (
    Written,
    array,
    not_held,
    plain_names,
    write_text,
)
from lab.atomic import make_folder
from lab.camera import Camera
from lab.errors import FileError, LabError
from lab.pose import Pose
from lab.rig import Rig

SUFFIX = ".cameramodel"
_COEFFICIENTS = {"PINHOLE": 0, "OPENCV4": 4, "OPENCV5": 5, "OPENCV8": 8, "OPENCV12": 12}


def read_cameramodels(paths: Sequence[Path], where: Path) -> Rig:
    """Read mrcal camera models, each camera named after its file.

    Raises:
        FileError: When a file is missing, damaged, lacks a key, or holds a lens not known here.
    """
    cameras = [_read_one(path) for path in paths]
    return foreign_rig(cameras, where, "mrcal")


def _read_one(path: Path) -> Camera:
    where = str(path)
    try:
        content: Any = ast.literal_eval(read_text(path).strip())
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise FileError("not a camera model of mrcal, or damaged", where=where) from error
    if not isinstance(content, Mapping):
        raise FileError("not a camera model of mrcal", where=where)
    pose_key = "rt_cam_ref" if "rt_cam_ref" in content else "extrinsics"
    for key in ("lensmodel", "intrinsics", pose_key, "imagersize"):
        if key not in content:
            raise FileError(f"{key} is missing", where=where)
    lens = str(content["lensmodel"]).removeprefix("LENSMODEL_")
    if lens not in _COEFFICIENTS:
        raise FileError(
            f"the lens model {lens} is not read, only {', '.join(_COEFFICIENTS)} are",
            where=where,
            remedy="Convert it with mrcal-convert-lensmodel first.",
        )
    values = numbers(content["intrinsics"], (4 + _COEFFICIENTS[lens],), "intrinsics", where)
    model, k = opencv_lens(values[4:], False, where)
    rt = numbers(content[pose_key], (6,), pose_key, where)
    size = image_size(content["imagersize"], where)
    pose = Pose.from_rotvec(rt[:3], rt[3:])
    return camera_of(path.stem, size, model, [*values[:4].tolist(), *k], pose, where)


def write_cameramodels(rig: Rig, path: Path) -> Written:
    """Write the rig as camera models: a folder with one file a camera, or one file for one camera.

    Raises:
        LabError: When one file is asked for and the rig has several cameras.
    """
    single = path.suffix == SUFFIX
    if single and len(rig.cameras) > 1:
        raise LabError(
            "mrcal keeps one camera in a file, and the rig has several",
            where=str(path),
            remedy="Give a folder after -o.",
        )
    cameras, refits = refit_all(rig.cameras, ("brown4", "brown5", "brown8"))
    names = plain_names(rig.names, "rig export")
    lost = not_held(
        rig, *([] if tuple(names) == rig.names else ["signs in the cameras' names (now _)"])
    )
    folder = path.parent if single else make_folder(path, "Give a folder's name after -o.")
    files = []
    for name, camera in zip(names, cameras, strict=True):
        file = path if single else folder / f"{name}{SUFFIX}"
        files.append(write_text(file, _text(camera)))
    return Written(tuple(files), lost, refits)


def _text(camera: Camera) -> str:
    pose = array(np.concatenate([camera.cam_from_lab.rotvec(), camera.cam_from_lab.translation]))
    width, height = camera.size_px
    return (
        "{\n"
        f"    'lensmodel':  'LENSMODEL_OPENCV{len(camera.coefficients)}',\n"
        "    # intrinsics are fx,fy,cx,cy,distortion0,distortion1,....\n"
        f"    'intrinsics': {array(camera.intrinsics)},\n"
        f"    'rt_cam_ref': {pose},\n"
        f"    'extrinsics': {pose}, # for compatibility with mrcal < 2.5\n"
        f"    'imagersize': [ {width}, {height} ],\n"
        "}\n"
    )
