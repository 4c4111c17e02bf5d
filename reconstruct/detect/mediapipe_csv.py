"""Keypoints of MediaPipe Pose (BlazePose) written as CSV, one row a frame."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from lab.errors import FileError
from reconstruct.detect.foreign import MORE, FrameTime, people_of
from reconstruct.detect.marker_text import number, read_lines
from reconstruct.people import People2D
from reconstruct.skeletons import load_skeleton


def read_mediapipe(
    path: Path,
    camera: str,
    frame_time: FrameTime | None = None,
    size_px: tuple[int, int] | None = None,
) -> People2D:
    """Read columns frame, <landmark>_x, <landmark>_y, <landmark>_visibility.

    MediaPipe writes no file of its own; this is its landmarks as commonly saved, by their names in
    its documentation, upper or lower case (NOSE, LEFT_EYE_INNER, ...). x and y run from 0 to 1
    over the image, from its edges: pixel x * width - 1/2. A column t or timestamp_ms gives the
    times, a column frame the number from 0; z and presence are passed over.

    Args:
        path: The file.
        camera: Its name.
        frame_time: As of `people_of`; where the file holds no times.
        size_px: (width, height) of the images.

    Raises:
        FileError: When the file is missing, damaged, or in another form.
    """
    where = path.name
    rows = [row for row in csv.reader(read_lines(path)) if row]
    header = [cell.strip().lower() for cell in rows[0]]
    skeleton = load_skeleton("blazepose33")
    names = [n for n in skeleton.order if f"{n}_x" in header and f"{n}_y" in header]
    if not names:
        raise FileError(
            "line 1 has no columns nose_x, nose_y, ... of MediaPipe's landmarks",
            where=where,
            remedy=MORE,
        )
    for i, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise FileError(
                f"row {i} has {len(row)} columns, expected {len(header)}: the file was cut off",
                where=where,
                remedy=MORE,
            )
    values = np.array(
        [
            [_cell(c, h, f"{where} row {i}") for c, h in zip(row, header, strict=True)]
            for i, row in enumerate(rows[1:], start=2)
        ]
    ).reshape(-1, len(header))
    if size_px is None:
        raise FileError(
            "its pixels run from 0 to 1, and the size of the images is not known",
            where=where,
            remedy="Give the camera's rig, which holds it.",
        )
    table = np.full((len(values), len(names), 3), np.nan)
    for k, name in enumerate(names):
        for j, size in enumerate(size_px):
            table[:, k, j] = values[:, header.index(f"{name}_{'xy'[j]}")] * size - 0.5
        if f"{name}_visibility" in header:
            table[:, k, 2] = values[:, header.index(f"{name}_visibility")]
    far = np.abs(table[..., :2]) > 3 * max(size_px)
    if far.any():
        raise FileError(
            f"row {np.flatnonzero(far.any((-1, -2)))[0] + 2} is far outside the image: are these "
            "pixels? MediaPipe's run from 0 to 1",
            where=where,
            remedy="Save the landmarks as they come, or write t,name,x_px,y_px,score.",
        )
    numbers = values[:, header.index("frame")] if "frame" in header else np.arange(len(values))
    if not (np.isfinite(numbers).all() and (numbers == np.round(numbers)).all()):
        raise FileError("a frame has no whole number", where=where, remedy=MORE)
    frames = [int(n) for n in numbers]
    if len(set(frames)) < len(frames):
        raise FileError("a frame stands twice", where=where, remedy=MORE)
    for column, unit in (("t", 1.0), ("timestamp_ms", 1e-3)):
        if column in header:
            times = dict(zip(frames, values[:, header.index(column)] * unit, strict=True))
            if not np.isfinite(list(times.values())).all():
                raise FileError(f"a frame has no {column}", where=where, remedy=MORE)
            frame_time = times.get
    people = {f: [table[i]] for i, f in enumerate(frames)}
    return people_of(people, names, skeleton, camera, frame_time, where)


def _cell(cell: str, column: str, where: str) -> float:
    """Return a number of a column in use; what stands elsewhere does not matter."""
    if column in ("t", "frame", "timestamp_ms") or column.endswith(("_x", "_y", "_visibility")):
        return number(cell, f"{where}, {column}")
    return float("nan")
