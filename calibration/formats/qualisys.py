"""Qualisys calibrations (.qca.txt, XML), in and out.

Lengths in mm, pixels in 1/64 px counted from the corner of the top-left pixel. The rows of the
stored rotation are the camera's axes in the lab; x points right, y up and z backwards in the image,
so the view is turned by 180 degrees about x to get OpenCV's axes. The stored position is the
camera's centre. Distortion is OpenCV's Brown-Conrady, its coefficients not scaled.

Evidence for the pixels' origin: four marks of a static platform seen by the four cameras of
Pose2Sim's demo reproject to 0.36 px per axis with half a pixel off, 0.51 px with none, 0.61 px with
a whole one.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from calibration.formats.reading import (
    camera_of,
    foreign_rig,
    image_size,
    nearest_rotation,
    number,
    read_bytes,
)
from calibration.formats.refit import refit_all
from calibration.formats.writing import Written, not_held, write_text
from lab.camera import Camera
from lab.errors import FileError
from lab.pose import Pose
from lab.rig import Rig

_MM = 0.001
_SUBPIXELS = 64.0
_ORIGIN_PX = 0.5
_FLIP = np.diag([1.0, -1.0, -1.0])


def read_xml(path: Path) -> ElementTree.Element:
    """Return the root of an XML file; FileError when it is damaged."""
    content = read_bytes(path)
    # Entities of its own can make a small file unfold into a huge one.
    if b"<!ENTITY" in content:
        raise FileError("the XML defines entities of its own, which is not read", where=str(path))
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise FileError(f"the XML is damaged ({error})", where=str(path)) from error


def read_qca(path: Path | str) -> Rig:
    """Read a Qualisys calibration.

    The principal points of a file turned upright may be those of before the turn, mirrored; the
    file does not say so (in Pose2Sim's demo they are, which costs 7 px). Where keypoints are at
    hand, `turned.settle_principal_points` finds it out.

    Returns:
        The rig in the lab frame of the file (z up), its covariance NaN.

    Raises:
        FileError: When the file is missing, damaged, or lacks a number.
    """
    path = Path(path)
    root = read_xml(path)
    cameras, residuals = [], {}
    for element in root.iter("camera"):
        name = element.get("serial") or ""
        where = f"{path}, camera {name or len(cameras) + 1}"
        if not name:
            raise FileError("a camera has no serial, so no name", where=where)
        cameras.append(_camera(element, name, where))
        if element.get("avg-residual", "nan").lower() != "nan":
            residual_mm = number(element.attrib, "avg-residual", where)
            residuals[name] = {"average_residual_mm": residual_mm}
    return foreign_rig(cameras, path, "Qualisys", figures=residuals)


def _camera(element: ElementTree.Element, name: str, where: str) -> Camera:
    parts: dict[str, Mapping[str, str]] = {}
    for tag in ("transform", "intrinsic", "fov_video"):
        found = element.find(tag)
        if found is None:
            raise FileError(f"<{tag}> is missing", where=where)
        parts[tag] = found.attrib
    transform, lens, view = parts["transform"], parts["intrinsic"], parts["fov_video"]
    if number(lens, "skew", where) != 0:
        raise FileError("a lens with skew is not supported", where=where)
    rows = [[number(transform, f"r{i}{j}", where) for j in (1, 2, 3)] for i in (1, 2, 3)]
    centre = _MM * np.array([number(transform, axis, where) for axis in "xyz"])
    rotation = _FLIP @ nearest_rotation(np.array(rows), where)
    left, top = number(view, "left", where), number(view, "top", where)
    right, bottom = number(view, "right", where), number(view, "bottom", where)
    size = image_size([right - left + 1, bottom - top + 1], where)
    u, v = (number(lens, f"centerPoint{axis}", where) / _SUBPIXELS for axis in "UV")
    intrinsics = [
        number(lens, "focalLengthU", where) / _SUBPIXELS,
        number(lens, "focalLengthV", where) / _SUBPIXELS,
        u - _ORIGIN_PX - left,
        v - _ORIGIN_PX - top,
        number(lens, "radialDistortion1", where),
        number(lens, "radialDistortion2", where),
        number(lens, "tangentalDistortion1", where),
        number(lens, "tangentalDistortion2", where),
        number(lens, "radialDistortion3", where),
    ]
    return camera_of(name, size, "brown5", intrinsics, Pose(rotation, -rotation @ centre), where)


def write_qca(rig: Rig, path: Path) -> Written:
    """Write the rig as a Qualisys calibration; lenses beyond Brown-Conrady with k3 are refitted."""
    cameras, refits = refit_all(rig.cameras, ("brown5",))
    lines = ["<?xml version='1.0' encoding='UTF-8'?>", '<calibration type="regular">', "<cameras>"]
    for camera in cameras:
        residual = rig.quality.cameras.get(camera.name, {}).get("average_residual_mm")
        # Readers ask for this attribute; what is not known is nan, not 0.
        known = "nan" if residual is None else repr(float(residual))
        lines += [
            f'<camera active="1" serial={quoteattr(camera.name)} model="none"'
            f' viewrotation="0" avg-residual="{known}">',
            *_elements(camera),
            "</camera>",
        ]
    lines += ["</cameras>", "</calibration>"]
    return Written((write_text(path, "\n".join(lines) + "\n"),), not_held(rig), refits)


def _elements(camera: Camera) -> list[str]:
    width, height = camera.size_px
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = camera.intrinsics
    field = f'left="0" top="0" right="{width - 1}" bottom="{height - 1}"'
    turn = _FLIP @ camera.cam_from_lab.rotation
    transform = {axis: value / _MM for axis, value in zip("xyz", camera.centre, strict=True)} | {
        f"r{i + 1}{j + 1}": turn[i, j] for i in range(3) for j in range(3)
    }
    lens = {
        "sensorMinU": 0.0,
        "sensorMaxU": _SUBPIXELS * width - 1,
        "sensorMinV": 0.0,
        "sensorMaxV": _SUBPIXELS * height - 1,
        "focalLengthU": _SUBPIXELS * fx,
        "focalLengthV": _SUBPIXELS * fy,
        "centerPointU": _SUBPIXELS * (cx + _ORIGIN_PX),
        "centerPointV": _SUBPIXELS * (cy + _ORIGIN_PX),
        "skew": 0.0,
        "radialDistortion1": k1,
        "radialDistortion2": k2,
        "radialDistortion3": k3,
        "tangentalDistortion1": p1,
        "tangentalDistortion2": p2,
    }
    return [
        f"<fov_video {field}/>",
        f"<fov_video_max {field}/>",
        "<transform " + _attributes(transform) + "/>",
        "<intrinsic " + _attributes(lens) + "/>",
    ]


def _attributes(values: Mapping[str, float]) -> str:
    return " ".join(f'{key}="{float(value)!r}"' for key, value in values.items())
