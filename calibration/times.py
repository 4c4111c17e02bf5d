"""When each frame of a recording was taken: the times file `camera,frame,t`."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from lab.errors import FileError, LabError

Times = Mapping[str, Mapping[int, float]]


def read_times(path: Path | str) -> dict[str, dict[int, float]]:
    """Read a times file: for each camera the times (s) of the frames to use, by frame number.

    Args:
        path: CSV with the columns camera, frame (index in the video, from 0) and t (s).

    Raises:
        FileError: When the file is missing, empty, lacks a column, or a row cannot be read.
        LabError: When a frame stands twice, or the times of a camera do not rise.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"camera", "frame", "t"} - set(reader.fieldnames or ())
            if missing:
                raise FileError(
                    f"the column {', '.join(sorted(missing))} is missing",
                    where=str(path),
                    remedy="A times file has the columns camera, frame, t.",
                )
            rows = list(reader)
    except OSError as error:
        raise FileError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="Check the path."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"not a CSV file ({error})", where=str(path)) from error
    times: dict[str, dict[int, float]] = {}
    for line, row in enumerate(rows, start=2):
        where = f"{path}, line {line}"
        try:
            camera, frame, t = row["camera"].strip(), int(row["frame"]), float(row["t"])
        except (AttributeError, TypeError, ValueError) as error:
            raise FileError("frame is no whole number or t is no number", where=where) from error
        if not camera or frame < 0 or not math.isfinite(t):
            raise FileError("an empty camera, a negative frame or a t not finite", where=where)
        if frame in times.setdefault(camera, {}):
            raise LabError(f"frame {frame} of {camera} stands twice", where=where)
        times[camera][frame] = t
    if not times:
        raise FileError("there is no frame in it", where=str(path))
    for camera, by_frame in times.items():
        ordered = [by_frame[frame] for frame in sorted(by_frame)]
        if any(b <= a for a, b in pairwise(ordered)):
            raise LabError(
                f"the times of {camera} do not rise from frame to frame", where=str(path)
            )
    return times
