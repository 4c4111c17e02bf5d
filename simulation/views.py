"""What the cameras see of a walker: 2D keypoints with noise, gaps and outliers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lab.camera import Camera
from lab.checks import FloatArray
from lab.points import Keypoints2D, Points3D
from lab.rig import Rig
from simulation.walker import Walker

_GAP_MEAN = 0.12  # s
_GROSS_PX = 150.0


def seen_pixels(camera: Camera, points: FloatArray) -> FloatArray:
    """Return the pixels (..., 2) of points (..., 3) m, NaN outside the image or behind.

    A point far outside that the lens' polynomial folds back into the image counts as outside.
    """
    xy = camera.project(points)
    width, height = camera.size_px
    with np.errstate(invalid="ignore"):
        inside = (xy >= -0.5).all(-1) & (xy[..., 0] < width - 0.5) & (xy[..., 1] < height - 0.5)
    xy[~inside] = np.nan
    rays = camera.ray(xy[inside])
    line = np.asarray(points, float)[inside] - rays.origin
    along = (line * rays.direction).sum(-1)
    straight = along > (1 - 1e-9) * np.linalg.norm(line, axis=-1)
    xy[inside] = np.where(straight[:, None], xy[inside], np.nan)
    return xy


def observe(
    source: Walker | Points3D,
    rig: Rig,
    rate_hz: float | None = None,
    duration_s: float | None = None,
    *,
    noise_px: float,
    rng: np.random.Generator,
    dropout: float = 0.02,
    gaps: float = 0.03,
    outliers: float = 0.01,
    phases: Mapping[str, float] | None = None,
    names: Sequence[str] | None = None,
    noise_known: bool = True,
) -> tuple[Keypoints2D, ...]:
    """Return what each camera of a rig sees.

    Args:
        source: A walker, seen at `rate_hz` from 0 to `duration_s` (its own duration if None); or
            points, seen at their own times.
        rig: The cameras.
        rate_hz: Frames a second; only for a walker.
        duration_s: Only for a walker.
        noise_px: Standard deviation of each coordinate.
        rng: Where all chance comes from.
        dropout: Share of single points lost.
        gaps: Bursts of loss a second for each point in each camera, 0.12 s each on average.
        outliers: Share of points put wrong: half of them anywhere within 150 px, half on the same
            joint of the other side.
        phases: s by camera name, by which it exposes later than the others (walker only).
        names: The points wanted, in this order; all if None.
        noise_known: Whether `cov_px` tells the noise; NaN otherwise.

    Raises:
        ValueError: For unknown names or cameras, or times that do not fit the source.
    """
    wanted = tuple(source.names if names is None else names)
    columns = [source.names.index(n) for n in wanted]
    offsets = dict.fromkeys(rig.names, 0.0) | dict(phases or {})
    if set(offsets) != set(rig.names):
        raise ValueError("observe: phases name a camera that the rig does not have")
    if isinstance(source, Points3D) and (rate_hz is not None or duration_s is not None or phases):
        raise ValueError("observe: points have their own times")
    result = []
    for camera in rig.cameras:
        if isinstance(source, Points3D):
            t, xyz = source.t, source.xyz
        else:
            t = _frame_times(source, rate_hz, duration_s) + offsets[camera.name]
            xyz = source.points(t)
        xy = seen_pixels(camera, xyz[:, columns])
        xy = _misplace(xy, wanted, outliers, rng)
        xy = xy + noise_px * rng.standard_normal(xy.shape)
        lost = (rng.random(xy.shape[:2]) < dropout) | _bursts(t, len(wanted), gaps, rng)
        xy[lost] = np.nan
        score = np.clip(rng.normal(0.93, 0.04, xy.shape[:2]), 0.3, 1.0)
        seen = np.isfinite(xy[..., 0])
        variance = noise_px**2 if noise_known else np.nan
        cov = np.where(seen[..., None, None], variance * np.eye(2), np.nan)
        if not noise_known:
            cov = np.full(cov.shape, np.nan)
        result.append(Keypoints2D(camera.name, wanted, t, xy, cov, np.where(seen, score, np.nan)))
    return tuple(result)


def _frame_times(walker: Walker, rate_hz: float | None, duration_s: float | None) -> FloatArray:
    if rate_hz is None or rate_hz <= 0:
        raise ValueError("observe: a walker needs a positive rate_hz")
    duration = walker.duration if duration_s is None else duration_s
    return np.arange(int(np.floor(duration * rate_hz + 1e-9)) + 1) / rate_hz


def _misplace(
    xy: FloatArray, names: tuple[str, ...], share: float, rng: np.random.Generator
) -> FloatArray:
    """Return the pixels (T, K, 2) with a share of them put wrong."""
    chance = rng.random(xy.shape[:2])
    stray = xy + rng.uniform(-_GROSS_PX, _GROSS_PX, xy.shape)
    partner = xy[:, [_partner_column(names, n) for n in names]]
    has_partner = np.isfinite(partner).all(axis=-1)
    wrong = np.where(((chance < share / 2) & has_partner)[..., None], partner, stray)
    return np.where((chance < share)[..., None], wrong, xy)


def _partner_column(names: tuple[str, ...], name: str) -> int:
    """Return where the same joint of the other side stands; the own place where there is none."""
    other = name.replace("left_", "right_") if "left_" in name else name.replace("right_", "left_")
    return names.index(other) if other in names else names.index(name)


def _bursts(t: FloatArray, k: int, rate: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return (T, K) which points are lost in bursts, `rate` of them a second."""
    lost = np.zeros((len(t), k), bool)
    span = t[-1] - t[0] if len(t) > 1 else 0.0
    for column, count in enumerate(rng.poisson(rate * span, k)):
        starts = t[0] + span * rng.random(count)
        lengths = rng.exponential(_GAP_MEAN, count)
        for start, length in zip(starts, lengths, strict=True):
            lost[:, column] |= (t >= start) & (t < start + length)
    return lost
