"""Why no frame shows the board: the mistakes that are made most often, each tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from lab.errors import LabError
from lab.points import Keypoints2D

Image = NDArray[np.uint8]
# Families whose smaller sets are the beginning of the largest: one of each is enough to try.
_DICTIONARIES = (
    "DICT_4X4_1000",
    "DICT_5X5_1000",
    "DICT_6X6_1000",
    "DICT_7X7_1000",
    "DICT_ARUCO_ORIGINAL",
    "DICT_APRILTAG_16H5",
    "DICT_APRILTAG_25H9",
    "DICT_APRILTAG_36H10",
    "DICT_APRILTAG_36H11",
    "DICT_ARUCO_MIP_36H12",
)
_FEWEST_VIEWS = 3
# Part of all corners by which a match is beyond doubt, so that no further mistake is tried.
_CLEAR = 0.5


def find_mistake(
    images: Sequence[Image], board: Board, count: Callable[[Board, Image], int]
) -> str:
    """Return what in the board file has to be changed for the board to be found; empty if nothing.

    Args:
        images: Grey images (H, W) that should show the board.
        board: As the board file has it.
        count: Says how many corners of a board an image shows.
    """
    best, words = 0, ""
    for change, other in _alternatives(board):
        corners = sum(count(other, image) for image in images)
        if corners > best:
            best, words = corners, change
        if best >= _CLEAR * other.corners_per_side * len(images):
            break
    return words


def mirrored_cameras(seen: Mapping[str, Keypoints2D], board: Board) -> tuple[str, ...]:
    """Return the cameras that saw the board as its mirror image; none for a two-sided board."""
    if board.two_sided:
        return ()
    return tuple(name for name, own in seen.items() if _mirrored_share(own, board) > 0.5)


def flipped_back(keypoints: Keypoints2D, width_px: int) -> Keypoints2D:
    """Return what would have been seen in the same video, flipped from left to right."""
    xy, cov = keypoints.xy_px.copy(), keypoints.cov_px.copy()
    xy[..., 0] = width_px - 1 - xy[..., 0]
    cov[..., 0, 1] *= -1
    cov[..., 1, 0] *= -1
    return replace(keypoints, xy_px=xy, cov_px=cov)


def refuse_mirrored(seen: Mapping[str, Keypoints2D], board: Board, where: str) -> None:
    """Refuse cameras that saw the board as its mirror image.

    A mirrored video is calibrated without a sign of it in the residuals: the camera then stands
    behind the board and its principal point on the wrong side.

    Raises:
        LabError: Naming every such camera; not for a two-sided board.
    """
    wrong = mirrored_cameras(seen, board)
    if wrong:
        raise LabError(
            f"{', '.join(wrong)}: the board is seen as its mirror image, so the video is mirrored",
            where=where,
            remedy="Switch off mirroring in the camera's program and record again, or flip the "
            "video back. For a print that is meant to be seen from behind set two_sided = true, "
            "for one that was printed mirrored set mirrored = true, in the board file.",
        )


def _mirrored_share(keypoints: Keypoints2D, board: Board) -> float:
    """Return the share of the views in which the corners run the wrong way round."""
    plane = board.corners_m()[:, :2]
    turns = []
    for xy in keypoints.xy_px:
        seen = np.isfinite(xy).all(-1)
        if seen.sum() < 4 or np.linalg.matrix_rank(plane[seen] - plane[seen].mean(0), 1e-9) < 2:
            continue
        moved = plane[seen] - plane[seen].mean(0)
        affine = np.linalg.lstsq(moved, xy[seen] - xy[seen].mean(0), rcond=None)[0]
        turns.append(np.linalg.det(affine) < 0)
    return float(np.mean(turns)) if len(turns) >= _FEWEST_VIEWS else 0.0


def _alternatives(board: Board) -> Iterator[tuple[str, Board]]:
    """Yield what might be wrong and the board as it would be: one mistake, then two of them."""
    inverted = f"inverted = {str(not board.inverted).lower()}"
    legacy = f"legacy = {str(not board.legacy).lower()}"
    swapped = f"columns = {board.rows}, rows = {board.columns}"
    turned = replace(board, columns=board.rows, rows=board.columns)
    yield swapped, turned
    yield legacy, replace(board, legacy=not board.legacy)
    yield inverted, replace(board, inverted=not board.inverted)
    yield f"{swapped}, {legacy}", replace(turned, legacy=not board.legacy)
    yield f"{swapped}, {inverted}", replace(turned, inverted=not board.inverted)
    yield (
        f"{legacy}, {inverted}",
        replace(board, legacy=not board.legacy, inverted=not board.inverted),
    )
    own = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
    for name in _DICTIONARIES:
        number = getattr(cv2.aruco, name, None)
        if number is None or name.rsplit("_", 1)[0] == board.dictionary.rsplit("_", 1)[0]:
            continue
        other = cv2.aruco.getPredefinedDictionary(number)
        if len(other.bytesList) < board.columns * board.rows // 2 or other is own:
            continue
        changed = replace(board, dictionary=name)
        yield f'dictionary = "{name}"', changed
        yield (
            f'dictionary = "{name}", {inverted}',
            replace(changed, inverted=not board.inverted),
        )
        yield f'dictionary = "{name}", {legacy}', replace(changed, legacy=not board.legacy)
