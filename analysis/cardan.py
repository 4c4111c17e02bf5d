"""Cardan angles of rotations between frames with x forward, y left, z up."""

from __future__ import annotations

import numpy as np

from lab.checks import FloatArray


def cardan_tilt_first(rotation: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Take R = Ry(a) Rx(b) Rz(c) apart: the order of Plug-in Gait and of the clinical joint angles.

    Grood and Suntay, J Biomech Eng 105:136 (1983), for joints.

    Args:
        rotation: (..., 3, 3) proximal_from_distal.

    Returns:
        a about y (turns z towards x), b about x (turns y towards z), c about z (turns x towards
        y); (...) rad each.
    """
    a = np.arctan2(rotation[..., 0, 2], rotation[..., 2, 2])
    b = -np.arcsin(np.clip(rotation[..., 1, 2], -1.0, 1.0))
    c = np.arctan2(rotation[..., 1, 0], rotation[..., 1, 1])
    return a, b, c


def cardan_rotation_first(rotation: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Take R = Rz(c) Rx(b) Ry(a) apart: rotation, obliquity, tilt.

    Here b is the elevation of the segment's y axis above the horizontal, and neither a nor b
    changes when the lab is turned about the vertical. Baker, Gait Posture 13:1 (2001).

    Args:
        rotation: (..., 3, 3) lab_from_segment.

    Returns:
        a about y, b about x, c about z, as in `cardan_tilt_first`; (...) rad each.
    """
    a = np.arctan2(-rotation[..., 2, 0], rotation[..., 2, 2])
    b = np.arcsin(np.clip(rotation[..., 2, 1], -1.0, 1.0))
    c = np.arctan2(-rotation[..., 0, 1], rotation[..., 1, 1])
    return a, b, c
