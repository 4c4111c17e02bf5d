"""A camera's own clock on its computer's clock, from when its frames arrived.

A frame arrives some time after it was exposed, never before: the arrivals lie above a line, and the
quickest of them lie on it. The line is fitted to the quickest arrival of every stretch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray

IntArray = NDArray[np.int64]

_STRETCHES = 24
_MIN_PER_STRETCH = 8
_ROUNDS = 12
_HUBER = 1.5
_MAD_TO_SIGMA = 1.4826
_UNSEEN_DRIFT = 50e-6  # of a camera's crystal against its computer's, where frames are too few


@dataclass(frozen=True, slots=True, eq=False)
class DeviceFit:
    """A camera's clock on its computer's: host = device + offset + drift (device - device_ref).

    Attributes:
        device_ref_ns: Device time at which the offset holds.
        offset_ns, correction: The offset in whole ns, and the rest in s.
        drift: Seconds that the host gains each second of the device.
        sigma: s, of the line at any frame of the recording.
        latency: Median lateness of the arrivals over the line, s.
        latency_p99: 99 % of arrivals are no later than this, s.
    """

    device_ref_ns: int
    offset_ns: int
    correction: float
    drift: float
    sigma: float = field(metadata={"unit": "s"})
    latency: float
    latency_p99: float

    def host_ns(self, device_ns: IntArray) -> IntArray:
        """Return host time (T,) ns of device times (T,) ns."""
        elapsed = (np.asarray(device_ns, np.int64) - np.int64(self.device_ref_ns)) * 1e-9
        shift = np.rint((self.correction + self.drift * elapsed) * 1e9).astype(np.int64)
        return np.asarray(device_ns, np.int64) + np.int64(self.offset_ns) + shift


def fit_device(device_ns: IntArray, host_ns: IntArray) -> DeviceFit:
    """Fit the lower envelope of arrivals.

    Args:
        device_ns: (T,) camera stamps, rising.
        host_ns: (T,) arrivals on the computer's monotonic clock.

    Raises:
        ValueError: With fewer than two frames, or shapes that differ.
    """
    device, host = np.asarray(device_ns, np.int64), np.asarray(host_ns, np.int64)
    if device.shape != host.shape or device.ndim != 1 or len(device) < 2:
        raise ValueError(
            f"fit_device needs two or more stamps each, got {device.shape}, {host.shape}"
        )
    reference = int(device[len(device) // 2])
    offset_ns = int(np.min(host - device))
    t = np.asarray((device - reference) * 1e-9, np.float64)
    late = np.asarray((host - device - offset_ns) * 1e-9, np.float64)
    line, sigma = _envelope(t, late)
    over = late - line[0] - line[1] * t
    return DeviceFit(
        reference,
        offset_ns,
        float(line[0]),
        float(line[1]),
        sigma,
        float(np.median(over)),
        float(np.quantile(over, 0.99)),
    )


def _envelope(t: FloatArray, late: FloatArray) -> tuple[FloatArray, float]:
    """Fit a line to the quickest arrival of every stretch, those that were all late downweighted.

    Returns:
        The line (2,), and the standard uncertainty of its height.
    """
    stretches = max(1, min(_STRETCHES, len(t) // _MIN_PER_STRETCH))
    quickest = [
        piece[np.argmin(late[piece])] for piece in np.array_split(np.arange(len(t)), stretches)
    ]
    x, y = t[quickest], late[quickest]
    if len(x) < 3:
        return np.array([float(y.min()), 0.0]), _few(t, late)
    design = np.column_stack([np.ones_like(x), x])
    line = _theil_sen(x, y)
    spread = 0.0
    for _ in range(_ROUNDS):
        residuals = y - design @ line
        spread = max(
            _MAD_TO_SIGMA * float(np.median(np.abs(residuals - np.median(residuals)))), 1e-9
        )
        # One-sided: a stretch that was late throughout tells little, one that was early is kept.
        root = np.sqrt(np.minimum(1.0, _HUBER * spread / np.maximum(np.abs(residuals), 1e-12)))
        line = np.asarray(np.linalg.lstsq(design * root[:, None], y * root)[0], np.float64)
    return line, 2 * spread / np.sqrt(len(x))


def _few(t: FloatArray, late: FloatArray) -> float:
    """Return the standard uncertainty of the least of a few arrivals, s, drift taken as 0.

    Of n exponential delays the least lies their mean / n over 0; half of the delays lie within 0.7
    of that mean. The root instead of n, and twice that, allow for delays that are not so: the least
    of 5 to 20 lies within 1.96 of these in 90 to 100 % of draws, exponential or log-normal.
    """
    if len(late) < 4:
        return float(np.std(late))
    least = 2 * float(np.median(late) - late.min()) / np.sqrt(len(late))
    return float(np.hypot(least, _UNSEEN_DRIFT * np.ptp(t) / 2))


def _theil_sen(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the line through the medians of slopes and of heights; up to 29 % may be outliers."""
    i, j = np.triu_indices(len(x), 1)
    slope = float(np.median((y[j] - y[i]) / (x[j] - x[i])))
    return np.array([float(np.median(y - slope * x)), slope])
