"""The line from a right joint to its left partner, where it turns slowly: hips, shoulders, eyes.

Left and right exchanged in two of four cameras that face each other leave points on which all four
views agree: those of a pelvis turned by a right angle, as wide as before. Nothing in that frame
tells; the line between the two hips a few frames earlier and later does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.checks import FloatArray

# To either side: many times as long as an exchange lasts, less than it takes to turn round.
_REACH_S = 0.6
_LEAST_FRAMES = 20
# A line that departs from its neighbours' by more than this part of its length tells nothing: both
# knees, both feet.
_STEADY = 0.2
_FLOOR_M = 0.005
_MOST = 60.0
_MEDIAN = 1.5382  # of the length of three standard normal coordinates


@dataclass(frozen=True, slots=True, eq=False)
class PartnerLine:
    """The line between partners over a trial.

    Attributes:
        usual: (T, 3) m, from right to left: the median of the frames around; NaN where not known.
        spread: m, robust standard deviation of a coordinate of it in a frame; infinite where the
            line moves too much to tell anything.
    """

    usual: FloatArray
    spread: float

    def cost(self, places: FloatArray) -> FloatArray:
        """Return how unlikely lines are: squares in standard deviations, at most 60.

        Args:
            places: (T, M, 2, 3) m, left and right.

        Returns:
            (T, M), 0 where one of them is not known or nothing can be told.
        """
        off = places[..., 0, :] - places[..., 1, :] - self.usual[:, None]
        square = (off**2).sum(-1) / self.spread**2
        return np.minimum(np.nan_to_num(square, nan=0.0), _MOST)


def partner_line(t: FloatArray, places: FloatArray) -> PartnerLine:
    """Return the line of partners.

    Args:
        t: (T,) s.
        places: (T, 2, 3) m, left and right; fewer than half of them wrong.
    """
    line = places[:, 0] - places[:, 1]
    if np.isfinite(line[:, 0]).sum() < _LEAST_FRAMES:
        return PartnerLine(np.full(line.shape, np.nan), np.inf)
    usual = _running_median(line, max(round(_REACH_S / float(np.median(np.diff(t)))), 1))
    off = np.linalg.norm(line - usual, axis=1)
    spread = float(np.nanmedian(off)) / _MEDIAN
    length = float(np.nanmedian(np.linalg.norm(usual, axis=1)))
    steady = spread < _STEADY * length
    return PartnerLine(usual, max(spread, _FLOOR_M) if steady else np.inf)


def _running_median(values: FloatArray, reach: int) -> FloatArray:
    """Return the median (T, D) of the known ones of values (T, D) up to so many frames away."""
    padded = np.pad(values, ((reach, reach), (0, 0)), constant_values=np.nan)
    around = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0), -1)
    count = np.isfinite(around).sum(-1)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    ends = [np.take_along_axis(around, at[..., None], -1)[..., 0] for at in (low, high)]
    return (ends[0] + np.where(count > 0, ends[1], np.nan)) / 2
