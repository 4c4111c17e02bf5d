"""What every reader of another program's calibration does: numbers checked, faults said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lab.camera import Camera
from lab.checks import FloatArray
from lab.errors import FileError, LabError
from lab.lens_model import COEFFICIENTS
from lab.pose import Pose
from lab.rig import Rig, RigQuality

UNITS_M = {"m": 1.0, "cm": 0.01, "mm": 0.001}
# No camera of a gait lab stands further than this from its origin; a file in mm always does.
FARTHEST_M = 100.0
_NOT_ORTHONORMAL = 1e-4
_LARGEST_SIDE_PX = 100_000
# A number beyond this is no focal length, coefficient or place in m; its square still is finite.
_LARGEST = 1e12


def read_bytes(path: Path) -> bytes:
    """Return a file's content; FileError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="Check the path."
        ) from error


def read_text(path: Path) -> str:
    """Return a text file's content; FileError when it is missing or no UTF-8."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError("not a text file", where=str(path)) from error


def unit_m(unit: str, where: str) -> float:
    """Return a unit's length in m; LabError when it is none of `UNITS_M`."""
    if unit not in UNITS_M:
        raise LabError(f"the unit must be one of {', '.join(UNITS_M)}, got {unit!r}", where=where)
    return UNITS_M[unit]


def number(values: Mapping[str, Any], key: str, where: str) -> float:
    """Return a finite number by its key; FileError where it is missing or none."""
    if key not in values:
        raise FileError(f"{key} is missing", where=where)
    return float(numbers(values[key], (), key, where))


def numbers(value: Any, shape: tuple[int, ...] | None, what: str, where: str) -> FloatArray:
    """Return finite numbers of a shape (None: any number of them in a row).

    Raises:
        FileError: When they are not numbers, not finite, or of another shape.
    """
    try:
        array = np.array(value, float)
    except (TypeError, ValueError, OverflowError) as error:
        raise FileError(f"{what} is not made of numbers", where=where) from error
    if shape is None:
        array = array.ravel()
    elif array.shape != shape:
        if array.size != int(np.prod(shape)) or (array.ndim == 2 and len(shape) == 2):
            raise FileError(f"{what} has the wrong shape", where=where)
        array = array.reshape(shape)
    if not np.isfinite(array).all():
        raise FileError(f"{what} is not finite", where=where)
    if (np.abs(array) > _LARGEST).any():
        raise FileError(f"{what} is far too large", where=where)
    return array


def texts(value: str, count: int | None, what: str, where: str) -> FloatArray:
    """Return the numbers of a text that holds them with spaces between."""
    return numbers(value.split(), None if count is None else (count,), what, where)


def image_size(given: Any, where: str) -> tuple[int, int]:
    """Return (width, height) px, whole numbers above zero."""
    size = numbers(given, (2,), "the image size", where)
    if (size < 1).any() or (size > _LARGEST_SIDE_PX).any() or (size != np.round(size)).any():
        raise FileError(
            f"the image size must be whole numbers of pixels, got {size[0]:g} x {size[1]:g}",
            where=where,
        )
    return int(size[0]), int(size[1])


def focal_and_centre(matrix: Any, where: str) -> list[float]:
    """Return fx, fy, cx, cy of a camera matrix (3, 3); FileError when it has skew or is none."""
    k = numbers(matrix, (3, 3), "the camera matrix", where)
    if k[0, 1] != 0:
        raise FileError("a lens with skew is not supported", where=where)
    if k[2, 2] != 1 or (k[[1, 2, 2], [0, 0, 1]] != 0).any():
        raise FileError("this is no camera matrix (its last row must be 0, 0, 1)", where=where)
    return [float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2])]


def opencv_lens(coefficients: Any, fisheye: bool, where: str) -> tuple[str, list[float]]:
    """Return the model and coefficients of a lens in OpenCV's order.

    Fewer than four of Brown-Conrady are filled up with zeros; beyond eight (thin prism and tilt)
    they must be zero.
    """
    k = numbers(coefficients, None, "the distortion", where).tolist()
    if fisheye:
        if len(k) != 4:
            raise FileError(
                f"a fisheye lens has 4 coefficients, the file has {len(k)}", where=where
            )
        return "fisheye", k
    if len(k) > 8 and not any(k[8:]):
        k = k[:8]
    k += [0.0] * (4 - len(k))
    if len(k) in (6, 7):
        k += [0.0] * (8 - len(k))
    model = f"brown{len(k)}"
    if model not in COEFFICIENTS:
        raise FileError(
            f"{len(k)} distortion coefficients are not a lens model known here", where=where
        )
    return model, k


def rotation_of(value: Any, where: str) -> FloatArray:
    """Return the rotation (3, 3) of a matrix or a rotation vector as a file has it."""
    array = numbers(value, None, "the rotation", where)
    if array.size == 3:
        return Pose.from_rotvec(array, np.zeros(3)).rotation
    return nearest_rotation(numbers(array, (3, 3), "the rotation", where), where)


def nearest_rotation(matrix: FloatArray, where: str) -> FloatArray:
    """Take the rounding of a text file off a rotation; refuse what is none."""
    u, _, vt = np.linalg.svd(matrix)
    rotation = u @ vt
    if np.abs(rotation - matrix).max() > _NOT_ORTHONORMAL or np.linalg.det(rotation) < 0:
        raise FileError("the rotation is not a proper rotation", where=where)
    # What is orthonormal to the last bits is left as it stands.
    exact = np.abs(matrix @ matrix.T - np.eye(3)).max() < 1e-13
    return matrix if exact else rotation


def camera_of(
    name: str,
    size_px: tuple[int, int],
    model: str,
    intrinsics: Sequence[float],
    pose: Pose,
    where: str,
) -> Camera:
    """Return the camera; FileError when its focal length is not positive or it has no name."""
    if not name.strip():
        raise FileError("a camera has no name", where=where)
    if min(intrinsics[:2]) <= 0:
        raise FileError("a focal length is not positive", where=where)
    return Camera(name, size_px, model, np.array(intrinsics, float), pose)


def foreign_rig(
    cameras: Sequence[Camera],
    path: Path,
    origin: str,
    *,
    figures: Mapping[str, Mapping[str, float]] | None = None,
    notes: Sequence[str] = (),
) -> Rig:
    """Return a rig of cameras read from another program's file, its covariance not known.

    Raises:
        FileError: When there is no camera, two have one name, or one stands impossibly far away.
    """
    if not cameras:
        raise FileError(
            "no camera found in it", where=str(path), remedy="Is this a calibration file?"
        )
    names = [camera.name for camera in cameras]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FileError(f"two cameras have the same name ({twice[0]})", where=str(path))
    far = [c.name for c in cameras if np.linalg.norm(c.centre) > FARTHEST_M]
    if far:
        raise FileError(
            f"{far[0]} stands more than {FARTHEST_M:.0f} m from the origin",
            where=str(path),
            remedy="Say the unit of the file (--unit mm).",
        )
    size = sum(6 + len(camera.intrinsics) for camera in cameras)
    note = f"read from a {origin} file: its calibration error is not known"
    quality = RigQuality(True, (note, *notes), {}, figures or {})
    return Rig(tuple(cameras), np.full((size, size), np.nan), quality, "", "")
