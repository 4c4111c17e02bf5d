"""Angles of the body, each with its definition, sequence and sign.

All are elevations, projections into the planes of the progression frame (forward, left, up), or
Cardan angles of the order named beside them; clinical reasons for the choices stand in
docs/conventions.md.
"""

from __future__ import annotations

import numpy as np

from analysis.segments import UP, Body, pelvic_axis, pelvis_frame, unit
from lab.checks import FloatArray


def compute_angles(body: Body) -> dict[str, FloatArray]:
    """Compute every angle that the points allow.

    Args:
        body: Points (..., T, K, 3) m and the progression.

    Returns:
        Curves (..., T) rad by name; an angle whose points do not exist is left out, a frame whose
        points are missing is NaN.
    """
    curves: dict[str, FloatArray] = {}
    _pelvis(body, curves)
    _trunk(body, curves)
    for side in ("left", "right"):
        _leg(body, side, curves)
    return curves


def _pelvis(body: Body, curves: dict[str, FloatArray]) -> None:
    """Pelvis against lab up and progression, Cardan order rotation, obliquity, tilt.

    With R = Rz(rotation) Rx(obliquity) Ry(tilt) the obliquity is the elevation of the
    right-to-left axis and does not depend on the heading (Baker, Gait Posture 13:1, 2001). Left up
    +, front down +, left side forward +.
    """
    axis = pelvic_axis(body)
    if axis is None:
        return
    y = unit(axis)
    curves["pelvis_obliquity"] = np.arcsin(np.clip(y[..., 2], -1, 1))
    curves["pelvis_rotation"] = np.arctan2(body.along(y), body.aside(y))
    frame = pelvis_frame(body)
    if frame is None:
        return
    # After Rz Rx the z axis stands square to y in the vertical plane of y; tilt turns about y.
    y = frame[..., 1]
    level_forward = unit(np.cross(y, np.broadcast_to(UP, y.shape)))
    x = frame[..., 0]
    upright = np.cross(level_forward, y)
    curves["pelvis_tilt"] = np.arctan2(-(x * upright).sum(-1), (x * level_forward).sum(-1))


def _trunk(body: Body, curves: dict[str, FloatArray]) -> None:
    """Trunk axis, mid hip joint centres to mid acromia, against the vertical.

    Forward +, to the left +, each as projected into its plane of the progression frame. Against
    the pelvis: the difference to the pelvis' own lean in the same plane.
    """
    if not body.has("left_hip", "right_hip", "left_shoulder", "right_shoulder"):
        return
    axis = body.middle("shoulder") - body.middle("hip")
    forward = np.arctan2(body.along(axis), axis[..., 2])
    lateral = np.arctan2(body.aside(axis), axis[..., 2])
    curves["trunk_lean_forward"] = forward
    curves["trunk_lean_lateral"] = lateral
    if "pelvis_tilt" in curves:
        curves["trunk_pelvis_forward"] = forward - curves["pelvis_tilt"]
    if "pelvis_obliquity" in curves:
        curves["trunk_pelvis_lateral"] = lateral + curves["pelvis_obliquity"]


def _sagittal(body: Body, down: FloatArray) -> FloatArray:
    """Angle (..., T) of a line that hangs down, in the sagittal plane of progression, ahead +."""
    return np.arctan2(body.along(down), -down[..., 2])


def _leg(body: Body, side: str, curves: dict[str, FloatArray]) -> None:
    """Thigh, shank, foot and the whole limb of one side."""
    hip, knee, ankle, heel, toe = (
        f"{side}_{joint}" for joint in ("hip", "knee", "ankle", "heel", "foot_index")
    )
    if body.has(hip, knee):
        thigh = body.point(knee) - body.point(hip)
        flexion = _sagittal(body, thigh)
        curves[f"thigh_flexion_{side}"] = flexion
        if "trunk_lean_forward" in curves:
            # The line of the trunk carried on below the hip leans backward by the trunk's lean.
            curves[f"thigh_trunk_flexion_{side}"] = flexion + curves["trunk_lean_forward"]
        frame = pelvis_frame(body)
        if frame is not None:
            # Cardan order flexion (about y), adduction (about x), rotation: the first two depend
            # on the long axis of the thigh alone (Grood and Suntay, J Biomech Eng 105:136, 1983).
            up = unit(np.einsum("...ji,...j->...i", frame, -thigh))
            outward = 1.0 if side == "left" else -1.0
            curves[f"hip_flexion_{side}"] = np.arctan2(-up[..., 0], up[..., 2])
            curves[f"hip_adduction_{side}"] = np.arcsin(np.clip(up[..., 1] * outward, -1, 1))
    if body.has(knee, ankle):
        shank = body.point(ankle) - body.point(knee)
        if body.has(hip):
            thigh = body.point(knee) - body.point(hip)
            bend = np.arctan2(
                np.linalg.norm(np.cross(thigh, shank), axis=-1), (thigh * shank).sum(-1)
            )
            # Flexed when the ankle is behind the line of the thigh.
            ahead = _sagittal(body, thigh) - _sagittal(body, shank)
            curves[f"knee_flexion_{side}"] = np.where(np.sin(ahead) < 0, -bend, bend)
    if body.has(heel, toe):
        foot = body.point(toe) - body.point(heel)
        curves[f"foot_angle_{side}"] = np.arctan2(foot[..., 2], body.along(foot))
        if body.has(knee, ankle):
            shank = unit(body.point(knee) - body.point(ankle))
            cosine = (shank * unit(foot)).sum(-1)
            curves[f"ankle_dorsiflexion_{side}"] = np.pi / 2 - np.arccos(np.clip(cosine, -1, 1))
    curves.update(strike_angles(body, side))


def strike_angles(body: Body, side: str) -> dict[str, FloatArray]:
    """Compute the angles of one side that are read at foot strike.

    The line from the hip joint centre to the heel and to the ankle, and the shank, each against
    straight down in the sagittal plane of progression, foot ahead +.
    """
    curves: dict[str, FloatArray] = {}
    for name, top, end in (
        ("limb_angle_heel", "hip", "heel"),
        ("limb_angle_ankle", "hip", "ankle"),
        ("shank_angle", "knee", "ankle"),
    ):
        if body.has(f"{side}_{top}", f"{side}_{end}"):
            line = body.point(f"{side}_{end}") - body.point(f"{side}_{top}")
            curves[f"{name}_{side}"] = _sagittal(body, line)
    return curves
