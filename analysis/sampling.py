"""Curves read between their samples, for many replicates at once."""

from __future__ import annotations

import numpy as np

from lab.checks import FloatArray


def sample(t: FloatArray, curves: FloatArray, times: FloatArray) -> FloatArray:
    """Read curves at any times by the cubic through the four neighbouring samples.

    Args:
        t: (T,) s, rising; at least four samples.
        curves: (B, T) or (B, T, D).
        times: (B, ...) s.

    Returns:
        (B, ...) or (B, ..., D); NaN outside the recording and beside missing samples.
    """
    times = np.asarray(times, float)
    first = np.clip(np.searchsorted(t, np.nan_to_num(times, nan=t[0])) - 2, 0, len(t) - 4)
    batch = np.arange(curves.shape[0]).reshape(-1, *([1] * (times.ndim - 1)))
    nodes = [t[first + i] for i in range(4)]
    total = None
    for i in range(4):
        weight = np.ones_like(times)
        for j in range(4):
            if j != i:
                weight = weight * (times - nodes[j]) / (nodes[i] - nodes[j])
        value = curves[batch, first + i]
        if value.ndim > weight.ndim:
            weight = weight[..., None]
        total = weight * value if total is None else total + weight * value
    inside = (times >= t[0]) & (times <= t[-1])
    if curves.ndim == 3:
        inside = inside[..., None]
    return np.where(inside, np.asarray(total), np.nan)


def peak(values: FloatArray) -> FloatArray:
    """Return the maximum along the last axis, refined by the parabola through its neighbours.

    Args:
        values: (..., M) equally spaced samples of a curve, M >= 3; NaN anywhere gives NaN.

    Returns:
        (...) the height of the maximum; at either end the end value itself.
    """
    at = np.argmax(np.where(np.isnan(values), -np.inf, values), axis=-1)
    inner = np.clip(at, 1, values.shape[-1] - 2)
    left, mid, right = (
        np.take_along_axis(values, (inner + d)[..., None], axis=-1)[..., 0] for d in (-1, 0, 1)
    )
    bend = left - 2 * mid + right
    slope = (right - left) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        refined = np.where(bend < 0, mid - slope**2 / (2 * bend), mid)
    ends = np.take_along_axis(values, at[..., None], axis=-1)[..., 0]
    result = np.where(at == inner, refined, ends)
    return np.where(np.isnan(values).any(axis=-1), np.nan, result)


def mean_over(curve: FloatArray) -> FloatArray:
    """Return the mean over the last axis of an evenly sampled curve, by the trapezoidal rule."""
    return np.asarray((curve[..., 1:] + curve[..., :-1]).mean(-1) / 2, np.float64)
