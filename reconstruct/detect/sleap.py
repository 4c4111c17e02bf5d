"""Keypoints from SLEAP's analysis file (HDF5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lab.errors import FileError
from reconstruct.detect.foreign import MORE, FrameTime, people_of, skeleton_for
from reconstruct.people import People2D


def read_sleap(
    path: Path,
    camera: str,
    skeleton: str | None = None,
    frame_time: FrameTime | None = None,
) -> People2D:
    """Read an analysis file: tracks (tracks, 2, nodes, frames), node_names, point_scores.

    Row i of the frames is frame i of the video. Files whose `tracks` carry the names of their axes
    in another order (`dims`) are refused: export them in SLEAP's own order.

    Args:
        path: The file.
        camera: Its name.
        skeleton: Whose names the nodes have; found out by the names.
        frame_time: As of `people_of`.

    Raises:
        FileError: When the file is missing, damaged, or in another form.
    """
    where = path.name
    if not path.is_file():
        raise FileError("there is no such file", where=str(path), remedy="Check the path.")
    try:
        with h5py.File(path) as file:
            missing = [n for n in ("tracks", "node_names") if n not in file]
            if missing:
                raise FileError(
                    f"there is no {' and no '.join(missing)} in it: no analysis file of SLEAP",
                    where=where,
                    remedy="In SLEAP use File > Export Analysis HDF5.",
                )
            stored: Any = file
            tracks = np.asarray(stored["tracks"][()], float)
            names = [n.decode() if isinstance(n, bytes) else str(n) for n in stored["node_names"]]
            scores = np.asarray(stored["point_scores"][()]) if "point_scores" in file else None
    except OSError as fault:
        raise FileError(
            "damaged, cut off, or no HDF5", where=where, remedy="Copy or export it again."
        ) from fault
    except (TypeError, ValueError, UnicodeDecodeError) as fault:
        raise FileError(f"not as SLEAP writes it ({fault})", where=where, remedy=MORE) from fault
    if tracks.ndim != 4 or tracks.shape[1:3] != (2, len(names)):
        raise FileError(
            f"tracks is {tracks.shape}, expected (tracks, 2, {len(names)}, frames)",
            where=where,
            remedy=MORE,
        )
    shape = (tracks.shape[0], *tracks.shape[2:])
    if scores is None:
        scores = np.full(shape, np.nan)
    if scores.shape != shape:
        raise FileError(
            f"point_scores is {scores.shape}, expected {shape}", where=where, remedy=MORE
        )
    points = np.concatenate([tracks, scores[:, None]], axis=1).transpose(3, 0, 2, 1)
    known = skeleton_for(skeleton, names, len(names), (), where)
    people = {i: list(frame) for i, frame in enumerate(points)}
    return people_of(people, names, known, camera, frame_time, where)
