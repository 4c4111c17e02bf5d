"""Keypoints from COCO's JSON: annotations with images, or a list of results."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from lab.checks import FloatArray
from lab.errors import FileError
from reconstruct.detect.foreign import (
    MORE,
    FrameTime,
    people_of,
    read_json,
    skeleton_for,
    triples,
    whole_number,
)
from reconstruct.people import People2D

_KNOWN = ("coco17", "halpe26", "coco133")


def read_coco(
    path: Path,
    camera: str,
    skeleton: str | None = None,
    frame_time: FrameTime | None = None,
) -> People2D:
    """Read COCO keypoints (cocodataset.org, data format and results format).

    With "images" and "annotations" the frame is the last number in an image's file_name, and the
    names of the points those of the category. In a list of results the frame is image_id. The
    third number of each point is a score in results, and in annotations a visibility: 0 not
    labelled, 1 hidden, 2 seen; a labelled point has no score.

    Args:
        path: The file.
        camera: Its name.
        skeleton: Which points; found out by their names or number.
        frame_time: As of `people_of`.

    Raises:
        FileError: When the file is missing, damaged, or in another form.
    """
    content = read_json(path)
    where = path.name
    labelled = isinstance(content, dict)
    rows = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise FileError("there is no list of annotations in it", where=where, remedy=MORE)
    numbers = _frames_of_images(content, where) if labelled else None
    names = _names(content, where) if labelled else None
    frames: dict[int, list[FloatArray]] = {n: [] for n in (numbers or {}).values()}
    count = len(names) if names else 0
    for i, row in enumerate(rows):
        what = f"annotation {i}"
        if not isinstance(row, dict) or "keypoints" not in row or "image_id" not in row:
            raise FileError(f"{what} lacks keypoints or image_id", where=where, remedy=MORE)
        number = row["image_id"]
        if numbers is not None:
            if number not in numbers:
                raise FileError(
                    f"{what} names the image {number!r}, which is not listed",
                    where=where,
                    remedy=MORE,
                )
            number = numbers[number]
        number = whole_number(number, where, f"{what}: image_id")
        points = triples(row["keypoints"], where, f"{what}: keypoints")
        if count and len(points) != count:
            raise FileError(
                f"{what} has {len(points)} points, expected {count}", where=where, remedy=MORE
            )
        count = len(points)
        if labelled:
            points[points[:, 2] == 0, :2] = np.nan
            points[:, 2] = np.nan
        frames.setdefault(number, []).append(points)
    if not count or not any(frames.values()):
        raise FileError("nobody is in any of its images", where=where, remedy=MORE)
    known = skeleton_for(skeleton, names, count, _KNOWN, where)
    return people_of(frames, names, known, camera, frame_time, where)


def _frames_of_images(content: dict[str, Any], where: str) -> dict[Any, int]:
    images = content.get("images")
    if not isinstance(images, list):
        raise FileError("there is no list images in it", where=where, remedy=MORE)
    numbers: dict[Any, int] = {}
    for i, image in enumerate(images):
        if not isinstance(image, dict) or "id" not in image:
            raise FileError(f"image {i} has no id", where=where, remedy=MORE)
        found = re.findall(r"\d+", Path(str(image.get("file_name", ""))).stem)
        if not found:
            raise FileError(
                f"the file_name of image {i} holds no frame number", where=where, remedy=MORE
            )
        numbers[image["id"]] = int(found[-1])
    if len(set(numbers.values())) < len(numbers):
        raise FileError("two images have the same frame number", where=where, remedy=MORE)
    return numbers


def _names(content: dict[str, Any], where: str) -> list[str] | None:
    categories = content.get("categories")
    if not isinstance(categories, list):
        return None
    for category in categories:
        if isinstance(category, dict) and isinstance(category.get("keypoints"), list):
            return [str(n) for n in category["keypoints"]]
    return None
