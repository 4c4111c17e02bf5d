"""Whether the points can be a person on this floor, walking along the lab's x axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.checks import FloatArray
from lab.points import Points3D

# Lean of the trunk off the vertical that no gait has for half of a trial.
_MOST_LEAN_RAD = np.deg2rad(35)
# Lowest height of a heel over the floor.
_FOOT_HEIGHT_M = (-0.10, 0.25)
# Hips to shoulders, from a small child to the tallest adult.
_TRUNK_M = (0.15, 0.90)
# Off the lab's x axis; people walk within some degrees of the walkway.
_MOST_TURN_RAD = np.deg2rad(30)
_SHORTEST_WAY_M = 1.0


@dataclass(frozen=True, slots=True)
class Sanity:
    """What speaks against the rig's frame: reasons to refuse, and what to note."""

    refusals: tuple[str, ...]
    notes: tuple[str, ...]


def check_frame(points: Points3D, *, treadmill: bool = False) -> Sanity:
    """Check that a person of human size stands upright, feet on the floor, and goes along x.

    Args:
        points: (T, K, 3) m in the lab frame. What needs a point that is not there is not checked.
        treadmill: The person does not travel and faces along x; its belt's direction is used by
            the measures, so that a wrong heading refuses.

    Returns:
        Reasons and notes, a sentence each: size (a rig in mm), upright (a rig upside down), height
        of the feet (the floor), the order of forward, left and up (a mirrored rig or left and right
        exchanged), and the heading.
    """
    hips = _middle(points, "left_hip", "right_hip")
    shoulders = _middle(points, "left_shoulder", "right_shoulder")
    trunk = shoulders - hips
    length = _median(np.linalg.norm(trunk, axis=1))
    if np.isfinite(length) and not _TRUNK_M[0] < length < _TRUNK_M[1]:
        # All else would be wrong because of it.
        return Sanity(
            (
                f"the trunk is {length:.3g} m long from hips to shoulders: the rig's lengths are "
                "wrong (millimetres taken as metres, or a wrong square of the board)",
            ),
            (),
        )
    refusals = []
    with np.errstate(invalid="ignore", divide="ignore"):
        lean = _median(np.arccos(np.clip(trunk[:, 2] / np.linalg.norm(trunk, axis=1), -1, 1)))
    upright = not lean > _MOST_LEAN_RAD
    if not upright:
        words = (
            "the person is upside down"
            if lean > np.pi - _MOST_LEAN_RAD
            else f"the trunk leans {np.degrees(lean):.0f} degrees off the rig's vertical for half "
            "of the trial"
        )
        refusals.append(f"{words}: the rig's floor or up direction is wrong")
    heels = np.concatenate([_point(points, n)[:, 2] for n in ("left_heel", "right_heel")])
    if np.isfinite(heels).any():
        low = float(np.nanpercentile(heels, 5))
        if not _FOOT_HEIGHT_M[0] < low < _FOOT_HEIGHT_M[1]:
            refusals.append(
                f"the feet come down to a height of {low:.2f} m over the rig's floor: "
                "the floor is not where the rig says"
            )
    forward = _facing(points)
    left = _point(points, "left_hip") - _point(points, "right_hip")
    if upright and _median(_vertical(forward, left)) < 0:
        refusals.append(
            "left and right are exchanged: the feet point backwards for hips on these sides; the "
            "rig or a video is mirrored, or the keypoints' sides are swapped"
        )
    notes = []
    heading = _heading(hips, forward, treadmill) if upright else float("nan")
    if heading > _MOST_TURN_RAD:
        words = (
            f"the person {'faces' if treadmill else 'goes'} {np.degrees(heading):.0f} degrees off "
            "the lab's x axis: the heading of the floor recording is wrong"
        )
        (refusals if treadmill else notes).append(words)
    return Sanity(tuple(refusals), tuple(notes))


def _heading(hips: FloatArray, forward: FloatArray, treadmill: bool) -> float:
    """Return the angle rad between the way and the x axis, either way along it; NaN if unknown."""
    if treadmill:
        way = np.array([_median(forward[:, 0]), _median(forward[:, 1])])
        along = abs(way[0])
    else:
        known = hips[np.isfinite(hips).all(1), :2]
        way = known[-1] - known[0] if len(known) else np.full(2, np.nan)
        if not np.linalg.norm(way) > _SHORTEST_WAY_M:
            return float("nan")
        along = abs(way[0])
    return float(np.arctan2(abs(way[1]), along))


def _facing(points: Points3D) -> FloatArray:
    """Return heel to toe, the mean of both feet where known, (T, 3) m."""
    feet = [
        _point(points, f"{side}_foot_index") - _point(points, f"{side}_heel")
        for side in ("left", "right")
    ]
    return np.where(np.isfinite(feet[0]), feet[0], 0) + np.where(np.isfinite(feet[1]), feet[1], 0)


def _vertical(forward: FloatArray, left: FloatArray) -> FloatArray:
    """Return the vertical part of forward x left (T,); positive for a person who stands."""
    return forward[:, 0] * left[:, 1] - forward[:, 1] * left[:, 0]


def _point(points: Points3D, name: str) -> FloatArray:
    return points.point(name) if name in points.names else np.full((len(points.t), 3), np.nan)


def _middle(points: Points3D, first: str, second: str) -> FloatArray:
    return (_point(points, first) + _point(points, second)) / 2


def _median(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
