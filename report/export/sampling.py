"""Formats that count samples need evenly spaced ones."""

from __future__ import annotations

import numpy as np

from lab.checks import FloatArray
from lab.errors import LabError

_TOLERANCE = 0.05  # of a sample's length
_WHOLE_HZ = 1e-6


def even_rate(t: FloatArray, what: str) -> float:
    """Return the samples per second of evenly spaced times (T,) s.

    Raises:
        LabError: When there are fewer than two, or a sample stands more than 5 % of a sample's
            length away from its even place.
    """
    if len(t) < 2:
        raise LabError(
            f"{what} has fewer than two samples", where="export", remedy="Export to csv instead."
        )
    rate = (len(t) - 1) / float(t[-1] - t[0])
    away = np.abs(t - (t[0] + np.arange(len(t)) / rate)) * rate
    if away.max() > _TOLERANCE:
        raise LabError(
            f"{what} is not evenly sampled (sample {int(away.argmax())} is {away.max():.2f} of a "
            "sample away from its place), and this format has no place for times",
            where="export",
            remedy="Export to csv instead; it keeps every time.",
        )
    whole = round(rate)
    return float(whole) if abs(rate - whole) < _WHOLE_HZ * max(whole, 1) else rate
