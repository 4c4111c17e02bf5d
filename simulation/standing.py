"""A person who stands still: the reference that drop and lean are also given against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.checks import FloatArray
from simulation.gait_curves import CURVES
from simulation.legs import foot_axes, length_from_knee
from simulation.rotations import rotate
from simulation.skeleton import LEFT, Body, hip_from_pelvis, pelvis_axes

_STANDING_KNEE = np.deg2rad(3.0)


@dataclass(frozen=True, slots=True, eq=False)
class Posture:
    """Angles that do not change, by the names of `gait_curves.CURVES`.

    Attributes:
        angles: rad.
        height: m, of the middle of the hips.
    """

    angles: dict[str, float]
    height: float

    def drive(self, t: FloatArray) -> dict[str, FloatArray]:
        """Return every driving curve (T,) at times (T,) s."""
        return {name: np.full(len(t), self.angles.get(name, 0.0)) for name in CURVES}

    def middle(self, t: FloatArray) -> FloatArray:
        """Return the middle of the hips (T, 3) m."""
        return np.tile([0.0, 0.0, self.height], (len(t), 1))

    def axes(self, t: FloatArray) -> FloatArray:
        """Return the pelvis axes (T, 3, 3)."""
        now = self.drive(t)
        return pelvis_axes(now["rotation"], now["obliquity"], now["tilt"])


@dataclass(frozen=True, slots=True, eq=False)
class FlatFoot:
    """A foot at rest.

    Attributes:
        ankle: (3,) m.
        yaw: rad, to the left +.
    """

    ankle: FloatArray
    yaw: float

    def at(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the ankle (T, 3) m and the pitch (T,) rad."""
        return np.tile(self.ankle, (len(t), 1)), np.zeros(len(t))


def stand(
    body: Body, angles: dict[str, float], width: float, toe_out: float
) -> tuple[Posture, dict[str, FlatFoot]]:
    """Place the feet under the hips, the straighter knee bent by 3 degrees.

    Args:
        body: Lengths.
        angles: rad, by the names of `gait_curves.CURVES`.
        width: m between the heels.
        toe_out: rad.

    Raises:
        ValueError: When the feet stand too wide apart for the legs.
    """
    feet = {}
    heights = []
    length = float(length_from_knee(np.array(_STANDING_KNEE), body.thigh, body.shank))
    level = Posture(angles, 0.0)
    axes = level.axes(np.zeros(1))[0]
    for side, left in LEFT.items():
        yaw = left * toe_out
        lever = rotate(foot_axes(np.zeros(1), yaw)[0], body.ankle_from_heel)
        ankle = np.array([0.0, left * width / 2, body.sole + lever[2]])
        hip = rotate(axes, hip_from_pelvis(body, side))
        across = ((ankle - hip)[:2] ** 2).sum()
        if across > (0.5 * length) ** 2:
            raise ValueError("the feet stand too far from under the hips")
        heights.append(float(ankle[2] + np.sqrt(length**2 - across) - hip[2]))
        feet[side] = FlatFoot(ankle, yaw)
    return Posture(angles, min(heights)), feet
