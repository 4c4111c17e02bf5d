"""Where the walker's segments are: what plates and limbs are fastened to."""

from __future__ import annotations

import numpy as np

from lab.checks import FloatArray
from simulation.rotations import unit
from simulation.walker import Walker


def segment_frames(walker: Walker, t: FloatArray) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return each segment's axes (T, 3, 3) and origin (T, 3) m in the lab at times (T,) s.

    x forward, y left, z up along the segment. The origin is the middle of the hips for pelvis and
    trunk, the upper joint of thigh and shank, the heel of a foot. The axes come from the walker's
    points: a leg bends in one plane, whose normal is the hinge of its knee.
    """
    return frames_of_points(walker, walker.points(t))


def frames_of_points(walker: Walker, xyz: FloatArray) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return the same from the walker's points (T, K, 3) m."""
    at = {name: xyz[:, i] for i, name in enumerate(walker.names)}
    hips = (at["left_hip"] + at["right_hip"]) / 2
    left = unit(at["left_asis"] - at["right_asis"])
    ahead = at["left_asis"] + at["right_asis"] - at["left_psis"] - at["right_psis"]
    frames = {"pelvis": (_axes_of_left(left, ahead), hips)}
    up = unit((at["left_shoulder"] + at["right_shoulder"]) / 2 - hips)
    frames["trunk"] = (_axes_of_up(up, at["left_shoulder"] - at["right_shoulder"]), hips)
    for side in ("left", "right"):
        hip, knee, ankle, heel, toe = (
            at[f"{side}_{part}"] for part in ("hip", "knee", "ankle", "heel", "foot_index")
        )
        thigh, shank = unit(hip - knee), unit(knee - ankle)
        # Thigh and shank are never in line (a knee bends by some degrees at least).
        hinge = np.cross(shank, thigh)
        foot_left = np.cross(np.array([0.0, 0.0, 1.0]), toe - heel)
        hinge = np.where((hinge * foot_left).sum(-1, keepdims=True) < 0, -hinge, hinge)
        frames[f"{side}_thigh"] = (_axes_of_up(thigh, hinge), hip)
        frames[f"{side}_shank"] = (_axes_of_up(shank, hinge), knee)
        forward = unit(toe - heel)
        upward = unit(np.cross(forward, unit(foot_left)))
        frames[f"{side}_foot"] = (
            np.stack([forward, np.cross(upward, forward), upward], axis=-1),
            heel,
        )
    return frames


def _axes_of_left(left: FloatArray, ahead: FloatArray) -> FloatArray:
    forward = unit(ahead - (ahead * left).sum(-1, keepdims=True) * left)
    return np.stack([forward, left, np.cross(forward, left)], axis=-1)


def _axes_of_up(up: FloatArray, aside: FloatArray) -> FloatArray:
    left = unit(aside - (aside * up).sum(-1, keepdims=True) * up)
    return np.stack([np.cross(left, up), left, up], axis=-1)
