"""What the readers of other programs' keypoints share: frames with times, names, JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lab.checks import FloatArray
from lab.errors import FileError, LabError
from reconstruct.people import People2D
from reconstruct.skeletons import Skeleton, find_skeleton, load_skeleton, skeleton_of_count

FrameTime = Callable[[int], float | None]
MORE = "Export it again from the program that made it; docs/detectors.md shows the form expected."


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        FileError: When it is missing, empty, cut off, or no JSON; the message names the line.
    """
    if not path.is_file():
        raise FileError("there is no such file", where=str(path), remedy="Check the path.")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as fault:
        raise FileError(
            f"line {fault.lineno}: not valid JSON ({fault.msg}); the file was cut off or edited",
            where=path.name,
            remedy=MORE,
        ) from fault
    except (OSError, UnicodeDecodeError) as fault:
        raise FileError("the file is not text", where=path.name, remedy=MORE) from fault


def number_list(value: Any, where: str, what: str) -> FloatArray:
    """Return a JSON list of numbers, any nesting; null is NaN.

    Raises:
        FileError: When it is something else.
    """
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as fault:
        raise FileError(f"{what} is no list of numbers", where=where, remedy=MORE) from fault
    if np.isinf(array).any():
        raise FileError(f"{what} holds an infinite number", where=where, remedy=MORE)
    return array


def triples(value: Any, where: str, what: str) -> FloatArray:
    """Return (K, 3) x, y, score from a flat list x, y, score, x, y, score, ..."""
    flat = number_list(value, where, what).ravel()
    if not len(flat) or len(flat) % 3:
        raise FileError(
            f"{what} has {len(flat)} numbers, expected x, y and score of each point",
            where=where,
            remedy=MORE,
        )
    return flat.reshape(-1, 3)


def whole_number(value: Any, where: str, what: str) -> int:
    """Return a frame's number; FileError when it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FileError(f"{what} is {value!r}, expected a whole number", where=where, remedy=MORE)
    return value


def skeleton_for(
    skeleton: str | None, names: Sequence[str] | None, count: int, among: Sequence[str], where: str
) -> Skeleton:
    """Return the skeleton given, or the one the names or the number of points belong to.

    Raises:
        FileError: When none fits.
    """
    if skeleton is not None:
        known = load_skeleton(skeleton)
        if names is None and known.count != count:
            raise FileError(
                f"it has {count} points, the skeleton {skeleton} has {known.count}",
                where=where,
                remedy="Give the skeleton of the model that was used.",
            )
        return known
    if names is not None:
        try:
            return find_skeleton(names)
        except LabError as fault:
            raise FileError(fault.what, where=where, remedy=fault.remedy) from fault
    found = skeleton_of_count(count, among)
    if found is None:
        raise FileError(
            f"it has {count} points and does not name them",
            where=where,
            remedy="Use a model with one of these sets of points: " + ", ".join(among) + ".",
        )
    return found


def people_of(
    frames: Mapping[int, Sequence[FloatArray]],
    names: Sequence[str] | None,
    skeleton: Skeleton,
    camera: str,
    frame_time: FrameTime | None,
    where: str,
) -> People2D:
    """Return people from the points of each in each frame.

    A point at x = y = 0 with score 0 or none was not seen; so these programs write it. Pixels are
    taken as they stand: half a pixel, by which programs differ, is within their noise.

    Args:
        frames: By number from 0, (K, 3) x px, y px, score of each person.
        names: K names as in the file; None where the points are in the skeleton's order.
        skeleton: Maps them onto the lab's names.
        camera: Its name.
        frame_time: Tells t in s of a frame; None where that is not known.
        where: The file's name.

    Raises:
        FileError: When there are no frames, no name fits, or a frame's time is not known.
    """
    if not frames:
        raise FileError("there is no frame in it", where=where, remedy=MORE)
    order = list(skeleton.order) if names is None else list(names)
    ours = {theirs: name for theirs, name in skeleton.points.items() if theirs in order}
    if not ours:
        raise FileError(
            f"no name in it belongs to the skeleton {skeleton.name}",
            where=where,
            remedy="Give the skeleton of the model that was used.",
        )
    if frame_time is None:
        raise FileError(
            "it numbers its frames but does not say when they were taken",
            where=where,
            remedy="Give the camera's video, rate_hz, or a times file in trial.toml.",
        )
    columns = [order.index(theirs) for theirs in ours]
    numbers, t = [], []
    for number in sorted(frames):
        time = frame_time(number)
        if time is not None:
            numbers.append(number)
            t.append(time)
    if not t or (np.diff(t) <= 0).any():
        raise FileError(
            f"its frames ({min(frames)} to {max(frames)}) have no times that rise",
            where=where,
            remedy="Give the video or the times file that belongs to these keypoints.",
        )
    most = max(len(frames[n]) for n in numbers)
    table = np.full((len(t), max(most, 1), len(columns), 3), np.nan)
    for i, number in enumerate(numbers):
        for j, person in enumerate(frames[number]):
            table[i, j] = person[columns]
    score = table[..., 2]
    lost = ~np.isfinite(table[..., :2]).all(-1)
    lost |= (table[..., :2] == 0).all(-1) & ~(score > 0)
    table[lost] = math.nan
    cov = np.full((*lost.shape, 2, 2), np.nan)
    return People2D(camera, tuple(ours.values()), np.array(t), table[..., :2], cov, table[..., 2])
