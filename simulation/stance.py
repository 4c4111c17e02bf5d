"""A foot from strike to off: it rolls over the heel, lies flat, rolls over the toe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.checks import FloatArray
from simulation.gait_style import Style
from simulation.hermite import IndexArray, Quintics, join
from simulation.legs import foot_axes, toe_from_heel
from simulation.rotations import rotate
from simulation.skeleton import Body

# Rates of the foot's pitch at strike and at off over their means between strike and flat, and
# between heel-rise and off.
_LANDING_RATE = 1.0
_LEAVING_RATE = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The times and places of one foot's steps, in the frame of the path.

    Attributes:
        strike, off: (n,) s.
        heel: (n, 3) m, where the heel rests.
    """

    strike: FloatArray
    off: FloatArray
    heel: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """The stance phases of one foot.

    The heel is at rest from strike to heel-rise, foot_index from foot-flat to off.
    """

    style: Style
    body: Body
    steps: Steps
    yaw: float
    down: Quintics
    up: Quintics

    @property
    def flat(self) -> FloatArray:
        """When the foot lies flat, (n,) s."""
        return self.down.start + self.down.length

    def pitch(self, step: IndexArray, t: FloatArray) -> FloatArray:
        """Return the pitch (T,) rad in steps (T,) at times (T,)."""
        rolling = np.where(t < self.flat[step], self.down.at(step, t), 0.0)
        return np.where(t > self.up.start[step], self.up.at(step, t), rolling)

    def ankle(self, step: IndexArray, t: FloatArray) -> FloatArray:
        """Return the ankle (T, 3) m in steps (T,) at times (T,)."""
        pitch = self.pitch(step, t)
        length = self.body.foot
        toe = self.steps.heel[step] + toe_from_heel(np.zeros(len(t)), self.yaw, length)
        over_toe = toe - toe_from_heel(pitch, self.yaw, length)
        rising = (t > self.up.start[step])[:, None]
        heel = np.where(rising, over_toe, self.steps.heel[step])
        return heel + rotate(foot_axes(pitch, self.yaw), self.body.ankle_from_heel)


def plant(style: Style, body: Body, steps: Steps, yaw: float) -> Planted:
    """Return the stance phases of one foot."""
    n = len(steps.strike)
    stance = steps.off - steps.strike
    flat = steps.strike + style.flat_at * stance
    rise = steps.strike + style.rise_at * stance
    rest = np.zeros((n, 3))
    landing = np.zeros((n, 3))
    landing[:, 0] = style.strike_pitch
    landing[:, 1] = -_LANDING_RATE * style.strike_pitch / (flat - steps.strike)
    leaving = np.zeros((n, 3))
    leaving[:, 0] = style.off_pitch
    leaving[:, 1] = _LEAVING_RATE * style.off_pitch / (steps.off - rise)
    return Planted(
        style,
        body,
        steps,
        yaw,
        down=join(steps.strike, flat, landing, rest),
        up=join(rise, steps.off, rest, leaving),
    )
