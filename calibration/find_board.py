"""The board in one image: corners to a fraction of a pixel, each with its covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.compiled_corners import refine_corners
from lab.checks import FloatArray

_FEWEST_CORNERS = 4
# A corner further than this (in squares) from where its neighbours put it is a wrong one; lens
# distortion bends a board by far less within its own area.
_OFF_BOARD_SQUARES = 0.12
# The window of the adaptive threshold: at least so many px, and this part of the image's width.
_WINDOW_PX, _WINDOW_PART = 13, 0.01
_USUAL_CORRECTION = 0.6  # OpenCV's own part of the bits that could be corrected
# What remains of a corner's error where the image noise alone would promise less: print,
# flatness, interpolation of the sensor's colour filter (measured: 0.1 to 0.2 px on webcams).
FLOOR_PX = 0.1
# The window around a corner, tapering, against the gap between it and the markers, which it may
# touch: 1.1 had the least error on rendered boards, sharp, blurred and oblique (1.4: twice that).
_REACH_OF_GAP, _LARGEST_REACH = 1.12, 0.3
_LEAST_WINDOW_PX = 3.5
_MOST_MOVED_SQUARES = 0.15
_NOT_REFINED_PX = 0.5
# Images at least so wide are looked through at half their size first, and so on.
_WIDE_PX = 1200
_QUIETEST = 0.5  # grey levels: rounding alone makes 0.3
# Variance of what a gradient's error does, per squared grey level; neighbouring gradients share
# pixels. Measured on rendered boards with 12 and 25 grey levels of noise.
_GRADIENT_NOISE = 0.5

Seen = tuple[NDArray[np.int64], FloatArray, FloatArray]
_NOTHING: Seen = (np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros((0, 2, 2)))


def smaller(image: NDArray[np.uint8]) -> int:
    """Return by what an image's size is divided to be looked through first."""
    size = 1
    while image.shape[1] >= _WIDE_PX * size:
        size *= 2
    return size


def detect_board(image: NDArray[np.uint8], board: Board) -> tuple[NDArray[np.int64], FloatArray]:
    """Find the inner corners of the board in one image.

    Args:
        image: (H, W) or (H, W, 3) uint8, blue green red where coloured.
        board: What was printed.

    Returns:
        Corner ids (n,) and pixels (n, 2); both empty where fewer than 4 corners were found.
    """
    ids, xy, _ = BoardFinder(board).find(image)
    return ids, xy


def own_markers(board: Board) -> tuple[Any, int]:
    """Return OpenCV's board with a dictionary of its own markers alone, and the bits to correct.

    Of a large dictionary every smudge reads as some marker: with 1000 markers of 4 x 4 bits one
    square in 17 does. The board's own few are further apart, so that a bit read wrongly can be
    corrected, and are looked up many times faster.
    """
    given = board.pattern()
    every = given.getDictionary()
    count = len(given.getIds())
    size = every.markerSize
    bits = [
        cv2.aruco.Dictionary.getBitsFromByteList(every.bytesList[i : i + 1], size)
        for i in range(count)
    ]
    turned = np.array([[np.rot90(b, k).ravel() for k in range(4)] for b in bits], np.int16)
    flat = turned.reshape(-1, size * size)
    apart = (flat[:, None] != turned[None, :, 0].reshape(1, count, -1)).sum(-1)
    apart[np.arange(count) * 4, np.arange(count)] = size * size
    spare = (int(apart.min()) - 1) // 2
    usual = max(1, int(_USUAL_CORRECTION * every.maxCorrectionBits))
    correct = max(0, min(spare, usual))
    own = cv2.aruco.Dictionary(every.bytesList[:count].copy(), size, correct)
    pattern = cv2.aruco.CharucoBoard(
        given.getChessboardSize(), given.getSquareLength(), given.getMarkerLength(), own
    )
    pattern.setLegacyPattern(board.legacy)
    return pattern, correct


def charuco_detector(pattern: tuple[Any, int], window_px: int) -> Any:
    """Return OpenCV's detector of a pattern of `own_markers`, thresholding with one window."""
    parameters = cv2.aruco.DetectorParameters()
    parameters.adaptiveThreshWinSizeMin = parameters.adaptiveThreshWinSizeMax = window_px
    # OpenCV takes this part of what the dictionary says can be corrected; ours says what is right.
    parameters.errorCorrectionRate = 1.0
    return cv2.aruco.CharucoDetector(pattern[0], cv2.aruco.CharucoParameters(), parameters)


class BoardFinder:
    """Finds one board's corners in images; threads may share it, OpenCV's detector has no state."""

    def __init__(self, board: Board) -> None:
        self.board = board
        # In the pattern's own order, before any mirroring.
        front = replace(board, mirrored=False, two_sided=False)
        self.plane = np.ascontiguousarray(front.corners_m()[:, :2] / board.square_m)
        self.pattern = own_markers(board)
        self.detectors: dict[int, Any] = {}

    def find(self, image: NDArray[np.uint8], mirrored: bool | None = None) -> Seen:
        """Find corner ids (n,), pixels (n, 2) and covariances (n, 2, 2).

        Args:
            image: Grey, or blue green red.
            mirrored: Look for the board as it should be seen (False) or for its mirror image (True)
                alone; None tries the one and then the other.
        """
        return self.find_each([image], mirrored)[0]

    def find_each(
        self, images: Sequence[NDArray[np.uint8]], mirrored: bool | None = None
    ) -> list[Seen]:
        """Find the corners in images that follow each other closely, as `find` does in one.

        Wide images are looked through at a smaller size, and at their full size where that shows
        some corners but not all. Of those that show none the middle one is looked through at its
        full size, and where it shows the board then, being small in the image, the others are too.
        """
        grays = [
            np.ascontiguousarray(
                cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image, np.uint8
            )
            for image in images
        ]
        found = [self._find_at(gray, mirrored, smaller(gray)) for gray in grays]
        wide = [i for i, gray in enumerate(grays) if smaller(gray) > 1]
        none = [i for i in wide if len(found[i][0]) == 0]
        middle = none[len(none) // 2 : len(none) // 2 + 1]
        some = [i for i in wide if 0 < len(found[i][0]) < len(self.plane)]
        for i in (*some, *middle):
            closer = self._find_at(grays[i], mirrored, 1)
            if len(closer[0]) > len(found[i][0]):
                found[i] = closer
        if any(len(found[i][0]) for i in middle):
            for i in none:
                if i not in middle:
                    found[i] = self._find_at(grays[i], mirrored, 1)
        return found

    def _find_at(self, gray: NDArray[np.uint8], mirrored: bool | None, size: int) -> Seen:
        """Do what `find` does in a grey image, looked through at 1 / `size` of its size."""
        # A print seen from behind, on glass, thin paper or a two-sided board, is its mirror image.
        ways = (False, True) if mirrored is None else (mirrored,)
        for flipped in (way != self.board.mirrored for way in ways):
            seen = gray
            if size > 1:
                seen = cv2.resize(
                    gray, None, fx=1 / size, fy=1 / size, interpolation=cv2.INTER_AREA
                )
            if self.board.inverted:
                seen = 255 - seen
            if flipped:
                seen = seen[:, ::-1]
            found = self._find_upright(np.ascontiguousarray(seen, np.uint8))
            if found is not None:
                break
        else:
            return _NOTHING
        ids, xy = found[0], size * (found[1] + 0.5) - 0.5
        if flipped:
            xy[:, 0] = gray.shape[1] - 1 - xy[:, 0]
        xy, cov = self._refined(gray, ids, xy)
        if flipped != self.board.mirrored and len(self.board.corner_names) > len(self.plane):
            ids = ids + len(self.plane)
        return ids, xy, cov

    def _detector(self, width_px: int) -> Any:
        window = max(_WINDOW_PX, round(width_px * _WINDOW_PART)) | 1
        if window not in self.detectors:
            self.detectors[window] = charuco_detector(self.pattern, window)
        return self.detectors[window]

    def _find_upright(self, gray: NDArray[np.uint8]) -> tuple[NDArray[np.int64], FloatArray] | None:
        corners, ids, _, _ = self._detector(gray.shape[1]).detectBoard(gray)
        if ids is None or len(ids) < _FEWEST_CORNERS:
            return None
        # OpenCV 4 returns (N, 1, 2) and (N, 1), OpenCV 5 (N, 2) and (N,).
        xy = np.array(corners, float).reshape(-1, 2)
        ids = np.asarray(ids, np.int64).ravel()
        keep = np.flatnonzero(self._fits_the_board(ids, xy))
        if len(keep) < _FEWEST_CORNERS:
            return None
        keep = keep[np.argsort(ids[keep])]
        return ids[keep], xy[keep]

    def _fits_the_board(self, ids: NDArray[np.int64], xy: FloatArray) -> NDArray[np.bool_]:
        """Say which corners (n,) lie where the others put them, in squares of the board."""
        plane = self.plane[ids]
        if np.linalg.matrix_rank(plane - plane.mean(0), tol=1e-6) < 2:
            return np.ones(len(ids), bool)
        # All of them first: with five or six corners a minimal set may lie badly, and right ones
        # would be lost. The plane's unit is the square, whatever the board's distance.
        for method in (0, cv2.RANSAC):
            homography, _ = cv2.findHomography(xy, plane, method, _OFF_BOARD_SQUARES)
            if homography is None:
                continue
            flat = np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ homography.T
            off = np.linalg.norm(flat[:, :2] / flat[:, 2:] - plane, axis=1)
            fits = off < _OFF_BOARD_SQUARES
            if fits.all() or method:
                return fits
        return np.zeros(len(ids), bool)

    def _refined(
        self, gray: NDArray[np.uint8], ids: NDArray[np.int64], xy: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the corners (n, 2) refined, and their covariances (n, 2, 2) px^2.

        A floor is added for what the image's noise does not explain.
        """
        gap = (1 - self.board.marker_m / self.board.square_m) / 2
        refined, spread, noise = np.empty_like(xy), np.empty((len(xy), 2, 2)), np.empty(len(xy))
        refine_corners(
            gray,
            np.ascontiguousarray(xy),
            self._plane_by_px(ids, xy),
            min(_REACH_OF_GAP * gap, _LARGEST_REACH),
            _LEAST_WINDOW_PX,
            _MOST_MOVED_SQUARES,
            refined,
            spread,
            noise,
        )
        level = _GRADIENT_NOISE * np.maximum(noise, _QUIETEST) ** 2
        cov = level[:, None, None] * spread + FLOOR_PX**2 * np.eye(2)
        cov[spread[:, 0, 0] == 0] = _NOT_REFINED_PX**2 * np.eye(2)
        return refined, cov

    def _plane_by_px(self, ids: NDArray[np.int64], xy: FloatArray) -> FloatArray:
        """Return the derivative (n, 2, 2) of the board's plane, in squares, by the image's px."""
        plane = self.plane[ids]
        homography = None
        if np.linalg.matrix_rank(plane - plane.mean(0), tol=1e-6) == 2:
            homography, _ = cv2.findHomography(xy, plane, 0)
        if homography is None:  # all in a line: their distances alone are known
            steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
            squares = np.linalg.norm(np.diff(plane, axis=0), axis=1)
            scale = float(np.median(squares / np.maximum(steps, 1e-9)))
            return np.broadcast_to(scale * np.eye(2), (len(xy), 2, 2)).copy()
        flat = np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ homography.T
        w = flat[:, 2:, None]
        at = flat[:, :2] / flat[:, 2:]
        by_px = (homography[None, :2, :2] - at[:, :, None] * homography[None, 2:, :2]) / w
        return np.ascontiguousarray(by_px)
