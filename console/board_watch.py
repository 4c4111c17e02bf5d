"""The board as the cameras see it while it is carried: found or why not, and what is still missing.

A thread takes full frames of each camera in turn, a few a second, and finds the board in them. It
keeps which part of each image the board has been in, how near and how far it was, and which cameras
have seen it together.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.find_board import detect_board
from capture.live import LiveView, Picture

GRID = (8, 5)  # columns and rows of the picture of what is covered
ENOUGH_COVERED = 0.4  # as the calibration asks for, configs/calibration.toml
ENOUGH_DEPTH = 1.6  # largest over smallest size of the board in the image
ENOUGH_TOGETHER = 8
_RATE_HZ = 3.0
_TOGETHER_S = 0.25
_DARK, _BRIGHT, _SOFT = 35.0, 225.0, 12.0
_PAUSE_S = 0.03
_MOST = 0.75


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What one camera made of the board.

    Attributes:
        corners: (n, 2) of the newest frame, as parts of its width and height; empty: not found.
        picture: The frame in which they were found or not.
        words: Found, or why not.
        covered: (rows, columns) bool, where in the image it has been.
        depth: Largest over smallest size so far; 1 before two sightings.
        together: With how many sightings of each other camera.
        enough: Whether nothing more is needed of this camera.
        advice: What to do next for this camera; empty where enough.
    """

    corners: NDArray[np.float64]
    picture: Picture | None
    words: str
    covered: NDArray[np.bool_]
    depth: float
    together: Mapping[str, int]
    enough: bool
    advice: str


@dataclass(slots=True)
class _Camera:
    corners: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    picture: Picture | None = None
    words: str = ""
    covered: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(GRID[::-1], bool))
    sizes: list[float] = field(default_factory=list)
    last_index: int = -1
    found_s: float = -1e9


class BoardWatch:
    """See the module. `keep` says whether sightings count: only while the board is recorded."""

    def __init__(self, live: LiveView, board: Board, cameras: list[str]) -> None:
        self.board, self.keep = board, False
        self._live, self._names = live, list(cameras)
        self._cameras = {name: _Camera() for name in cameras}
        self._together: dict[tuple[str, str], int] = {}
        self._last_together: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        live.look_at(dict.fromkeys(cameras, _RATE_HZ))
        self._thread = threading.Thread(target=self._run, name="board watch", daemon=True)
        self._thread.start()

    def begin_anew(self) -> None:
        """Forget what was covered."""
        with self._lock:
            self._cameras = {name: _Camera() for name in self._names}
            self._together, self._last_together = {}, {}

    def look(self) -> dict[str, Seen]:
        """Return how it stands, by camera."""
        with self._lock:
            return {name: self._seen(name, camera) for name, camera in self._cameras.items()}

    def close(self) -> None:
        """Let the thread end, without waiting for it; full frames are no longer fetched."""
        self._ending.set()
        self._live.look_at({})

    def _seen(self, name: str, camera: _Camera) -> Seen:
        together = {
            other: self._together.get((min(name, other), max(name, other)), 0)
            for other in self._names
            if other != name
        }
        depth = max(camera.sizes) / min(camera.sizes) if len(camera.sizes) > 1 else 1.0
        covered = float(camera.covered.mean())
        advice = ""
        if covered < ENOUGH_COVERED:
            advice = f"carry the board through more of what {name} sees"
        elif depth < ENOUGH_DEPTH:
            advice = f"bring the board nearer to {name}, and farther from it"
        elif together and max(together.values()) < ENOUGH_TOGETHER:
            advice = f"hold the board where {name} and another camera see it together"
        return Seen(
            camera.corners,
            camera.picture,
            camera.words,
            camera.covered.copy(),
            depth,
            together,
            not advice,
            advice,
        )

    def _run(self) -> None:
        # The first search on a computer takes seconds, and must not be the board's.
        detect_board(np.zeros((64, 64), np.uint8), self.board)
        while not self._ending.is_set():
            new = False
            for name, picture in self._live.newest_full().items():
                camera = self._cameras.get(name)
                if camera is None or picture.index == camera.last_index:
                    continue
                new = True
                self._take(name, picture)
                if self._ending.is_set():
                    return
            if not new:
                self._ending.wait(_PAUSE_S)

    def _take(self, name: str, picture: Picture) -> None:
        height, width = picture.image.shape[:2]
        _, xy = detect_board(picture.image, self.board)
        words = "found" if len(xy) else why_not(picture.image, self.board)
        with self._lock:
            camera = self._cameras[name]
            camera.last_index, camera.words, camera.picture = picture.index, words, picture
            camera.corners = xy / (width, height) if len(xy) else np.zeros((0, 2))
            if not len(xy):
                return
            camera.found_s = picture.received_s
            if not self.keep:
                return
            cells = np.clip((camera.corners * GRID).astype(int), 0, np.array(GRID) - 1)
            camera.covered[cells[:, 1], cells[:, 0]] = True
            # A few corners at the image's edge tell the board's size badly.
            if len(xy) >= _MOST * len(self.board.corner_names):
                camera.sizes.append(_size(xy, len(self.board.corner_names)))
            del camera.sizes[:-2000]
            self._note_together(name, picture.received_s)

    def _note_together(self, name: str, at_s: float) -> None:
        for other, camera in self._cameras.items():
            pair = (min(name, other), max(name, other))
            near = other != name and at_s - camera.found_s < _TOGETHER_S
            if near and at_s - self._last_together.get(pair, -1e9) >= 0.5 / _RATE_HZ:
                self._together[pair] = self._together.get(pair, 0) + 1
                self._last_together[pair] = at_s


def _size(xy: NDArray[np.float64], of: int) -> float:
    """Return the size of the board in the image, px: the root of its area, whole or part seen."""
    hull = cv2.convexHull(xy.astype(np.float32))
    area = float(cv2.contourArea(hull))
    return float(np.sqrt(max(area, 1.0) * of / len(xy)))


def why_not(image: NDArray[np.uint8], board: Board) -> str:
    """Say why the board was not found, as far as the image shows it."""
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
    level = float(gray.mean())
    if level < _DARK:
        return "too dark: more light, exposure or gain"
    if level > _BRIGHT:
        return "too bright: less exposure or gain"
    number = getattr(cv2.aruco, board.dictionary)
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(number))
    _, ids, rejected = detector.detectMarkers(255 - gray if board.inverted else gray)
    if ids is not None and len(ids):
        if int(np.max(ids)) >= board.columns * board.rows // 2:
            return "another board: its markers are not those of the board chosen"
        return "only a part of it is seen"
    sides = [cv2.arcLength(np.asarray(r, np.float32), True) / 4 for r in rejected]
    if len(sides) > 6 and float(np.median(sides)) < 12:
        return "too small: bring it nearer"
    if float(cv2.Laplacian(gray, cv2.CV_32F).std()) < _SOFT and len(sides) > 3:
        return "not sharp: focus the camera, or move the board slowly"
    return "not in view"


def sharpness(image: NDArray[np.uint8]) -> float:
    """Return how sharp the middle of an image is: larger is sharper; compare with itself only.

    The variance of the Laplacian (Pech-Pacheco et al., ICPR 2000) of the middle half.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
    height, width = gray.shape
    middle = gray[height // 4 : -height // 4, width // 4 : -width // 4]
    return float(cv2.Laplacian(middle, cv2.CV_32F).var())
