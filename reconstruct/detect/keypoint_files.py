"""Keypoints from a file or folder, whatever program wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from lab.errors import FileError, LabError
from reconstruct.detect.coco_json import read_coco
from reconstruct.detect.deeplabcut import read_deeplabcut
from reconstruct.detect.foreign import MORE, FrameTime, read_json
from reconstruct.detect.keypoints_csv import COLUMNS, read_keypoints
from reconstruct.detect.marker_text import read_lines
from reconstruct.detect.mediapipe_csv import read_mediapipe
from reconstruct.detect.mmpose_json import read_mmpose
from reconstruct.detect.openpose import read_openpose
from reconstruct.detect.sleap import read_sleap
from reconstruct.people import People2D

FORMS = ("gaitlab", "openpose", "mmpose", "coco", "deeplabcut", "sleap", "mediapipe")


def read_people(
    path: Path,
    camera: str,
    *,
    form: str | None = None,
    skeleton: str | None = None,
    frame_time: FrameTime | None = None,
    size_px: tuple[int, int] | None = None,
) -> People2D:
    """Read one camera's keypoints.

    Args:
        path: A file, or a folder of OpenPose's.
        camera: Its name in the rig.
        form: One of `FORMS`; found out by the content where not given.
        skeleton: Whose points they are; found out by names or number where not given.
        frame_time: Tells t in s of a frame's number, for forms that hold no times.
        size_px: (width, height) of the images, for MediaPipe.

    Raises:
        FileError: When the file is missing, damaged, or in no form known.
        LabError: When there is no such form or skeleton.
    """
    if form is not None and form not in FORMS:
        raise LabError(
            f'form is "{form}"',
            where=camera,
            remedy="Write one of: " + ", ".join(f'"{f}"' for f in FORMS) + ".",
        )
    form = form or recognise(path)
    if form == "gaitlab":
        return People2D.of_one(read_keypoints(path, camera, skeleton))
    if form == "mediapipe":
        return read_mediapipe(path, camera, frame_time, size_px)
    readers = {
        "openpose": read_openpose,
        "mmpose": read_mmpose,
        "coco": read_coco,
        "deeplabcut": read_deeplabcut,
        "sleap": read_sleap,
    }
    return readers[form](path, camera, skeleton, frame_time)


def recognise(path: Path) -> str:
    """Return which of `FORMS` a file is in.

    Raises:
        FileError: When it is missing or in none.
    """
    if path.is_dir():
        return "openpose"
    if not path.is_file():
        raise FileError("there is no such file", where=str(path), remedy="Check the path.")
    ending = path.suffix.lower()
    if ending in (".h5", ".hdf5"):
        return _recognise_hdf5(path)
    if ending == ".json":
        return _recognise_json(read_json(path), path)
    header = [cell.strip().lower() for cell in read_lines(path)[0].split(",")]
    if header[0] == "scorer":
        return "deeplabcut"
    if any(cell.endswith("_visibility") or cell == "nose_x" for cell in header):
        return "mediapipe"
    if ending == ".csv" or set(COLUMNS) & set(header):
        return "gaitlab"
    raise FileError(
        "its form is not known",
        where=path.name,
        remedy="Give form = one of " + ", ".join(FORMS) + ", or export it in one of these.",
    )


def _recognise_hdf5(path: Path) -> str:
    try:
        with h5py.File(path) as file:
            return "sleap" if "tracks" in file or "node_names" in file else "deeplabcut"
    except OSError as fault:
        raise FileError(
            "damaged, cut off, or no HDF5", where=path.name, remedy="Copy or export it again."
        ) from fault


def _recognise_json(content: Any, path: Path) -> str:
    rows = content if isinstance(content, list) else []
    first = rows[0] if rows and isinstance(rows[0], dict) else {}
    if isinstance(content, dict) and "instance_info" in content:
        return "mmpose"
    if "instances" in first:
        return "mmpose"
    if "image_id" in first or (isinstance(content, dict) and "annotations" in content):
        return "coco"
    if isinstance(content, dict) and "people" in content:
        raise FileError(
            "this is one frame of OpenPose",
            where=path.name,
            remedy="Give the folder that holds the files of all frames.",
        )
    raise FileError("its form is not known", where=path.name, remedy=MORE)
