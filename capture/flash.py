"""The flash test: a light that all cameras see tells how far apart their clocks really are.

A step of brightness during an exposure lights a part of that frame only. With the mean brightness
before (b) and after (a), a frame of value v that was exposed from s to s + e saw the light for
(v - b) / (a - b) of e, so that the step was at s + e (1 - (v - b) / (a - b)). Between two
exposures the step is only known to lie in the gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capture.frame_sets import CameraTimes
from lab.checks import FloatArray
from lab.errors import LabError

_MIN_STEP = 6.0  # sigmas of the brightness: less is no flash
_BLOCK_PX = 16


@dataclass(frozen=True, slots=True)
class Step:
    """When one camera saw the light go on.

    Attributes:
        t: s on the lab clock, the middle of what is possible.
        half_width: s; the step lies within t +- half_width.
    """

    t: float
    half_width: float


@dataclass(frozen=True, slots=True)
class Skew:
    """How far one camera's clock is from the mean of all.

    Attributes:
        skew: s; positive when this camera sees the light late.
        half_width: s.
        stated: s, what the clock fit promised (half width).
    """

    skew: float
    half_width: float
    stated: float

    @property
    def as_stated(self) -> bool:
        """Whether the skew lies within what was stated, the test's own interval allowed for."""
        return abs(self.skew) <= self.half_width + self.stated


def brightness(images: Sequence[np.ndarray]) -> FloatArray:
    """Return the brightness (T,) of the part of the picture that changes most.

    The picture is divided into blocks; the block with the largest step is used, so that a small
    LED need not fill the picture.

    Raises:
        LabError: With fewer than four images.
    """
    if len(images) < 4:
        raise LabError("a flash test needs at least four frames", remedy="Record a second or more.")
    blocks = []
    for image in images:
        grey = image if image.ndim == 2 else image.mean(axis=2)
        height, width = (n // _BLOCK_PX * _BLOCK_PX for n in grey.shape)
        cut = grey[:height, :width].reshape(
            height // _BLOCK_PX, _BLOCK_PX, width // _BLOCK_PX, _BLOCK_PX
        )
        blocks.append(cut.mean(axis=(1, 3)).ravel())
    series = np.array(blocks, np.float64)
    contrast = series.max(axis=0) - series.min(axis=0)
    return series[:, int(np.argmax(contrast))]


def find_step(values: FloatArray, t: FloatArray, exposure: float, camera: str = "") -> Step:
    """Find when a light went on.

    Args:
        values: (T,) brightness.
        t: (T,) s, mid-exposure.
        exposure: s.
        camera: For the message.

    Raises:
        LabError: When the brightness has no clear single step.
    """
    middle = (values.min() + values.max()) / 2
    above = values > middle
    k = int(np.argmax(above))
    if k < 2 or k > len(values) - 3 or not above[k:].all():
        raise LabError(
            "no single step of brightness is seen",
            where=camera,
            remedy="Let the light go on once, in view of every camera, with a second before and "
            "after.",
        )
    quiet = np.concatenate([np.diff(values[: k - 1]), np.diff(values[k + 1 :])])
    noise = max(float(np.std(quiet)) / np.sqrt(2) if len(quiet) else 0.0, 0.05)
    before, after = float(np.median(values[: k - 1])), float(np.median(values[k + 1 :]))
    if after - before < _MIN_STEP * noise:
        raise LabError("the flash is too faint", where=camera, remedy="Use a brighter light.")
    share = (values[k - 1 : k + 1] - before) / (after - before)
    unsure = 3 * noise / (after - before)
    for row, lit in ((k - 1, share[0]), (k, share[1])):
        if unsure < lit < 1 - unsure and exposure > 0:
            end = t[row] + exposure / 2
            return Step(float(end - lit * exposure), float(unsure * exposure))
    dark_end, lit_start = t[k - 1] + exposure / 2, t[k] - exposure / 2
    half_width = (lit_start - dark_end) / 2 + unsure * exposure
    return Step(float((dark_end + lit_start) / 2), float(abs(half_width)))


def measure_skew(
    steps: Mapping[str, Step | Sequence[Step]], cameras: Mapping[str, CameraTimes]
) -> dict[str, Skew]:
    """Return each camera's skew against the mean of all, from the same flashes.

    Several flashes narrow it: what every flash allows is intersected.

    Raises:
        LabError: With fewer than two cameras, or when they saw different numbers of flashes.
    """
    seen = {n: (s,) if isinstance(s, Step) else tuple(s) for n, s in steps.items()}
    counts = {len(s) for s in seen.values()}
    if len(seen) < 2 or len(counts) != 1 or 0 in counts:
        raise LabError(
            "a flash test needs two cameras or more that all saw every flash",
            remedy="Place the light where every camera sees it.",
        )
    names = list(seen)
    t = np.array([[s.t for s in seen[n]] for n in names])
    half = np.array([[s.half_width for s in seen[n]] for n in names])
    away = t - t.mean(axis=0)
    unsure = half * (1 - 1 / len(names)) + (half.sum(axis=0) - half) / len(names)
    low, high = (away - unsure).max(axis=1), (away + unsure).min(axis=1)
    return {
        name: Skew(
            skew=float((low[i] + high[i]) / 2),
            half_width=float(abs(high[i] - low[i]) / 2),
            stated=1.96 * cameras[name].sigma + cameras[name].asymmetry,
        )
        for i, name in enumerate(names)
    }
