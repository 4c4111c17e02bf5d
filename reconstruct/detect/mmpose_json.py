"""Keypoints from MMPose (RTMPose and others): one JSON file a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lab.checks import FloatArray
from lab.errors import FileError
from reconstruct.detect.foreign import (
    MORE,
    FrameTime,
    number_list,
    people_of,
    read_json,
    skeleton_for,
    whole_number,
)
from reconstruct.people import People2D

_KNOWN = ("coco17", "halpe26", "coco133")


def read_mmpose(
    path: Path,
    camera: str,
    skeleton: str | None = None,
    frame_time: FrameTime | None = None,
) -> People2D:
    """Read the predictions that MMPose's inferencer or its demos save for a video.

    A list of {"frame_id", "instances"}, as the inferencer writes it, or the same under
    "instance_info" beside "meta_info", as the demos do. Each instance holds "keypoints", pairs of
    x and y, and "keypoint_scores". Where the lowest frame_id is 1 the file counts from 1, as the
    demos do, otherwise from 0.

    Args:
        path: The file.
        camera: Its name.
        skeleton: Which points; found out by their number.
        frame_time: As of `people_of`.

    Raises:
        FileError: When the file is missing, damaged, or in another form.
    """
    content = read_json(path)
    where = path.name
    rows = content.get("instance_info") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise FileError("there is no list of frames in it", where=where, remedy=MORE)
    frames: dict[int, list[FloatArray]] = {}
    count = 0
    for i, row in enumerate(rows):
        if not isinstance(row, dict) or not isinstance(row.get("instances"), list):
            raise FileError(f"entry {i} has no instances", where=where, remedy=MORE)
        number = whole_number(row.get("frame_id"), where, f"entry {i}: frame_id")
        if number in frames:
            raise FileError(f"frame_id {number} stands twice", where=where, remedy=MORE)
        frames[number] = [_points(p, where, f"frame_id {number}") for p in row["instances"]]
        for points in frames[number]:
            if count and len(points) != count:
                raise FileError(
                    f"frame_id {number} has {len(points)} points, frames before it {count}",
                    where=where,
                    remedy=MORE,
                )
            count = len(points)
    if not count:
        raise FileError("nobody is in any of its frames", where=where, remedy=MORE)
    first = 1 if min(frames) == 1 else 0
    known = skeleton_for(skeleton, None, count, _KNOWN, where)
    shifted = {number - first: people for number, people in frames.items()}
    return people_of(shifted, None, known, camera, frame_time, where)


def _points(person: Any, where: str, what: str) -> FloatArray:
    if not isinstance(person, dict) or not {"keypoints", "keypoint_scores"} <= set(person):
        raise FileError(
            f"{what}: a person without keypoints and keypoint_scores", where=where, remedy=MORE
        )
    xy = number_list(person["keypoints"], where, f"{what}: keypoints")
    score = number_list(person["keypoint_scores"], where, f"{what}: keypoint_scores")
    if xy.ndim != 2 or xy.shape[1] != 2 or score.shape != xy.shape[:1]:
        raise FileError(
            f"{what}: keypoints {xy.shape} and keypoint_scores {score.shape} do not fit",
            where=where,
            remedy=MORE,
        )
    return np.concatenate([xy, score[:, None]], axis=1)
