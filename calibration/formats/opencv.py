"""OpenCV's own files (FileStorage YAML or JSON), in and out.

OpenCV has no layout for rigs. Its calibration sample writes one camera: image_width, image_height,
camera_matrix, distortion_coefficients and fisheye_model; ROS keeps the same names (camera_info).
That is read, as a camera at the origin. A rig is written as a sequence `cameras` of such entries,
each with its name, rotation (matrix) and translation (m): X_cam = R X_lab + t. Pixel (0, 0) is the
centre of the top-left pixel, x right, y down, z forward.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calibration.formats.opencv_matrix import json_matrix, matrix_of, yaml_matrix
from calibration.formats.reading import (
    camera_of,
    focal_and_centre,
    foreign_rig,
    image_size,
    number,
    numbers,
    opencv_lens,
    read_text,
    rotation_of,
    unit_m,
)
from calibration.formats.writing import Written, not_held, quoted, write_text
from calibration.formats.yaml_text import read_yaml
from lab.camera import Camera
from lab.errors import FileError
from lab.pose import Pose
from lab.rig import Rig

_ROTATIONS = ("rotation", "R", "rvec", "rotation_vector")
_TRANSLATIONS = ("translation", "T", "t", "tvec", "translation_vector")
# Names of ROS for OpenCV's lens models.
_FISHEYE = ("fisheye", "equidistant")


def read_storage(path: Path) -> Any:
    """Return the content of a YAML or JSON file; FileError when it is damaged."""
    text = read_text(path)
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FileError(f"the JSON is damaged ({error})", where=str(path)) from error
    return read_yaml(text, str(path))


def read_opencv(path: Path | str, *, unit: str = "m") -> Rig:
    """Read OpenCV's YAML or JSON: one camera, or a sequence `cameras` of them.

    Args:
        path: The file.
        unit: Of the translations: m, cm or mm.

    Raises:
        FileError: When the file is missing, damaged, or lacks a key.
    """
    path = Path(path)
    scale = unit_m(unit, str(path))
    document = read_storage(path)
    if not isinstance(document, Mapping):
        raise FileError("not a calibration of OpenCV", where=str(path))
    given = document.get("cameras", [document])
    tables = given if isinstance(given, list) else []
    cameras, without = [], []
    for index, table in enumerate(tables):
        if not isinstance(table, Mapping):
            raise FileError("it holds no camera", where=f"{path}, camera {index + 1}")
        named = table.get("name", table.get("camera_name", path.stem))
        cameras.append(_camera(table, str(named), f"{path}, {named}", scale))
        if not any(key in table for key in _ROTATIONS):
            without.append(str(named))
    notes = (
        [f"{', '.join(without)}: no pose in the file, the camera stands at the origin"]
        if without
        else []
    )
    return foreign_rig(cameras, path, "OpenCV", notes=notes)


def _camera(table: Mapping[str, Any], name: str, where: str, scale: float) -> Camera:
    matrix = matrix_of(table, "camera_matrix", where)
    key = "distortion_coefficients" if "distortion_coefficients" in table else "dist_coeffs"
    k = matrix_of(table, key, where).ravel()
    fisheye = bool(table.get("fisheye_model")) or str(table.get("distortion_model")) in _FISHEYE
    model, coefficients = opencv_lens(k, fisheye, where)
    size = image_size(
        [number(table, f"image_{side}", where) for side in ("width", "height")], where
    )
    turn = next((key for key in _ROTATIONS if key in table), None)
    shift = next((key for key in _TRANSLATIONS if key in table), None)
    if (turn is None) != (shift is None):
        raise FileError("a rotation and a translation belong together", where=where)
    pose = Pose.identity()
    if turn is not None and shift is not None:
        place = numbers(matrix_of(table, shift, where).ravel(), (3,), shift, where)
        pose = Pose(rotation_of(matrix_of(table, turn, where), where), scale * place)
    lens = [*focal_and_centre(matrix, where), *coefficients]
    return camera_of(name, size, model, lens, pose, where)


def write_opencv(rig: Rig, path: Path) -> Written:
    """Write the rig as OpenCV's JSON when the file is called .json, else as its YAML.

    Every lens model and pose comes back as it was.
    """
    text = _json(rig) if path.suffix.lower() == ".json" else _yaml(rig)
    return Written((write_text(path, text),), not_held(rig))


def _yaml(rig: Rig) -> str:
    lines = ["%YAML:1.0", "---", "cameras:"]
    for camera in rig.cameras:
        pad = " " * 6
        pose = camera.cam_from_lab
        lines += [
            "   -",
            f"{pad}name: {quoted(camera.name)}",
            f"{pad}image_width: {camera.size_px[0]}",
            f"{pad}image_height: {camera.size_px[1]}",
            f"{pad}fisheye_model: {int(camera.model == 'fisheye')}",
            *yaml_matrix("camera_matrix", camera.matrix, pad),
            *yaml_matrix("distortion_coefficients", camera.coefficients[:, None], pad),
            *yaml_matrix("rotation", pose.rotation, pad),
            *yaml_matrix("translation", pose.translation[:, None], pad),
        ]
    return "\n".join(lines) + "\n"


def _json(rig: Rig) -> str:
    cameras = [
        {
            "name": camera.name,
            "image_width": camera.size_px[0],
            "image_height": camera.size_px[1],
            "fisheye_model": int(camera.model == "fisheye"),
            "camera_matrix": json_matrix(camera.matrix),
            "distortion_coefficients": json_matrix(camera.coefficients[:, None]),
            "rotation": json_matrix(camera.cam_from_lab.rotation),
            "translation": json_matrix(camera.cam_from_lab.translation[:, None]),
        }
        for camera in rig.cameras
    ]
    return json.dumps({"cameras": cameras}, indent=1, ensure_ascii=False) + "\n"
