"""Which way the walk goes."""

from __future__ import annotations

import numpy as np

from lab.checks import FloatArray
from lab.errors import LabError

# A path whose direction turns by more than this within the trial is not a straight pass.
TURNING_LIMIT_RAD = np.deg2rad(20.0)
_MIN_TRAVEL_M = 0.5
# The pelvis sways once a stride; a Gaussian of this width leaves the path without the sway.
_SWAY_SIGMA_S = 0.4


def belt_direction(shape: tuple[int, ...]) -> FloatArray:
    """Return the lab's x axis (*shape, 1, 3): a belt runs along it by the rig's floor."""
    forward = np.zeros((*shape, 1, 3))
    forward[..., 0] = 1.0
    return forward


def facing_direction(across: FloatArray) -> FloatArray:
    """Return where a standing person's pelvis faces, (B, 1, 3) horizontal unit vectors.

    Args:
        across: (B, T, 3) m, from the right hip to the left one; NaN where missing.

    Raises:
        LabError: When the hips are never seen.
    """
    seen = np.isfinite(across).all(axis=(0, 2))
    if not seen.any():
        raise LabError(
            "the hips are never seen, so there is no telling where the person faces",
            remedy="Check the keypoints or markers of both hips.",
        )
    left = across[:, seen].mean(axis=1, keepdims=True)
    forward = np.stack([left[..., 1], -left[..., 0], np.zeros_like(left[..., 0])], axis=-1)
    return forward / np.linalg.norm(forward, axis=-1, keepdims=True)


def path_direction(t: FloatArray, pelvis: FloatArray) -> tuple[FloatArray, bool]:
    """Find the horizontal direction of travel overground.

    A straight pass has one direction, that of the line through the pelvis' path. A pass that
    turns has the direction of the path with the sway taken off, frame by frame.

    Args:
        t: (T,) s.
        pelvis: (B, T, 3) m, the middle of the pelvis in the lab frame; NaN where missing.

    Returns:
        Unit vectors (B, 1, 3), or (B, T, 3) where the path turns, and whether it turns (judged
        on the first of the B paths).

    Raises:
        LabError: When the pelvis travels less than half a metre.
    """
    seen = np.isfinite(pelvis).all(axis=(0, 2))
    if seen.sum() < 4:
        raise LabError(
            "the pelvis is not seen long enough to tell the direction of walking",
            remedy="Check the keypoints or markers of both hips.",
        )
    ts, path = t[seen], pelvis[:, seen, :2]
    travel = float(np.linalg.norm(path[0, -1] - path[0, 0]))
    if travel < _MIN_TRAVEL_M:
        raise LabError(
            f"the person travels only {travel:.2f} m, so there is no direction of walking",
            remedy="For a treadmill give treadmill_speed_m_s in trial.toml; its belt then sets "
            "the direction.",
        )
    # For walks over ground alone: it takes a tenth of a second to import.
    from scipy.ndimage import gaussian_filter1d

    rate = (len(ts) - 1) / (ts[-1] - ts[0])
    even = np.linspace(ts[0], ts[-1], len(ts))
    smooth = np.stack(
        [
            gaussian_filter1d(
                np.interp(even, ts, path[0, :, d]), _SWAY_SIGMA_S * rate, mode="reflect"
            )
            for d in (0, 1)
        ],
        axis=-1,
    )
    velocity = np.gradient(smooth, even, axis=0)
    edge = min(int(_SWAY_SIGMA_S * rate), len(even) // 4)
    core = velocity[edge : len(even) - edge]
    heading = np.unwrap(np.arctan2(core[:, 1], core[:, 0]))
    turns = float(np.ptp(heading)) > TURNING_LIMIT_RAD
    if not turns:
        centred = ts - ts.mean()
        slope = np.einsum("t,btd->bd", centred, path) / (centred @ centred)
        forward = np.concatenate([slope, np.zeros((len(slope), 1))], axis=-1)[:, None, :]
    else:
        full = np.stack(
            [
                np.interp(t, even[edge : len(even) - edge], np.cos(heading)),
                np.interp(t, even[edge : len(even) - edge], np.sin(heading)),
                np.zeros(len(t)),
            ],
            axis=-1,
        )
        forward = np.broadcast_to(full, (len(pelvis), len(t), 3)).copy()
    return forward / np.linalg.norm(forward, axis=-1, keepdims=True), turns


def stride_direction(
    t: FloatArray, pelvis: FloatArray, first: float, last: float
) -> FloatArray | None:
    """Return the direction (B, 1, 3) between two strikes of the same foot, whole strides apart.

    Over whole strides the sway begins and ends at the same phase, so that it does not turn the
    direction. None where the pelvis is missing at either end.
    """
    ends = [
        np.stack([_at(t, pelvis[..., d], when) for d in (0, 1)], axis=-1) for when in (first, last)
    ]
    forward = np.concatenate([ends[1] - ends[0], np.zeros((len(pelvis), 1))], axis=-1)
    length = np.linalg.norm(forward, axis=-1, keepdims=True)
    if not (np.isfinite(length).all() and (length > _MIN_TRAVEL_M).all()):
        return None
    return (forward / length)[:, None, :]


def _at(t: FloatArray, curves: FloatArray, when: float) -> FloatArray:
    """Linear interpolation of (B, T) at one time."""
    i = int(np.clip(np.searchsorted(t, when), 1, len(t) - 1))
    w = (when - t[i - 1]) / (t[i] - t[i - 1])
    return (1 - w) * curves[:, i - 1] + w * curves[:, i]
