"""Tags worn on plates, found in the frames of one camera."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray
from lab.plates import PlateSet
from lab.points import Keypoints2D
from reconstruct.detect.tag_fit import TagFits, TagFitter

Image = NDArray[np.uint8]

_VERSION = 2
# A bit of a tag read wrong may be put right; two may be another tag.
_CORRECTED = 0.5
_LEAST_SIDE_PX = 9.0
_LEAST_CONTRAST = 15.0
# Root mean square residual over contrast beyond which something else than the tag is there: half of
# it hidden, or another tag's number read in the blur.
_WORST_RESIDUAL = 0.06
# Correlation of the bits' grey levels with a print, and how much less that with any other must be.
_SOFT_MATCH = 0.72
_SOFT_LEAD = 0.15
# A fit further than this part of the side from where the tag was found has run away.
_RUN_AWAY = 0.25


class TagPlates:
    """The detector of tags (`reconstruct.detect.detector.Detector`).

    Args:
        plates: What is worn. Tags of other numbers are not taken, nor is a number that stands
            twice in one image.
    """

    pixel_format = "gray"

    def __init__(self, plates: PlateSet) -> None:
        self._plates = plates
        self._names = plates.point_names
        self._columns = {tag.number: 4 * i for i, tag in enumerate(plates.tags)}
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, plates.dictionary))
        parameters = cv2.aruco.DetectorParameters()
        parameters.adaptiveThreshWinSizeMin = 7
        parameters.adaptiveThreshWinSizeMax = 23
        parameters.adaptiveThreshWinSizeStep = 16
        parameters.minMarkerPerimeterRate = 0.025
        parameters.maxMarkerPerimeterRate = 1.0
        parameters.polygonalApproxAccuracyRate = 0.06
        parameters.perspectiveRemovePixelPerCell = 6
        parameters.minOtsuStdDev = 3.0
        parameters.errorCorrectionRate = _CORRECTED
        self._finder = cv2.aruco.ArucoDetector(dictionary, parameters)
        size = plates.bits
        self._numbers = np.array([tag.number for tag in plates.tags])
        prints = [
            cv2.aruco.generateImageMarker(dictionary, int(n), size, borderBits=1)
            for n in self._numbers
        ]
        bits = (np.stack(prints) > 127).astype(np.uint8)
        self._fitter = TagFitter(bits)
        # Seen turned by a quarter, the print's first corner is the quadrilateral's second.
        every = np.concatenate([np.rot90(bits, -k, axes=(1, 2)) for k in range(4)])
        flat = every.reshape(len(every), -1) - every.mean((1, 2))[:, None]
        self._turned = flat / np.linalg.norm(flat, axis=1, keepdims=True)

    @property
    def names(self) -> tuple[str, ...]:
        """The K points: four a tag, tag000_0 to tag000_3."""
        return self._names

    @property
    def identity(self) -> str:
        """Kind, version and the hash of the plates' file."""
        digest = hashlib.sha256(self._plates.text.encode()).hexdigest()
        return f"tag-plates {_VERSION} {digest}"

    def detect(self, camera: str, frames: Iterable[tuple[float, Image]]) -> Keypoints2D:
        """Find the tags in frames as they come.

        Args:
            camera: The camera's name.
            frames: t in s on the lab clock, rising, and the image (H, W) or (H, W, 3) uint8.

        Returns:
            The points of `names`, NaN where not seen, with covariance; the score is 1 less the
            residual over the contrast.
        """
        times: list[float] = []
        rows: list[tuple[FloatArray, FloatArray, FloatArray]] = []
        for t, image in frames:
            times.append(t)
            rows.append(self._row(image))
        count = len(self._names)
        if not rows:
            return Keypoints2D(
                camera, self._names, np.zeros(0), np.zeros((0, count, 2)),
                np.zeros((0, count, 2, 2)), np.zeros((0, count)),
            )  # fmt: skip
        xy, cov, score = (np.stack(part) for part in zip(*rows, strict=True))
        return Keypoints2D(camera, self._names, np.array(times), xy, cov, score)

    def find(self, image: Image) -> tuple[NDArray[np.int64], TagFits | None]:
        """Return which tags are in an image, as columns of `PlateSet.tags`, and their fits."""
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        corners, ids, rejected = self._finder.detectMarkers(gray)
        numbers = np.zeros(0, int) if ids is None else np.asarray(ids).ravel()
        places = np.asarray(corners, float).reshape(len(numbers), 4, 2)
        more, at = self._read_softly(np.asarray(gray, np.uint8), rejected)
        fresh = ~np.isin(more, numbers)
        numbers, places = np.append(numbers, more[fresh]), np.concatenate([places, at[fresh]])
        if not len(numbers):
            return np.zeros(0, np.int64), None
        known = np.array([n in self._columns for n in numbers], bool)
        once = np.array([(numbers == n).sum() == 1 for n in numbers], bool)
        side = np.linalg.norm(np.roll(places, -1, axis=1) - places, axis=-1)
        keep = known & once & (side.min(1) >= _LEAST_SIDE_PX * 0.4)
        keep &= side.max(1) >= _LEAST_SIDE_PX
        if not keep.any():
            return np.zeros(0, np.int64), None
        columns = np.array([self._columns[int(n)] // 4 for n in numbers[keep]])
        fits = self._fitter.fit(np.asarray(gray, np.uint8), columns, places[keep])
        moved = np.linalg.norm(fits.corners_px - places[keep], axis=-1).max(1)
        good = (fits.contrast > _LEAST_CONTRAST) & (fits.residual < _WORST_RESIDUAL)
        good &= (moved < _RUN_AWAY * side[keep].max(1) + 1.0) & np.isfinite(moved)
        good &= np.isfinite(fits.cov_px).all((1, 2, 3))
        return columns[good], fits.select(good)

    def _read_softly(
        self, gray: Image, rejected: Sequence[Any]
    ) -> tuple[NDArray[np.int64], FloatArray]:
        """Read the numbers of quadrilaterals whose bits blur has run together.

        The grey levels at the middles of the bits are correlated with every print that is worn,
        in all four turns; one must fit well, and clearly better than any other.
        """
        quads = np.asarray(rejected, float).reshape(len(rejected), 4, 2)
        if not len(quads):
            return np.zeros(0, np.int64), quads
        levels = self._fitter.bit_levels(gray, quads)
        levels = levels - levels.mean(1, keepdims=True)
        levels /= np.maximum(np.linalg.norm(levels, axis=1, keepdims=True), 1e-9)
        match = levels @ self._turned.T
        best = match.argmax(1)
        tag, turn = best % len(self._numbers), best // len(self._numbers)
        score = match.max(1)
        np.put_along_axis(match, best[:, None], -1.0, axis=1)
        good = (score > _SOFT_MATCH) & (score - match.max(1) > _SOFT_LEAD)
        order = (np.arange(4) + turn[good][:, None]) % 4
        return self._numbers[tag[good]], np.take_along_axis(quads[good], order[..., None], axis=1)

    def _row(self, image: Image) -> tuple[FloatArray, FloatArray, FloatArray]:
        count = len(self._names)
        xy, cov = np.full((count, 2), np.nan), np.full((count, 2, 2), np.nan)
        score = np.full(count, np.nan)
        columns, fits = self.find(image)
        if fits is not None:
            into = (4 * columns[:, None] + np.arange(4)).ravel()
            xy[into] = fits.xy_px.reshape(-1, 2)
            cov[into] = fits.cov_px.reshape(-1, 2, 2)
            score[into] = np.repeat(1 - fits.residual, 4)
        score[~np.isfinite(xy[:, 0])] = np.nan
        return xy, cov, score
