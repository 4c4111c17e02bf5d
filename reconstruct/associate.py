"""What several cameras saw, on one time grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.checks import FloatArray, frozen_array, rising_times, unique_names
from lab.errors import LabError
from lab.points import Keypoints2D

# Stamps closer than this part of a frame interval belong to one instant.
_SAME_INSTANT = 1e-3
# Two neighbouring frames further apart than this many intervals have a lost frame between them.
_GAP = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class AlignedKeypoints:
    """Keypoints of C cameras at common times. What was not seen is NaN.

    Attributes:
        cameras: C names.
        names: K names.
        t: (T,) s on the lab clock.
        xy_px: (C, T, K, 2) px.
        cov_px: (C, T, K, 2, 2) px^2; NaN where the noise is not known.
        score: (C, T, K) the detector's score; NaN where it gave none.
    """

    cameras: tuple[str, ...]
    names: tuple[str, ...]
    t: FloatArray
    xy_px: FloatArray
    cov_px: FloatArray
    score: FloatArray

    def __post_init__(self) -> None:
        cameras = unique_names(self.cameras, "AlignedKeypoints.cameras")
        names = unique_names(self.names, "AlignedKeypoints.names")
        t = rising_times(self.t, "AlignedKeypoints.t")
        shape = (len(cameras), len(t), len(names))
        object.__setattr__(self, "cameras", cameras)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "t", t)
        for field, end in (("xy_px", (2,)), ("cov_px", (2, 2)), ("score", ())):
            array = frozen_array(getattr(self, field), (*shape, *end), f"AlignedKeypoints.{field}")
            object.__setattr__(self, field, array)


def align(
    keypoints: Sequence[Keypoints2D],
    *,
    grid: Any = None,
    tolerance_s: float | None = None,
) -> AlignedKeypoints:
    """Bring keypoints of cameras with their own stamps to one time grid.

    A stamp within the tolerance of a grid time is taken as it is. Elsewhere the point is
    interpolated linearly between the frames before and after, with its covariance
    (1-a)^2 C0 + a^2 C1, provided that both saw it and no frame was lost between them. Nothing is
    extrapolated. A camera that lacks a name has NaN there.

    Args:
        keypoints: One a camera.
        grid: (T,) s; by default the stamps of the camera with the most frames in the time that
            any camera covers (the first of them, where several have as many).
        tolerance_s: By default a thousandth of each camera's frame interval.

    Raises:
        LabError: With fewer than two cameras, a camera twice, a camera without frames, or no name
            seen by two cameras.
    """
    cameras = [k.camera for k in keypoints]
    if len(cameras) < 2:
        raise LabError(
            f"points in space need at least two cameras, got {len(cameras)}",
            where="keypoints",
            remedy="Give the keypoints of another camera.",
        )
    if len(set(cameras)) < len(cameras):
        raise LabError("a camera stands twice", where=f"keypoints of {', '.join(cameras)}")
    for k in keypoints:
        if len(k.t) == 0:
            raise LabError("there are no frames", where=f"keypoints of {k.camera}")
    names = list(dict.fromkeys(name for k in keypoints for name in k.names))
    if not any(sum(name in k.names for k in keypoints) > 1 for name in names):
        raise LabError(
            "no point is named by two cameras",
            where=f"keypoints of {', '.join(cameras)}",
            remedy="Use one detector, or one skeleton, for all cameras.",
        )
    fullest = max(keypoints, key=lambda k: len(k.t))
    times = np.asarray(fullest.t if grid is None else grid, float)
    shape = (len(cameras), len(times), len(names))
    xy, score = np.full((*shape, 2), np.nan), np.full(shape, np.nan)
    cov = np.full((*shape, 2, 2), np.nan)
    for c, k in enumerate(keypoints):
        columns = [names.index(name) for name in k.names]
        xy[c][:, columns], cov[c][:, columns], score[c][:, columns] = _at_times(
            k, times, tolerance_s
        )
    return AlignedKeypoints(tuple(cameras), tuple(names), times, xy, cov, score)


def _at_times(
    k: Keypoints2D, times: FloatArray, tolerance_s: float | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return pixels, covariances and scores of one camera at the given times."""
    interval = float(np.median(np.diff(k.t))) if len(k.t) > 1 else 0.0
    tolerance = _SAME_INSTANT * interval if tolerance_s is None else tolerance_s
    last = len(k.t) - 1
    after = np.clip(np.searchsorted(k.t, times), 0, last)
    before = np.clip(after - 1, 0, last)
    nearest = np.where(np.abs(k.t[after] - times) <= np.abs(times - k.t[before]), after, before)
    same = np.abs(k.t[nearest] - times) <= tolerance
    span = k.t[after] - k.t[before]
    between = (k.t[before] < times) & (times < k.t[after]) & (span <= _GAP * interval)
    before, after = np.where(same, nearest, before), np.where(same, nearest, after)
    known = same | between
    with np.errstate(invalid="ignore", divide="ignore"):
        a = np.where(same, 0.0, (times - k.t[before]) / (k.t[after] - k.t[before]))
    a = np.where(known, a, np.nan)[:, None]
    xy = (1 - a)[..., None] * k.xy_px[before] + a[..., None] * k.xy_px[after]
    weight0, weight1 = ((1 - a) ** 2)[..., None, None], (a**2)[..., None, None]
    cov = weight0 * k.cov_px[before] + weight1 * k.cov_px[after]
    score = np.where(known[:, None], np.fmin(k.score[before], k.score[after]), np.nan)
    return xy, cov, score
