"""Keypoints from two distributions, one along x and one along y (SimCC)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray

# Bins less likely than this part of the peak do not count as its width: the rest of the axis holds
# a little of the probability everywhere, far away, and would be all of the second moment.
_PEAK_PART = 0.01


def decode_simcc(
    along_x: NDArray[np.floating], along_y: NDArray[np.floating], split: float
) -> tuple[FloatArray, FloatArray]:
    """Return where both distributions peak, and how high.

    SimCC (Li et al., ECCV 2022, arXiv 2107.03332): the axes of the crop are cut into `split` bins a
    pixel, bin b standing for pixel b / split.

    Args:
        along_x: (N, K, width * split) as the network gives it.
        along_y: (N, K, height * split).
        split: Bins a pixel.

    Returns:
        Pixels (N, K, 2) of the crop, NaN where nothing was found (no response above 0), and scores
        (N, K): the mean of both peaks.
    """
    bins = np.stack([along_x.argmax(-1), along_y.argmax(-1)], axis=-1)
    score = (along_x.max(-1).astype(float) + along_y.max(-1)) / 2
    xy = np.where((score > 0)[..., None], bins / split, np.nan)
    return xy, score


def peak_variance(along: NDArray[np.floating], split: float, sharpness: float) -> FloatArray:
    """Return the variance (N, K) px^2 of the crop about the peak of a distribution.

    The networks are trained by the Kullback-Leibler divergence of softmax(sharpness * output) from
    the softmax of a Gaussian (RTMPose, arXiv 2303.07399, section 3.2), so that this softmax is the
    distribution meant. Its second moment about the peak is taken over the peak alone: the
    neighbouring bins that have at least a hundredth of its height. 1/12 of a bin squared is added,
    for only whole bins are given. It tells wide from narrow; its scale is settled by residuals.

    Args:
        along: (N, K, bins) as the network gives it.
        split: Bins a pixel.
        sharpness: Factor in front of the output within the softmax.
    """
    level = sharpness * (along - along.max(-1, keepdims=True)).astype(float)
    weight = np.exp(np.minimum(level, 0))
    peak = along.argmax(-1)
    place = np.arange(along.shape[-1])
    away = place - peak[..., None]
    low = weight < _PEAK_PART
    # Up to the first low bin on either side.
    first_right = np.where(low & (away > 0), away, along.shape[-1]).min(-1)
    first_left = np.where(low & (away < 0), away, -along.shape[-1]).max(-1)
    inside = (away < first_right[..., None]) & (away > first_left[..., None])
    weight = np.where(inside, weight, 0)
    moment = (weight * away**2).sum(-1) / weight.sum(-1)
    return (moment + 1 / 12) / split**2
