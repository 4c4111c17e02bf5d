"""The board's continuous motion: a cubic B-spline through its poses.

Translation is a spline of the board's centre; rotation a spline of quaternions, normalised where
it is asked for, so that no orientation is singular. Small changes of a control pose are a rotation
vector about the lab's axes and a shift of the centre.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from calibration.normals import cross_matrix
from lab.checks import FloatArray
from lab.pose import Pose

# Uniform cubic B-spline: value = [1, u, u^2, u^3] @ _CUBIC @ the four control values.
_CUBIC = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Control poses of the spline.

    Attributes:
        start: s, when the first interval begins.
        step: s between knots.
        quaternions: (N, 4) unit, scalar last, lab_from_board.
        centres: (N, 3) m, the board's centre in the lab frame.
    """

    start: float = field(metadata={"unit": "s"})
    step: float = field(metadata={"unit": "s"})
    quaternions: FloatArray
    centres: FloatArray = field(metadata={"unit": "m"})

    def moved(self, steps: FloatArray) -> Motion:
        """Return the motion with small changes (N, 6) of its control poses."""
        turn = Rotation.from_rotvec(steps[:, :3]) * Rotation.from_quat(self.quaternions)
        quaternions = turn.as_quat()
        same = np.sign((quaternions * self.quaternions).sum(1))
        return replace(
            self, quaternions=quaternions * same[:, None], centres=self.centres + steps[:, 3:]
        )

    def transformed(self, new_from_old: Pose) -> Motion:
        """Return the same motion in another lab frame."""
        turn = Rotation.from_matrix(new_from_old.rotation) * Rotation.from_quat(self.quaternions)
        quaternions = turn.as_quat()
        flips = np.where((quaternions[1:] * quaternions[:-1]).sum(1) < 0, -1.0, 1.0)
        quaternions[1:] *= np.cumprod(flips)[:, None]
        centres = new_from_old.transform(self.centres)
        return replace(self, quaternions=quaternions, centres=centres)


@dataclass(frozen=True, slots=True, eq=False)
class Instants:
    """The board at V instants.

    Attributes:
        first: (V,) the first of the four control poses that matter.
        rotations: (V, 3, 3) lab_from_board.
        centres: (V, 3) m.
        velocity: (V, 6) rad/s about the lab's axes, and m/s of the centre.
        by_control: (V, 4, 6, 6) change of [turn, centre] by those of the control poses.
    """

    first: NDArray[np.intp]
    rotations: FloatArray
    centres: FloatArray
    velocity: FloatArray
    by_control: FloatArray


def through(
    t: FloatArray, rotations: FloatArray, centres: FloatArray, step: float, margin: float
) -> Motion:
    """Return a motion near the poses (B) at rising times t (B,), a margin (s) longer than them."""
    start = float(t[0]) - margin
    count = int(np.ceil((t[-1] + margin - start) / step)) + 3
    # A control value lies near the spline's value in the middle of its support.
    at = np.clip(start + (np.arange(count) - 1) * step, t[0], t[-1])
    rotation = Slerp(t, Rotation.from_matrix(rotations))(at).as_quat()
    flips = np.cumprod(np.where((rotation[1:] * rotation[:-1]).sum(1) < 0, -1.0, 1.0))
    rotation[1:] *= flips[:, None]
    place = np.stack([np.interp(at, t, centres[:, i]) for i in range(3)], axis=1)
    return Motion(start, step, rotation, place)


def at_instants(motion: Motion, t: FloatArray) -> Instants:
    """Evaluate the motion at times (V,), clipped to where it is defined."""
    last = len(motion.centres) - 4
    place = (t - motion.start) / motion.step
    first = np.clip(np.floor(place), 0, last).astype(np.intp)
    u = np.clip(place - first, 0.0, 1.0)
    ones, zeros = np.ones_like(u), np.zeros_like(u)
    weight = np.stack([ones, u, u**2, u**3], axis=1) @ _CUBIC
    slope = np.stack([zeros, ones, 2 * u, 3 * u**2], axis=1) @ _CUBIC / motion.step
    near = first[:, None] + np.arange(4)
    quaternions, centres = motion.quaternions[near], motion.centres[near]
    mixed = np.einsum("vk,vki->vi", weight, quaternions)
    squared = (mixed**2).sum(1)
    changing = np.einsum("vk,vki->vi", slope, quaternions)
    velocity = np.concatenate(
        [
            2 * _times_conjugate(changing, mixed)[:, :3] / squared[:, None],
            np.einsum("vk,vki->vi", slope, centres),
        ],
        axis=1,
    )
    # d(mixed) = sum of weight (d, 0) q / 2, and the turn is 2 Im(d(mixed) mixed*) / |mixed|^2.
    apart = _times_conjugate(quaternions, mixed[:, None])
    turning = apart[..., 3, None, None] * np.eye(3) - cross_matrix(apart[..., :3])
    by_control = np.zeros((len(t), 4, 6, 6))
    by_control[..., :3, :3] = turning * (weight / squared[:, None])[:, :, None, None]
    by_control[..., 3:, 3:] = weight[:, :, None, None] * np.eye(3)
    return Instants(
        first,
        Rotation.from_quat(mixed).as_matrix(),
        np.einsum("vk,vki->vi", weight, centres),
        velocity,
        by_control,
    )


def bending(count: int, step: float) -> FloatArray:
    """Return the Gram matrix of the control values' second derivative, as diagonals (4, N).

    With values c the integral of the squared second derivative over all intervals is c' G c;
    row j holds G[k, k + j].
    """
    # Within an interval the second derivative is linear in u: a + b u.
    a = 2 * _CUBIC[2] / step**2
    b = 6 * _CUBIC[3] / step**2
    one = step * (np.outer(a, a) + (np.outer(a, b) + np.outer(b, a)) / 2 + np.outer(b, b) / 3)
    diagonals = np.zeros((4, count))
    for i in range(4):
        for j in range(i, 4):
            diagonals[j - i, i : count - 3 + i] += one[i, j]
    return diagonals


def _times_conjugate(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return p q* of quaternions (..., 4), scalar last."""
    u, w, v, s = p[..., :3], p[..., 3:], q[..., :3], q[..., 3:]
    vector = s * u - w * v - np.cross(u, v)
    scalar = w * s + (u * v).sum(-1, keepdims=True)
    return np.concatenate([vector, scalar], axis=-1)
