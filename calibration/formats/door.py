"""Which format a file is, by its content, and the writers by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from calibration.formats.camera_toml import (
    read_camera_toml,
    write_aniposelib,
    write_caliscope,
    write_pose2sim,
)
from calibration.formats.easymocap import EXTRINSICS, INTRINSICS, read_easymocap, write_easymocap
from calibration.formats.kalibr import read_camchain, write_camchain
from calibration.formats.mrcal import SUFFIX, read_cameramodels, write_cameramodels
from calibration.formats.opencv import read_opencv, write_opencv
from calibration.formats.qualisys import read_qca, write_qca
from calibration.formats.reading import read_bytes
from calibration.formats.vicon import read_xcp
from calibration.formats.writing import Written
from lab.errors import FileError, LabError
from lab.rig import Rig

WRITERS: dict[str, Callable[[Rig, Path], Written]] = {
    "aniposelib": write_aniposelib,
    "caliscope": write_caliscope,
    "pose2sim": write_pose2sim,
    "qualisys": write_qca,
    "opencv": write_opencv,
    "kalibr": write_camchain,
    "mrcal": write_cameramodels,
    "easymocap": write_easymocap,
}
FORMATS = tuple(WRITERS)

_READABLE = (
    "Give an aniposelib, Pose2Sim or Caliscope .toml, a Qualisys .qca.txt, a Vicon .xcp, an OpenCV "
    ".yml or .json, a Kalibr camchain.yaml, mrcal .cameramodel files, or EasyMocap's intri.yml and "
    "extri.yml."
)
_HDF5 = b"\x89HDF\r\n"
_LARGEST_B = 64_000_000


def read_rig(path: Path | str, *, unit: str = "m", size_px: tuple[int, int] | None = None) -> Rig:
    """Read a calibration of another program, found out by the file's content.

    Args:
        path: A file, or the folder of mrcal's camera models or EasyMocap's two files.
        unit: Of the lengths in a file that does not say it (TOML, OpenCV, EasyMocap): m, cm, mm.
        size_px: (width, height) where EasyMocap's files do not say it.

    Raises:
        FileError: When the file is missing, damaged, or none of these.
        LabError: When the unit is none.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path, unit, size_px)
    if path.is_file() and path.stat().st_size > _LARGEST_B:
        raise FileError("too large for a calibration", where=str(path), remedy=_READABLE)
    content = read_bytes(path)
    if content.startswith(_HDF5):
        raise FileError(
            "this is a rig of gaitlab already (or another HDF5 file)",
            where=str(path),
            remedy="Use it as it is; gaitlab rig show says what it holds.",
        )
    text = content.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if text.startswith("<"):
        return _read_xml(path, text)
    if "lensmodel" in text and "LENSMODEL_" in text:
        return read_cameramodels([path], path)
    if text.startswith("{") or "camera_matrix:" in text:
        return read_opencv(path, unit=unit)
    if path.name in (INTRINSICS, EXTRINSICS) or "\nK_" in text or "\nRot_" in text:
        return read_easymocap(path.parent, unit=unit, size_px=size_px)
    if "camera_model:" in text and "cam0:" in text:
        return read_camchain(path)
    if "matrix" in text and "=" in text and "[" in text:
        return read_camera_toml(path, unit=unit)
    raise FileError("not a calibration that can be read", where=str(path), remedy=_READABLE)


def _read_xml(path: Path, text: str) -> Rig:
    if "<Cameras" in text:
        return read_xcp(path)
    if "<calibration" in text:
        return read_qca(path)
    raise FileError("not a calibration that can be read", where=str(path), remedy=_READABLE)


def _read_folder(path: Path, unit: str, size_px: tuple[int, int] | None) -> Rig:
    models = sorted(path.glob(f"*{SUFFIX}"))
    if models:
        return read_cameramodels(models, path)
    if (path / INTRINSICS).is_file():
        return read_easymocap(path, unit=unit, size_px=size_px)
    raise FileError(
        "the folder holds no calibration that can be read", where=str(path), remedy=_READABLE
    )


def write_rig_as(rig: Rig, format: str, path: Path | str) -> Written:
    """Write a rig in a format of `FORMATS`.

    Returns:
        The files, what that format could not hold, and the lenses that had to be refitted.

    Raises:
        LabError: When there is no such format, or a lens cannot be written in it.
        FileError: When it cannot be written.
    """
    writer = WRITERS.get(format)
    if writer is None:
        raise LabError(
            f"there is no format called {format!r}",
            where="rig export",
            remedy=f"Choose one of: {', '.join(FORMATS)}.",
        )
    return writer(rig, Path(path))
