"""The board lying on the floor, by the cameras that can read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from calibration.board import Board
from calibration.detect import cameras_of, detect_video
from calibration.mistakes import refuse_mirrored
from lab.errors import FileError, LabError
from lab.points import Keypoints2D


def find_floor(
    videos: list[Path],
    board: Board,
    progress: Callable[[int, int, str], None] | None = None,
    cache: Path | None = None,
) -> dict[str, Keypoints2D]:
    """Find the board on the floor; a camera too far or too flat to read it is left out.

    Raises:
        FileError: When a video cannot be read.
        LabError: When no camera reads the board.
    """
    seen: dict[str, Keypoints2D] = {}
    last = LabError("no video of the floor was given")
    for camera, path in cameras_of(videos).items():
        try:
            seen[camera] = detect_video(path, board, camera=camera, progress=progress, cache=cache)
        except FileError:
            raise
        except LabError as fault:
            last = fault
    if not seen:
        raise last
    refuse_mirrored(seen, board, "floor videos")
    return seen
