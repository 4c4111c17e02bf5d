"""Legs: joint angles from where hip and ankle are, and where the leg is from its joint angles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.checks import FloatArray
from simulation.rotations import rotate, rotation_x, rotation_y, rotation_z, unit

FORWARD = np.array([1.0, 0.0, 0.0])


@dataclass(frozen=True, slots=True, eq=False)
class LegAngles:
    """Joint angles of one leg, (T,) rad each.

    The thigh stands to the pelvis as Ry(-hip_flexion) Rx(hip_sideways) Rz(hip_turn), the shank to
    the thigh as Ry(knee_flexion); `hip_sideways` brings the knee to the left.
    """

    hip_flexion: FloatArray
    hip_sideways: FloatArray
    hip_turn: FloatArray
    knee_flexion: FloatArray


def knee_from_length(length: FloatArray, thigh: float, shank: float) -> FloatArray:
    """Return the knee flexion (...) rad of a hip-to-ankle length (...) m; NaN out of reach."""
    cosine = (length**2 - thigh**2 - shank**2) / (2 * thigh * shank)
    with np.errstate(invalid="ignore"):
        return np.arccos(cosine)


def length_from_knee(knee: FloatArray, thigh: float, shank: float) -> FloatArray:
    """Return the hip-to-ankle length (...) m of a knee flexion (...) rad (law of cosines)."""
    return np.sqrt(thigh**2 + shank**2 + 2 * thigh * shank * np.cos(knee))


def _leg_axes(line: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return down the line, forward and left (..., 3), the knee bending forward."""
    down = unit(line)
    along = (down @ FORWARD)[..., None]
    forward = unit(FORWARD - along * down)
    return down, forward, np.cross(forward, down)


def knee_position(hip: FloatArray, ankle: FloatArray, thigh: float, shank: float) -> FloatArray:
    """Return the knee (..., 3) m, bent forward of hip and ankle (..., 3) m; NaN out of reach."""
    line = ankle - hip
    length = np.linalg.norm(line, axis=-1)
    down, forward, _ = _leg_axes(line)
    along = (thigh**2 - shank**2 + length**2) / (2 * length)
    with np.errstate(invalid="ignore"):
        out = np.sqrt(thigh**2 - along**2)
    return hip + along[..., None] * down + out[..., None] * forward


def solve_leg(
    pelvis: FloatArray, hip: FloatArray, ankle: FloatArray, thigh: float, shank: float
) -> LegAngles:
    """Return the joint angles that bring the ankle where it is wanted.

    Args:
        pelvis: (T, 3, 3) pelvis axes, frame of the path.
        hip: (T, 3) m.
        ankle: (T, 3) m.
        thigh: Length, m.
        shank: Length, m.
    """
    knee = knee_position(hip, ankle, thigh, shank)
    up = unit(hip - knee)
    _, _, left = _leg_axes(ankle - hip)
    thigh_axes = np.stack([np.cross(left, up), left, up], axis=-1)
    relative = np.swapaxes(pelvis, -1, -2) @ thigh_axes
    return LegAngles(
        hip_flexion=np.arctan2(-relative[..., 0, 2], relative[..., 2, 2]),
        hip_sideways=-np.arcsin(relative[..., 1, 2]),
        hip_turn=np.arctan2(relative[..., 1, 0], relative[..., 1, 1]),
        knee_flexion=knee_from_length(np.linalg.norm(ankle - hip, axis=-1), thigh, shank),
    )


def place_leg(
    pelvis: FloatArray, hip: FloatArray, angles: LegAngles, thigh: float, shank: float
) -> tuple[FloatArray, FloatArray]:
    """Return knee and ankle (T, 3) m from the joint angles (forward kinematics)."""
    thigh_axes = (
        pelvis
        @ rotation_y(-angles.hip_flexion)
        @ rotation_x(angles.hip_sideways)
        @ rotation_z(angles.hip_turn)
    )
    shank_axes = thigh_axes @ rotation_y(angles.knee_flexion)
    knee = hip - thigh * thigh_axes[..., 2]
    return knee, knee - shank * shank_axes[..., 2]


def foot_axes(pitch: FloatArray, yaw: float) -> FloatArray:
    """Return the foot's axes (T, 3, 3) from pitch (T,), toe up +, and yaw, to the left +, rad."""
    return rotation_z(yaw) @ rotation_y(-pitch)


def toe_from_heel(pitch: FloatArray, yaw: float, length: float) -> FloatArray:
    """Return heel to foot_index (T, 3) m."""
    return rotate(foot_axes(pitch, yaw), [length, 0.0, 0.0])
