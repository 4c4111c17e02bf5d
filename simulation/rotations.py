"""Rotations of the simulation: its own, so that the analysis is judged by an independent hand.

All are right-handed about the axes x forward, y left, z up: `rotation_x` lifts the left side,
`rotation_y` brings the front down, `rotation_z` turns the front to the left.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.checks import FloatArray


def _about(angle: Any, first: int, second: int) -> FloatArray:
    angle = np.asarray(angle, float)
    result = np.zeros((*angle.shape, 3, 3))
    third = 3 - first - second
    cosine, sine = np.cos(angle), np.sin(angle)
    result[..., third, third] = 1.0
    result[..., first, first] = result[..., second, second] = cosine
    result[..., second, first] = sine
    result[..., first, second] = -sine
    return result


def rotation_x(angle: Any) -> FloatArray:
    """Return rotations (..., 3, 3) by angles (...) rad about x: y goes towards z."""
    return _about(angle, 1, 2)


def rotation_y(angle: Any) -> FloatArray:
    """Return rotations (..., 3, 3) by angles (...) rad about y: z goes towards x."""
    return _about(angle, 2, 0)


def rotation_z(angle: Any) -> FloatArray:
    """Return rotations (..., 3, 3) by angles (...) rad about z: x goes towards y."""
    return _about(angle, 0, 1)


def rotate(rotation: FloatArray, vector: Any) -> FloatArray:
    """Apply rotations (..., 3, 3) to vectors (..., 3), or to one vector (3,)."""
    return np.einsum("...ij,...j->...i", rotation, np.asarray(vector, float))


def unit(vector: FloatArray) -> FloatArray:
    """Return vectors (..., 3) scaled to length 1."""
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)
