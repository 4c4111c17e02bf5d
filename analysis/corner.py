"""Values at an instant where a curve's slope may break, read without rounding the corner."""

from __future__ import annotations

import numpy as np

from lab.checks import FloatArray

_MIN_SAMPLES = 3


def value_at_corner(
    t: FloatArray, curves: FloatArray, instants: FloatArray, half_s: float = 0.045
) -> FloatArray:
    """Read curves at an instant where their slope may break.

    A quadratic with a break of slope and curvature at the instant is fitted to the unsmoothed
    samples around it; smoothing would round the corner and bias the value. Each replicate has the
    samples around its own instant.

    Args:
        t: (T,) s.
        curves: (B, T, D) unsmoothed.
        instants: (B, C) s.
        half_s: Half the window.

    Returns:
        (B, C, D); NaN where too few samples lie on either side.
    """
    frame = float(np.median(np.diff(t)))
    half = max(half_s, 4 * frame)
    replicate, column = np.nonzero(np.isfinite(instants))
    value = np.full((*instants.shape, curves.shape[-1]), np.nan)
    if not len(replicate):
        return value
    at = instants[replicate, column]
    # Enough samples to reach half a window to either side, whatever the frames were lost.
    reach = np.arange(-int(half / frame) - 1, int(half / frame) + 2)
    index = np.searchsorted(t, at)[:, None] + reach
    there = (index >= 0) & (index < len(t))
    index = np.clip(index, 0, len(t) - 1)
    away = t[index] - at[:, None]
    samples = curves[replicate[:, None], index]  # (A, n, D)
    there &= (np.abs(away) <= half) & np.isfinite(samples).all(-1)
    before, behind = (there & (away < 0)).sum(-1), (there & (away > 0)).sum(-1)
    told = (before >= _MIN_SAMPLES) & (behind >= _MIN_SAMPLES)
    u = (away[told] / half)[..., None]
    after = np.clip(u, 0, None)
    design = np.concatenate([np.ones_like(u), u, u**2, after, after**2], axis=-1)
    weighted = np.swapaxes(design * there[told][..., None], 1, 2)
    read = np.where(there[told][..., None], samples[told], 0.0)
    value[replicate[told], column[told]] = np.linalg.solve(weighted @ design, weighted @ read)[:, 0]
    return value
