"""Keypoints from OpenPose: a folder with one JSON file a frame."""

from __future__ import annotations

import re
from pathlib import Path

from lab.errors import FileError
from reconstruct.detect.foreign import (
    MORE,
    FrameTime,
    people_of,
    read_json,
    skeleton_for,
    triples,
)
from reconstruct.people import People2D

# OpenPose's own models, and those whose points other programs write in its form.
_KNOWN = ("body25", "coco17", "halpe26", "coco133", "blazepose33")
_NUMBER = re.compile(r"(\d+)(?:_keypoints)?\.json$")


def read_openpose(
    folder: Path, camera: str, skeleton: str | None = None, frame_time: FrameTime | None = None
) -> People2D:
    """Read NAME_000000000000_keypoints.json, ..., as OpenPose's --write_json makes them.

    Each file holds `people`, each with `pose_keypoints_2d`: x, y and score of each point in turn.
    The number at the end of a file's name is the frame's, from 0.

    Args:
        folder: With the files.
        camera: Its name.
        skeleton: Which points; BODY_25 and others are known by their number.
        frame_time: As of `people_of`.

    Raises:
        FileError: When a file is missing, damaged, or in another form.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise FileError("there is no .json in this folder", where=str(folder), remedy=MORE)
    frames: dict[int, list] = {}
    count = 0
    for path in files:
        found = _NUMBER.search(path.name)
        if found is None:
            raise FileError(
                "its name does not end with the frame's number", where=path.name, remedy=MORE
            )
        number = int(found.group(1))
        if number in frames:
            raise FileError(f"frame {number} stands twice", where=path.name, remedy=MORE)
        content = read_json(path)
        people = content.get("people") if isinstance(content, dict) else None
        if not isinstance(people, list):
            raise FileError("there is no list people in it", where=path.name, remedy=MORE)
        frames[number] = []
        for i, person in enumerate(people):
            what = f"person {i}: pose_keypoints_2d"
            if not isinstance(person, dict) or "pose_keypoints_2d" not in person:
                raise FileError(f"{what} is missing", where=path.name, remedy=MORE)
            if not person["pose_keypoints_2d"]:
                continue
            points = triples(person["pose_keypoints_2d"], path.name, what)
            if count and len(points) != count:
                raise FileError(
                    f"{what} has {len(points)} points, files before it {count}",
                    where=path.name,
                    remedy=MORE,
                )
            count = len(points)
            frames[number].append(points)
    if not count:
        raise FileError("nobody is in any of its files", where=str(folder), remedy=MORE)
    known = skeleton_for(skeleton, None, count, _KNOWN, folder.name)
    return people_of(frames, None, known, camera, frame_time, folder.name)
