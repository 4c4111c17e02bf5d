"""The body that walks: its lengths, and its points from pelvis, trunk and limbs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.checks import FloatArray
from simulation.rotations import rotate, rotation_x, rotation_y, rotation_z, unit

KEYPOINTS = (
    "nose",
    "neck",
    *(
        f"{side}_{part}"
        for part in (
            "eye",
            "ear",
            "shoulder",
            "elbow",
            "wrist",
            "asis",
            "psis",
            "hip",
            "knee",
            "ankle",
            "heel",
            "foot_index",
        )
        for side in ("left", "right")
    ),
)
LEFT = {"left": 1.0, "right": -1.0}
# Of the height: middle of the ASIS to middle of the PSIS, and one PSIS to the other.
_PELVIS_DEPTH, _PSIS_APART = 0.094, 0.052


@dataclass(frozen=True, slots=True)
class Body:
    """Lengths in m.

    Attributes:
        height: Of the person.
        hip_half_width: Half the distance of the hip joint centres.
        thigh, shank: Joint to joint.
        foot: Heel to foot_index.
        ankle_from_heel: In the foot's frame, forward, left, up.
        sole: Height of heel and foot_index over the ground when they rest on it.
        trunk: Middle of the hips to the middle of the shoulders.
        shoulder_half_width: Half the distance of the acromia.
        upper_arm, forearm: Joint to joint.
    """

    height: float
    hip_half_width: float
    thigh: float
    shank: float
    foot: float
    ankle_from_heel: tuple[float, float, float]
    sole: float
    trunk: float
    shoulder_half_width: float
    upper_arm: float
    forearm: float


def body_of_height(height_m: float) -> Body:
    """Return a body of usual proportions.

    Segment lengths as fractions of the height after Drillis and Contini (Body segment parameters,
    New York University, 1966), as given in Winter, Biomechanics and Motor Control of Human
    Movement, 4th ed. 2009, figure 4.1; the foot to the ball of the big toe.

    Raises:
        ValueError: For a height outside 0.8 to 2.3 m.
    """
    if not 0.8 <= height_m <= 2.3:
        raise ValueError(f"height_m must lie between 0.8 and 2.3, got {height_m}")
    h = height_m
    return Body(
        height=h,
        hip_half_width=0.05 * h,
        thigh=0.245 * h,
        shank=0.246 * h,
        foot=0.115 * h,
        ankle_from_heel=(0.028 * h, 0.0, 0.028 * h),
        sole=0.012 * h,
        trunk=0.288 * h,
        shoulder_half_width=0.11 * h,
        upper_arm=0.17 * h,
        forearm=0.145 * h,
    )


def pelvis_axes(rotation: FloatArray, obliquity: FloatArray, tilt: FloatArray) -> FloatArray:
    """Return the pelvis axes (T, 3, 3) in the frame of the path: Rz(-rotation) Rx(obl) Ry(tilt).

    rotation: left side forward +; obliquity: left up +; tilt: front down +; rad.
    """
    return rotation_z(-rotation) @ rotation_x(obliquity) @ rotation_y(tilt)


def hip_from_pelvis(body: Body, side: str) -> FloatArray:
    """Return the hip joint centre (3,) m in the pelvis frame, from the middle of both."""
    return np.array([0.0, LEFT[side] * body.hip_half_width, 0.0])


def pelvis_points(body: Body, middle: FloatArray, axes: FloatArray) -> dict[str, FloatArray]:
    """Return hips, ASIS and PSIS (T, 3) m; the four spines lie in a plane level at tilt 0.

    The spines stand to the hips as the regressions of Harrington et al., J Biomech 40:595 (2007),
    have it of a usual person: with the pelvis' width w and depth d the hips lie 0.24 d + 9.9 mm
    behind, 0.30 w + 10.9 mm below and 0.33 w + 7.3 mm beside the middle of the ASIS.
    """
    width = (body.hip_half_width - 0.0073) / 0.33
    depth = _PELVIS_DEPTH * body.height
    ahead, above = 0.24 * depth + 0.0099, 0.30 * width + 0.0109
    points = {}
    for side, left in LEFT.items():
        offsets = {
            "hip": hip_from_pelvis(body, side),
            "asis": [ahead, left * width / 2, above],
            "psis": [ahead - depth, left * _PSIS_APART * body.height / 2, above],
        }
        for name, offset in offsets.items():
            points[f"{side}_{name}"] = middle + rotate(axes, offset)
    return points


def trunk_axes(
    lean_forward: FloatArray, lean_lateral: FloatArray, rotation: FloatArray
) -> FloatArray:
    """Return the trunk axes (T, 3, 3); the third is the trunk axis itself.

    Its projections on the sagittal and the frontal plane lean by exactly the given angles from
    the vertical, forward + and to the left +; rotation: left shoulder forward +.
    """
    up = unit(
        np.stack([np.tan(lean_forward), np.tan(lean_lateral), np.ones_like(lean_forward)], -1)
    )
    sideways = rotate(rotation_z(-rotation), [0.0, 1.0, 0.0])
    left = unit(sideways - (sideways * up).sum(-1, keepdims=True) * up)
    return np.stack([np.cross(left, up), left, up], axis=-1)


def trunk_points(
    body: Body, middle: FloatArray, axes: FloatArray, arms: FloatArray, elbow: float
) -> dict[str, FloatArray]:
    """Return shoulders, arms and head (T, 3) m.

    Args:
        body: Lengths.
        middle: (T, 3) m, middle of the hips.
        axes: (T, 3, 3) trunk axes.
        arms: (T,) rad, right arm forward and left arm back +.
        elbow: Flexion, rad.
    """
    h = body.height
    neck = middle + body.trunk * axes[..., 2]
    points = {"neck": neck + rotate(axes, [0.0, 0.0, 0.012 * h])}
    # The head looks ahead and stays level, whatever the trunk does.
    top = neck + rotate(axes, [0.0, 0.0, 0.06 * h])
    points["nose"] = top + np.array([0.065, 0.0, 0.045]) * h
    for side, left in LEFT.items():
        points[f"{side}_eye"] = top + np.array([0.053, 0.018 * left, 0.062]) * h
        points[f"{side}_ear"] = top + np.array([0.0, 0.042 * left, 0.05]) * h
        shoulder = neck + rotate(axes, [0.0, left * body.shoulder_half_width, 0.0])
        swing = -left * arms
        hang = axes @ rotation_x(np.full(len(arms), left * 0.15)) @ rotation_y(-swing)
        bent = hang @ rotation_y(np.full(len(arms), -elbow))
        points[f"{side}_shoulder"] = shoulder
        points[f"{side}_elbow"] = shoulder - body.upper_arm * hang[..., 2]
        points[f"{side}_wrist"] = points[f"{side}_elbow"] - body.forearm * bent[..., 2]
    return points
