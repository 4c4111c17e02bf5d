"""The board in images and videos: corners to a fraction of a pixel, as keypoints."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.compiled_corners import refine_corners
from calibration.detect_cache import Found, cache_key, load_found, save_found
from calibration.mistakes import find_mistake, flipped_back, mirrored_cameras, refuse_mirrored
from calibration.times import Times, read_times
from lab.checks import FloatArray
from lab.errors import FileError, LabError
from lab.points import Keypoints2D

Progress = Callable[[int, int, str], None]

_WORKERS = max(2, os.cpu_count() or 2)
_FEWEST_CORNERS = 4
# A corner further than this (in squares) from where its neighbours put it is a wrong one; lens
# distortion bends a board by far less within its own area.
_OFF_BOARD_SQUARES = 0.12
# The window of the adaptive threshold: at least so many px, and this part of the image's width.
_WINDOW_PX, _WINDOW_PART = 13, 0.01
_USUAL_CORRECTION = 0.6  # OpenCV's own part of the bits that could be corrected
# With fewer views than this the video may be a mirrored one.
_FEWEST_VIEWS = 3
# What remains of a corner's error where the image noise alone would promise less: print,
# flatness, interpolation of the sensor's colour filter (measured: 0.1 to 0.2 px on webcams).
_FLOOR_PX = 0.1
_ALTERNATIVE_FRAMES = 12
# The window around a corner, tapering, against the gap between it and the markers, which it may
# touch: 1.1 had the least error on rendered boards, sharp, blurred and oblique (1.4: twice that).
_REACH_OF_GAP, _LARGEST_REACH = 1.12, 0.3
_LEAST_WINDOW_PX = 3.5
_MOST_MOVED_SQUARES = 0.15
_NOT_REFINED_PX = 0.5
_QUIETEST = 0.5  # grey levels: rounding alone makes 0.3
# Variance of what a gradient's error does, per squared grey level; neighbouring gradients share
# pixels. Measured on rendered boards with 12 and 25 grey levels of noise.
_GRADIENT_NOISE = 0.5


def detect_board(image: NDArray[np.uint8], board: Board) -> tuple[NDArray[np.int64], FloatArray]:
    """Find the inner corners of the board in one image.

    Args:
        image: (H, W) or (H, W, 3) uint8, blue green red where coloured.
        board: What was printed.

    Returns:
        Corner ids (n,) and pixels (n, 2); both empty where fewer than 4 corners were found.
    """
    ids, xy, _ = _Detector(board).find(image)
    return ids, xy


def detect_video(
    path: Path | str,
    board: Board,
    *,
    camera: str,
    times: Times | Path | str | None = None,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> Keypoints2D:
    """Find the board in every frame of a video.

    Args:
        path: The video.
        board: What was printed.
        camera: The camera's name, as the times file has it.
        times: The times file or its content: frames it does not list are not used. Without it the
            times are the video's own.
        progress: Called as (frames done, frames in all, what).
        cache: A folder where corners found are kept and looked up; None to find them anew.

    Returns:
        Keypoints c000, c001, ... (the corner ids) at every frame used, NaN where not seen, with
        the covariance of each corner as its image suggests it.

    Raises:
        FileError: When the video is missing, damaged, truncated, or no video.
        LabError: When the times do not fit the video, or no frame shows the board.
    """
    path = Path(path)
    wanted = _wanted_frames(times, camera, path)
    names = board.corner_names
    key = "" if cache is None or not path.is_file() else cache_key(path, board, wanted)
    kept = load_found(cache, key, len(names)) if cache is not None and key else None
    if kept is None:
        kept = _find_all(path, board, camera, wanted, progress)
        if cache is not None and key:
            save_found(cache, key, kept)
    elif progress:
        progress(len(kept.t), len(kept.t), camera)
    # The frames asked for are part of the key; their times are the times file's own.
    t = kept.t if wanted is None else np.array([wanted[i] for i in sorted(wanted)])
    xy_px, cov_px = kept.xy_px, kept.cov_px
    if (np.diff(t) <= 0).any():
        raise FileError(
            "the times of its frames do not rise", where=str(path), remedy="Give a times file."
        )
    score = np.full(xy_px.shape[:2], np.nan)
    return Keypoints2D(camera, names, t, xy_px, cov_px, score)


def _find_all(
    path: Path,
    board: Board,
    camera: str,
    wanted: Mapping[int, float] | None,
    progress: Progress | None,
) -> Found:
    """Find the board in the frames of a video, all cores at work."""
    t, found = _find_each(path, board, camera, wanted, progress, None if board.two_sided else False)
    if not board.two_sided and sum(len(ids) > 0 for ids, _, _ in found) < _FEWEST_VIEWS:
        # Hardly seen as it should be: as its mirror image, then?
        _, behind = _find_each(path, board, camera, wanted, progress, True)
        pairs = zip(found, behind, strict=True)
        found = [own if len(own[0]) else other for own, other in pairs]
    if not any(len(ids) for ids, _, _ in found):
        raise _nothing_found(path, board, camera, wanted)
    count = len(board.corner_names)
    xy_px = np.full((len(t), count, 2), np.nan)
    cov_px = np.full((len(t), count, 2, 2), np.nan)
    for frame, (ids, xy, cov) in enumerate(found):
        xy_px[frame, ids] = xy
        cov_px[frame, ids] = cov
    return Found(np.array(t), xy_px, cov_px)


def _find_each(
    path: Path,
    board: Board,
    camera: str,
    wanted: Mapping[int, float] | None,
    progress: Progress | None,
    mirrored: bool | None,
) -> tuple[list[float], list[tuple[NDArray[np.int64], FloatArray, FloatArray]]]:
    """Return the times of the frames and what each shows; `mirrored` as in `_Detector.find`."""
    detector = _Detector(board)
    t: list[float] = []
    found: list[tuple[NDArray[np.int64], FloatArray, FloatArray]] = []
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(_WORKERS) as pool:
        for time, total, gray in _frames(path, wanted):
            t.append(time)
            waiting.append(pool.submit(detector.find, gray, mirrored))
            while len(waiting) > 2 * _WORKERS:
                found.append(waiting.popleft().result())
                if progress:
                    progress(len(found), total, camera)
        found.extend(future.result() for future in waiting)
    if progress:
        progress(len(found), len(found), camera)
    return t, found


def detect_videos(
    paths: Mapping[str, Path | str],
    board: Board,
    *,
    times: Times | Path | str | None = None,
    progress: Progress | None = None,
    cache: Path | None = None,
    mirrored: str = "refuse",
) -> dict[str, Keypoints2D]:
    """Find the board in the videos of several cameras.

    Here it is decided what becomes of mirrored videos, for every recording but the floor's.

    Args:
        paths: The video of each camera, by the camera's name (`cameras_of` makes it of files).
        board: What was printed.
        times: As in `detect_video`.
        progress: Called as (frames done, frames in all of this video, camera).
        cache: As in `detect_video`.
        mirrored: What to do with a video that shows the board as its mirror image: "refuse" it, or
            "flip" its corners back to where the sensor saw them.

    Returns:
        The corners by camera. A camera that never saw the board is an error: see `detect_video`.

    Raises:
        LabError: As `detect_video`; for mirrored videos, naming every one of them.
    """
    if mirrored not in ("refuse", "flip"):
        raise ValueError(f'mirrored must be "refuse" or "flip", got {mirrored!r}')
    if isinstance(times, (str, Path)):
        times = read_times(times)
    seen = {
        camera: detect_video(
            path, board, camera=camera, times=times, progress=progress, cache=cache
        )
        for camera, path in paths.items()
    }
    if mirrored == "refuse":
        refuse_mirrored(seen, board, "videos of the board")
        return seen
    wrong = mirrored_cameras(seen, board)
    return seen | {name: flipped_back(seen[name], video_size(paths[name])[0]) for name in wrong}


def cameras_of(paths: list[Path]) -> dict[str, Path]:
    """Name each camera by the stem of its video file; LabError when two are the same."""
    named: dict[str, Path] = {}
    for path in map(Path, paths):
        if path.stem in named:
            raise LabError(
                f"two videos are called {path.stem}",
                where=str(path),
                remedy="A camera is named after its video file: give each its own name.",
            )
        named[path.stem] = path
    return named


def video_size(path: Path | str) -> tuple[int, int]:
    """Return (width, height) px of a video; FileError when it cannot be opened."""
    with _open(Path(path)) as container:
        stream = container.streams.video[0]
        return int(stream.width), int(stream.height)


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


class _Detector:
    """OpenCV's detector with our board; one per thread is not needed, OpenCV's is stateless."""

    def __init__(self, board: Board) -> None:
        self.board = board
        # In the pattern's own order, before any mirroring.
        front = replace(board, mirrored=False, two_sided=False)
        self.plane = np.ascontiguousarray(front.corners_m()[:, :2] / board.square_m)
        self.pattern = own_markers(board)
        self.detectors: dict[int, Any] = {}

    def find(
        self, image: NDArray[np.uint8], mirrored: bool | None = None
    ) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
        """Find corner ids (n,), pixels (n, 2) and covariances (n, 2, 2).

        Args:
            image: Grey, or blue green red.
            mirrored: Look for the board as it should be seen (False) or for its mirror image (True)
                alone; None tries the one and then the other.
        """
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
        if self.board.inverted:
            gray = 255 - gray
        gray = np.ascontiguousarray(gray, np.uint8)
        # A print seen from behind, on glass, thin paper or a two-sided board, is its mirror image.
        ways = (False, True) if mirrored is None else (mirrored,)
        for flipped in (way != self.board.mirrored for way in ways):
            seen = np.ascontiguousarray(gray[:, ::-1]) if flipped else gray
            found = self._find_upright(seen)
            if found is not None:
                break
        else:
            return _NOTHING
        ids, xy = found
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
        cov = level[:, None, None] * spread + _FLOOR_PX**2 * np.eye(2)
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


_NOTHING = (np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros((0, 2, 2)))


def _wanted_frames(
    times: Times | Path | str | None, camera: str, path: Path
) -> Mapping[int, float] | None:
    if times is None:
        return None
    listed = read_times(times) if isinstance(times, (str, Path)) else times
    if camera not in listed:
        raise LabError(
            f"the times file has no camera {camera!r}, it has {', '.join(sorted(listed))}",
            where=str(path),
            remedy="A camera is named after its video file.",
        )
    if not listed[camera]:
        raise LabError("the times list no frame of this camera", where=str(path))
    return listed[camera]


def _open(path: Path) -> Any:
    if not path.is_file():
        raise FileError("there is no such video", where=str(path), remedy="Check the path.")
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise FileError(
            "not a video, or its end is missing", where=str(path), remedy="Copy or record it again."
        ) from error
    if not container.streams.video:
        container.close()
        raise FileError("there is no picture in it", where=str(path))
    return container


def _frames(
    path: Path, wanted: Mapping[int, float] | None
) -> Iterator[tuple[float, int, NDArray[np.uint8]]]:
    """Yield time, number of frames to expect, and grey image of each wanted frame."""
    with _open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        expected = int(stream.frames)
        last = max(wanted) if wanted is not None else None
        total = len(wanted) if wanted is not None else expected
        index = -1
        try:
            for index, frame in enumerate(container.decode(stream)):
                if last is not None and index > last:
                    break
                if wanted is not None and index not in wanted:
                    continue
                if wanted is None and frame.pts is None:
                    raise FileError(
                        "its frames have no time", where=str(path), remedy="Give a times file."
                    )
                time = float(frame.time) if wanted is None else wanted[index]
                yield time, total, frame.to_ndarray(format="gray")
        except av.error.FFmpegError as error:
            raise FileError(
                f"damaged after frame {index}", where=str(path), remedy="Record it again."
            ) from error
    if index + 1 < expected and (last is None or index < last):
        raise FileError(
            f"truncated: {index + 1} of {expected} frames can be read",
            where=str(path),
            remedy="Copy or record it again.",
        )
    if last is not None and index < last:
        raise LabError(
            f"the times list frame {last}, the video ends at frame {index}",
            where=str(path),
            remedy="Give the times file of this recording.",
        )


def _nothing_found(
    path: Path, board: Board, camera: str, wanted: Mapping[int, float] | None
) -> LabError:
    """Say why no frame shows the board, after trying what is most often wrong."""
    images = [gray for _, _, gray in _frames(path, wanted)]
    images = images[:: max(1, len(images) // _ALTERNATIVE_FRAMES)]
    change = find_mistake(images, board, lambda other, image: len(_Detector(other).find(image)[0]))
    if change:
        return LabError(
            f"no frame shows {board.words()}, but with {change} it is found",
            where=f"{path} ({camera})",
            remedy="Correct the board file.",
        )
    return LabError(
        f"no frame shows {board.words()}",
        where=f"{path} ({camera})",
        remedy="Is it the right board file (squares, dictionary), and is the board in view, "
        "sharp and lit?",
    )
