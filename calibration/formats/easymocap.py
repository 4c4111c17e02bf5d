"""EasyMocap calibrations: intri.yml and extri.yml side by side, in and out.

OpenCV's YAML with names, and for each of them K_name, dist_name (k1, k2, p1, p2, k3), W_name and
H_name in the one file, R_name (rotation vector), Rot_name (matrix) and T_name in the other; X_cam =
R X_lab + T, lengths in m, pixels as OpenCV's. (EasyMocap `easymocap/mytools/camera_utils.py`,
`write_camera` and `read_camera`.) W and H are often left out: then the size must be given.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calibration.formats.opencv_matrix import matrix_of, yaml_matrix
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
from calibration.formats.writing import (
    Written,
    not_held,
    plain_names,
    quoted,
    write_text,
)
from calibration.formats.yaml_text import read_yaml
from lab.atomic import make_folder
from lab.camera import Camera
from lab.errors import FileError
from lab.pose import Pose
from lab.rig import Rig

INTRINSICS, EXTRINSICS = "intri.yml", "extri.yml"


def read_easymocap(
    folder: Path | str, *, unit: str = "m", size_px: tuple[int, int] | None = None
) -> Rig:
    """Read intri.yml and extri.yml of a folder.

    Args:
        folder: Where both lie.
        unit: Of T: m, cm or mm.
        size_px: (width, height) for cameras whose size the file does not say.

    Raises:
        FileError: When a file is missing, damaged, lacks a key, or no size is known.
    """
    folder = Path(folder)
    scale = unit_m(unit, str(folder))
    inner, outer = (_document(folder / name) for name in (INTRINSICS, EXTRINSICS))
    names = inner.get("names")
    if not isinstance(names, list):
        raise FileError("names is missing", where=str(folder / INTRINSICS))
    cameras = [
        _camera(str(name), inner, outer, folder, scale, size_px)
        for name in names
        if str(name) != "none"
    ]
    return foreign_rig(cameras, folder, "EasyMocap")


def _document(path: Path) -> Mapping[str, Any]:
    content = read_yaml(read_text(path), str(path))
    if not isinstance(content, Mapping):
        raise FileError("not a calibration of EasyMocap", where=str(path))
    return content


def _camera(
    name: str,
    inner: Mapping[str, Any],
    outer: Mapping[str, Any],
    folder: Path,
    scale: float,
    size_px: tuple[int, int] | None,
) -> Camera:
    where, beside = f"{folder / INTRINSICS}, {name}", f"{folder / EXTRINSICS}, {name}"
    matrix = matrix_of(inner, f"K_{name}", where)
    dist_key = f"dist_{name}" if f"dist_{name}" in inner else f"D_{name}"
    k = matrix_of(inner, dist_key, where).ravel()
    width, height = inner.get(f"W_{name}"), inner.get(f"H_{name}")
    if width is None or height is None:
        if size_px is None:
            raise FileError(
                "the file does not say the size of the image",
                where=where,
                remedy="Give it: --size-px 1920 1080.",
            )
        width, height = size_px
    turn_key = f"Rot_{name}" if f"Rot_{name}" in outer else f"R_{name}"
    rotation = rotation_of(matrix_of(outer, turn_key, beside), beside)
    place = numbers(matrix_of(outer, f"T_{name}", beside).ravel(), (3,), "T", beside)
    model, coefficients = opencv_lens(k, False, where)
    lens = [*focal_and_centre(matrix, where), *coefficients]
    return camera_of(
        name, image_size([width, height], where), model, lens, Pose(rotation, scale * place), where
    )


def write_easymocap(rig: Rig, path: Path) -> Written:
    """Write intri.yml and extri.yml into a folder; lenses beyond Brown-Conrady are refitted."""
    folder = path.parent if path.name in (INTRINSICS, EXTRINSICS) else path
    make_folder(folder, "Give a folder's name after -o.")
    cameras, refits = refit_all(rig.cameras, ("brown5",))
    names = plain_names(rig.names, "rig export")
    lost = not_held(
        rig, *([] if tuple(names) == rig.names else ["signs in the cameras' names (now _)"])
    )
    head = ["%YAML:1.0", "---", "names:", *(f"  - {quoted(name)}" for name in names)]
    inner, outer = list(head), list(head)
    for name, camera in zip(names, cameras, strict=True):
        pose = camera.cam_from_lab
        inner += yaml_matrix(f"K_{name}", camera.matrix)
        inner += yaml_matrix(f"dist_{name}", camera.coefficients[None])
        inner += [f"H_{name}: {camera.size_px[1]}", f"W_{name}: {camera.size_px[0]}"]
        outer += yaml_matrix(f"R_{name}", pose.rotvec()[:, None])
        outer += yaml_matrix(f"Rot_{name}", pose.rotation)
        outer += yaml_matrix(f"T_{name}", pose.translation[:, None])
    files = (
        write_text(folder / INTRINSICS, "\n".join(inner) + "\n"),
        write_text(folder / EXTRINSICS, "\n".join(outer) + "\n"),
    )
    return Written(files, lost, refits)
