"""How long the bones came out: a test of a reconstruction that needs no truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lab.points import Points3D

# Of the interquartile range to the standard deviation, for normal scatter.
_NORMAL_IQR = 1.3489795003921634


@dataclass(frozen=True, slots=True)
class BoneLength:
    """The length of one bone over a recording.

    Attributes:
        bone: The two points.
        median: m; NaN where the bone was never whole.
        spread: m, robust standard deviation between frames (interquartile range / 1.349).
        n: Frames with both ends.
    """

    bone: tuple[str, str]
    median: float
    spread: float
    n: int

    @property
    def spread_cm(self) -> float:
        """The spread in cm."""
        return 100 * self.spread

    @property
    def spread_percent(self) -> float:
        """The spread in percent of the length."""
        return 100 * self.spread / self.median


def bone_lengths(points: Points3D, bones: Iterable[tuple[str, str]]) -> tuple[BoneLength, ...]:
    """Return the length of each bone whose two ends are among the points.

    Args:
        points: The points, smoothed or not.
        bones: For example `Skeleton.bones`.
    """
    result = []
    for bone in bones:
        if not set(bone) <= set(points.names):
            continue
        length = np.linalg.norm(points.point(bone[0]) - points.point(bone[1]), axis=1)
        length = length[np.isfinite(length)]
        if len(length):
            low, median, high = np.percentile(length, [25, 50, 75])
            spread = (high - low) / _NORMAL_IQR
            result.append(BoneLength(bone, float(median), float(spread), len(length)))
        else:
            result.append(BoneLength(bone, np.nan, np.nan, 0))
    return tuple(result)
