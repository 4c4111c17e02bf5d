"""The peaks of a curve that stand out, and far enough apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray


def prominent_peaks(curve: FloatArray, prominence: float, distance: int) -> NDArray[np.intp]:
    """Return where a curve has its peaks, in order.

    A peak is higher than what lies next to it on both sides (of a level top the middle counts). Of
    peaks nearer to each other than a distance the higher one stays. A peak's prominence is its
    height over the higher of the lowest points that lie between it and something higher, to the
    left and to the right, or the curve's end. As `scipy.signal.find_peaks`, which takes half a
    second to import.

    Args:
        curve: (T,), finite.
        prominence: At least this much.
        distance: At least so many samples apart.
    """
    begin = np.concatenate([[0], np.flatnonzero(np.diff(curve)) + 1])
    end = np.concatenate([begin[1:] - 1, [len(curve) - 1]])
    level = curve[begin]
    top = np.flatnonzero((level[1:-1] > level[:-2]) & (level[1:-1] > level[2:])) + 1
    peaks = (begin[top] + end[top]) // 2
    stays = np.ones(len(peaks), bool)
    for i in np.argsort(curve[peaks], kind="stable")[::-1]:
        if stays[i]:
            stays[np.abs(peaks - peaks[i]) < distance] = False
            stays[i] = True
    return np.array([i for i in peaks[stays] if _prominence(curve, i) >= prominence], np.intp)


def _prominence(curve: FloatArray, at: int) -> float:
    higher = np.flatnonzero(curve > curve[at])
    split = np.searchsorted(higher, at)
    left = higher[split - 1] if split else 0
    right = higher[split] if split < len(higher) else len(curve)
    return float(curve[at] - max(curve[left : at + 1].min(), curve[at:right].min()))
