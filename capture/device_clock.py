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
_ROUNDS = 6
# Of a camera's crystal against its computer's: standard deviation; the share of clocks that are
# not as crystals are, and what those may do.
_CRYSTAL_DRIFT = 50e-6
_ODD_SHARE = 1e-6
_WIDEST_DRIFT = 3e-3
_SLOPES = 401
_NEGLIGIBLE = 20.0  # in the logarithm of the posterior


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
    """Fit the line that the quickest arrival of every stretch lies on or above.

    What a stretch's quickest arrival is late by is taken as exponential, and the two crystals to
    differ as crystals do. The posterior over all slopes then weighs what the arrivals say against
    what can be: in a short recording on a computer that grows busy, they seem to drift.

    Returns:
        The line (2,), and the standard uncertainty of its height, the worst over the recording.
    """
    stretches = max(1, min(_STRETCHES, len(t) // _MIN_PER_STRETCH))
    quickest = [
        piece[np.argmin(late[piece])] for piece in np.array_split(np.arange(len(t)), stretches)
    ]
    x, y = t[quickest], late[quickest]
    if len(x) < 3:
        return np.array([float(y.min()), 0.0]), _few(t, late)
    middle, n = float(x.mean()), len(x)
    x, ends = x - middle, np.array([t[0], t[-1]]) - middle
    about = y - np.polyval(np.polyfit(x, y, 1), x)
    mean_late = _mean_late(about - about.min())
    for _ in range(_ROUNDS):
        slopes, heights, weights = _posterior(x, y, mean_late)
        mean_late = _mean_late(y - weights @ heights - weights @ slopes * x + mean_late / n)
    slopes, heights, weights = _posterior(x, y, mean_late)
    slope = float(weights @ slopes)
    # Under the highest line of a slope, the true one lies an exponential step lower.
    height = float(weights @ heights) - mean_late / n
    at_ends = heights[:, None] + slopes[:, None] * ends
    scatter = weights @ (at_ends - weights @ at_ends) ** 2
    sigma = float(np.sqrt(scatter.max() + (mean_late / n) ** 2))
    return np.array([height - slope * middle, slope]), sigma


def _posterior(
    x: FloatArray, y: FloatArray, mean_late: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return slopes (K,), the highest line of each below all arrivals (K,), and weights (K,).

    The abscissae sum to 0, so that the likelihood of a slope depends on that height alone.
    """
    low, high = -_WIDEST_DRIFT, _WIDEST_DRIFT
    while True:
        slopes = np.linspace(low, high, _SLOPES)
        heights = (y - slopes[:, None] * x).min(axis=1)
        crystal = np.exp(-0.5 * (slopes / _CRYSTAL_DRIFT) ** 2) / _CRYSTAL_DRIFT
        log = len(x) * heights / mean_late + np.log(crystal + _ODD_SHARE / _WIDEST_DRIFT)
        log -= log.max()
        likely = np.flatnonzero(log > -_NEGLIGIBLE)
        closer = slopes[max(likely[0] - 1, 0)], slopes[min(likely[-1] + 1, _SLOPES - 1)]
        if closer[1] - closer[0] > (high - low) / 2:
            weights = np.exp(log)
            return slopes, heights, weights / weights.sum()
        low, high = closer


def _mean_late(late: FloatArray) -> float:
    """Return the mean lateness, s, by the median: a stall does not carry it away."""
    return max(float(np.median(late)) / np.log(2), 1e-9)


def _few(t: FloatArray, late: FloatArray) -> float:
    """Return the standard uncertainty of the least of a few arrivals, s, drift taken as 0.

    Of n exponential delays the least lies their mean / n over 0; half of the delays lie within 0.7
    of that mean. The root instead of n, and twice that, allow for delays that are not so: the least
    of 5 to 20 lies within 1.96 of these in 90 to 100 % of draws, exponential or log-normal.
    """
    if len(late) < 4:
        return float(np.std(late))
    least = 2 * float(np.median(late) - late.min()) / np.sqrt(len(late))
    return float(np.hypot(least, _CRYSTAL_DRIFT * np.ptp(t) / 2))
