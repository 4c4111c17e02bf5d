"""Keypoints from DeepLabCut: a table with its names in the first lines, as CSV or HDF5."""

from __future__ import annotations

import csv
import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np

from lab.checks import FloatArray
from lab.errors import FileError
from reconstruct.detect.foreign import MORE, FrameTime, people_of, skeleton_for
from reconstruct.detect.marker_text import number, read_lines
from reconstruct.people import People2D

_LEVELS = (["scorer", "bodyparts", "coords"], ["scorer", "individuals", "bodyparts", "coords"])
_COORDS = ("x", "y", "likelihood")


def read_deeplabcut(
    path: Path,
    camera: str,
    skeleton: str | None = None,
    frame_time: FrameTime | None = None,
) -> People2D:
    """Read what analyze_videos writes: .csv, or .h5.

    Four rows of names where there are several animals: scorer, individuals, bodyparts, coords;
    without individuals for one. Then a row a frame, its number first: x, y and likelihood of each
    body part. The .h5 holds the same table as pandas stores it (format "table").

    Args:
        path: The file.
        camera: Its name.
        skeleton: Whose names the body parts have; found out by the names.
        frame_time: As of `people_of`.

    Raises:
        FileError: When the file is missing, damaged, or in another form.
    """
    where = path.name
    if path.suffix.lower() in (".h5", ".hdf5"):
        columns, frames, values = _read_hdf5(path)
    else:
        columns, frames, values = _read_csv(path)
    if len(set(frames)) < len(frames):
        raise FileError("a frame stands twice", where=where, remedy=MORE)
    individuals = list(dict.fromkeys(c[-3] if len(c) == 4 else "" for c in columns))
    parts = list(dict.fromkeys(c[-2] for c in columns))
    table = np.full((len(frames), len(individuals), len(parts), 3), np.nan)
    for column, names in enumerate(columns):
        if names[-1] not in _COORDS:
            raise FileError(
                f"the column {'/'.join(names)} is no x, y or likelihood", where=where, remedy=MORE
            )
        person = individuals.index(names[-3] if len(names) == 4 else "")
        place = (slice(None), person, parts.index(names[-2]), _COORDS.index(names[-1]))
        table[place] = values[:, column]
    known = skeleton_for(skeleton, parts, len(parts), (), where)
    people = {f: list(table[i]) for i, f in enumerate(frames)}
    return people_of(people, parts, known, camera, frame_time, where)


def _read_csv(path: Path) -> tuple[list[tuple[str, ...]], list[int], FloatArray]:
    where = path.name
    rows = [row for row in csv.reader(read_lines(path)) if row]
    depth = next((i + 1 for i, row in enumerate(rows[:4]) if row[0].strip() == "coords"), 0)
    if [row[0].strip() for row in rows[:depth]] not in _LEVELS:
        raise FileError(
            "its first rows are not scorer, (individuals,) bodyparts, coords",
            where=where,
            remedy=MORE,
        )
    width = len(rows[0])
    for i, row in enumerate(rows, start=1):
        if len(row) != width:
            raise FileError(
                f"row {i} has {len(row)} columns, expected {width}: the file was cut off or edited",
                where=where,
                remedy=MORE,
            )
    columns = list(zip(*[[c.strip() for c in row[1:]] for row in rows[:depth]], strict=True))
    values = np.array(
        [
            [number(cell, f"{where} row {i}") for cell in row[1:]]
            for i, row in enumerate(rows[depth:], start=depth + 1)
        ]
    ).reshape(-1, width - 1)
    frames = []
    for i, row in enumerate(rows[depth:], start=depth + 1):
        if not row[0].strip().isdigit():
            raise FileError(
                f"row {i} begins with {row[0]!r}, expected a frame's number",
                where=where,
                remedy=MORE,
            )
        frames.append(int(row[0]))
    return columns, frames, values


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, tuples, texts and numbers, and refuses whatever could run code."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"{module}.{name} in a table of names")


def _read_hdf5(path: Path) -> tuple[list[tuple[str, ...]], list[int], FloatArray]:
    """Read a data frame that pandas stored by PyTables."""
    where = path.name
    form = FileError(
        "there is no table of DeepLabCut in it (a data frame stored with format table)",
        where=where,
        remedy="Give the .csv that DeepLabCut writes with save_as_csv=True.",
    )
    try:
        with h5py.File(path) as file:
            group: Any = next((g for g in file.values() if "non_index_axes" in g.attrs), None)
            if group is None or "table" not in group:
                raise form
            table = group["table"][()]
            stored = bytes(group.attrs["non_index_axes"])
    except OSError as fault:
        raise FileError(
            "damaged, cut off, or no HDF5", where=where, remedy="Copy or export it again."
        ) from fault
    try:
        axes = _PlainUnpickler(io.BytesIO(stored)).load()
        columns = [tuple(str(part) for part in name) for name in axes[0][1]]
        blocks = [table[n] for n in table.dtype.names if n.startswith("values_block_")]
        frames = [int(i) for i in table["index"]]
    except (pickle.UnpicklingError, EOFError, TypeError, ValueError, IndexError, KeyError) as fault:
        raise form from fault
    values = np.concatenate([b.reshape(len(table), -1) for b in blocks], axis=1).astype(float)
    if len(blocks) != 1 or values.shape[1] != len(columns) or len(columns[0]) not in (3, 4):
        raise form
    return columns, frames, values
