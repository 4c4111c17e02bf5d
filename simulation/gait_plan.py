"""The plan of a recording: when each foot lands, where, and how the pelvis rides over the legs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lab.checks import FloatArray
from simulation.feet import FootPath, swing
from simulation.gait_curves import BodyCurves, bounded_normal, draw_body_curves
from simulation.gait_style import Style
from simulation.hermite import IndexArray
from simulation.legs import length_from_knee
from simulation.rotations import rotate
from simulation.skeleton import LEFT, Body, hip_from_pelvis, pelvis_axes
from simulation.stance import Planted, Steps, plant

_GRAVITY = 9.81
_LATE, _LATE_WEIGHT = 0.75, 0.3
_SPARE_STRIDES = 4  # before and after the recording, so that every curve is smooth in it
# Least knee flexion in stance: at strike, where a straight leg would buckle at once, through it,
# and at off, where hip and ankle part quickly.
_MIN_KNEE_AT = (0.0, 0.15, 0.7, 1.0)
_MIN_KNEE = {"walk": np.deg2rad([5, 5, 5, 15.0]), "run": np.deg2rad([13, 10, 8, 15.0])}
_MAX_LOWERING = 0.08  # of the leg's length
_BALLISTIC_WEIGHT = 1.5e-3  # m per m/s^2: how much the flight's fall counts beside the knees


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """When the feet land and leave, left and right in turn, a left one first.

    Attributes:
        strike, off: (M,) s.
        beat: (M + 2,) s, the strikes and two more: what the phase of the stride goes by.
    """

    strike: FloatArray
    off: FloatArray
    beat: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Ride:
    """The path of the middle of the hips over the ground.

    Attributes:
        curves: The body's driving curves.
        speed: m/s.
        surge: m, the forward to and fro within a step.
        height: (5,) m: mean, then cosine and sine of the second and the fourth harmonic.
    """

    curves: BodyCurves
    speed: float
    surge: float
    height: FloatArray

    def drive(self, t: FloatArray) -> dict[str, FloatArray]:
        """Return the body's driving curves (T,) at times (T,) s."""
        return self.curves.at(t)

    def middle(self, t: FloatArray) -> FloatArray:
        """Return the middle of the hips (T, 3) m in the frame of the path."""
        phi = self.curves.phase(t)
        x = self.speed * t + self.surge * np.sin(4 * np.pi * (phi - 0.05))
        return np.stack([x, self.curves.at(t)["sway"], harmonics(phi) @ self.height], axis=-1)

    def axes(self, t: FloatArray) -> FloatArray:
        """Return the pelvis axes (T, 3, 3)."""
        now = self.curves.at(t)
        return pelvis_axes(now["rotation"], now["obliquity"], now["tilt"])

    def hip(self, body: Body, side: str, t: FloatArray) -> FloatArray:
        """Return a hip joint centre (T, 3) m."""
        return self.middle(t) + rotate(self.axes(t), hip_from_pelvis(body, side))


def harmonics(phi: FloatArray) -> FloatArray:
    """Return 1 and the second and fourth harmonic of the stride (..., 5)."""
    angle = 4 * np.pi * phi
    return np.stack(
        [np.ones_like(phi), np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)],
        axis=-1,
    )


def draw_schedule(style: Style, duration: float, rng: np.random.Generator) -> Schedule:
    """Draw the times of all steps around a recording from 0 to duration s."""
    step = style.stride_time / 2
    before = 2 * _SPARE_STRIDES
    n = before + 2 * int(np.ceil(duration / style.stride_time)) + 2 * _SPARE_STRIDES
    # Independent steps: the stride, two of them, then varies by the wanted part of itself.
    lengths = step * (1 + np.sqrt(2) * style.stride_time_cv * bounded_normal(rng, n))
    strike = np.concatenate([[0.0], np.cumsum(lengths)])
    strike += step * rng.uniform(0.0, 2.0) - strike[before]
    stance = style.stance_fraction * (strike[2:] - strike[:-2])
    stance *= 1 + style.stride_time_cv / 2 * bounded_normal(rng, len(stance))
    return Schedule(strike[:-2], strike[:-2] + stance, strike)


def plant_feet(
    style: Style, body: Body, schedule: Schedule, speed: float, rng: np.random.Generator
) -> dict[str, Planted]:
    """Choose where every step lands, on both sides of the line of the path."""
    planted = {}
    for first, (side, left) in enumerate(LEFT.items()):
        strike, off = schedule.strike[first::2], schedule.off[first::2]
        n = len(strike)
        ahead = style.strike_ahead * (1 + style.amplitude_cv / 4 * bounded_normal(rng, n))
        aside = style.step_width / 2 * (1 + style.amplitude_cv * bounded_normal(rng, n))
        heel = np.stack([speed * strike + ahead, left * aside, np.full(n, body.sole)], axis=-1)
        planted[side] = plant(style, body, Steps(strike, off, heel), left * style.toe_out)
    return planted


def _stance_samples(planted: Planted, n: int) -> tuple[IndexArray, FloatArray, FloatArray]:
    """Return step, time and fraction of stance (steps * n,) of n samples in every stance."""
    steps = planted.steps
    fraction = np.linspace(0, 1, n)
    t = steps.strike[:, None] + fraction * (steps.off - steps.strike)[:, None]
    step = np.repeat(np.arange(len(steps.strike)), n)
    return step, t.ravel(), np.tile(fraction, len(steps.strike))


def _fit_height(
    ride: Ride, body: Body, planted: dict[str, Planted], schedule: Schedule
) -> FloatArray:
    """Fit the height of the pelvis to the knees wanted in stance.

    Running, its rise and fall is fitted too, to the knees and to free fall in flight.
    """
    style = ride.curves.style
    rows, wanted = [], []
    knots = np.linspace(0, 1, len(style.stance_knee))
    for side, feet in planted.items():
        step, t, fraction = _stance_samples(feet, 25)
        length = length_from_knee(
            np.interp(fraction, knots, style.stance_knee), body.thigh, body.shank
        )
        line = feet.ankle(step, t) - ride.hip(body, side, t)
        drop = length**2 - line[:, 0] ** 2 - line[:, 1] ** 2
        inside = drop > 0
        # With the height at 0, hip z is what the pelvis' turning alone gives.
        hip_z = ride.hip(body, side, t)[:, 2]
        ankle_z = feet.ankle(step, t)[:, 2]
        # Late stance counts less: there the foot's roll leaves the knee room to give.
        weight = np.where(fraction > _LATE, _LATE_WEIGHT, 1.0)
        rows.append((weight[:, None] * harmonics(ride.curves.phase(t)))[inside])
        wanted.append((weight * (ankle_z - hip_z + np.sqrt(np.maximum(drop, 0))))[inside])
    if style.activity == "run":
        part = np.linspace(0.1, 0.9, 7)
        gaps = schedule.strike[1:, None] - schedule.off[:-1, None]
        phi = ride.curves.phase((schedule.off[:-1, None] + part * gaps).ravel())
        rate = 4 * np.pi / style.stride_time
        factor = -(rate**2) * np.array([0, 1, 1, 4, 4])
        rows.append(_BALLISTIC_WEIGHT * harmonics(phi) * factor)
        wanted.append(np.full(len(phi), -_BALLISTIC_WEIGHT * _GRAVITY))
    basis, target = np.concatenate(rows), np.concatenate(wanted)
    if style.activity == "run":
        return np.linalg.lstsq(basis, target, rcond=None)[0]
    # A walker vaults over the leg: highest in mid-stance, lowest at each strike.
    height = np.array([0.0, -style.bob, 0.0, 0.0, 0.0])
    height[0] = np.linalg.lstsq(basis[:, :1], target - basis @ height, rcond=None)[0][0]
    return height


def _lower_to_reach(ride: Ride, body: Body, planted: dict[str, Planted]) -> Ride:
    """Lower the pelvis, evenly, until no knee is over-stretched in stance.

    Raises:
        ValueError: When that would take more than a real walker could give.
    """
    excess = 0.0
    for side, feet in planted.items():
        step, t, fraction = _stance_samples(feet, 60)
        least = np.interp(fraction, _MIN_KNEE_AT, _MIN_KNEE[ride.curves.style.activity])
        reach = length_from_knee(least, body.thigh, body.shank)
        line = feet.ankle(step, t) - ride.hip(body, side, t)
        across = line[:, 0] ** 2 + line[:, 1] ** 2
        allowed = np.sqrt(np.maximum(reach**2 - across, 0))
        if (across > (0.9 * reach) ** 2).any():
            excess = np.inf
        excess = max(excess, float((-line[:, 2] - allowed).max()))
    if excess <= 0:
        return ride
    if excess > _MAX_LOWERING * (body.thigh + body.shank):
        raise ValueError(
            "the legs do not reach the ground in stance: take a shorter stride, a shorter stance,"
            " or a smaller strike_ahead"
        )
    height = ride.height.copy()
    height[0] -= excess + 1e-3
    return replace(ride, height=height)


def plan_gait(
    style: Style, body: Body, speed: float, duration: float, rng: np.random.Generator
) -> tuple[Schedule, Ride, dict[str, FootPath]]:
    """Plan a recording from 0 to duration s.

    Raises:
        ValueError: When the legs do not reach.
    """
    schedule = draw_schedule(style, duration, rng)
    curves = draw_body_curves(style, schedule.beat, rng)
    planted = plant_feet(style, body, schedule, speed, rng)
    surge = 0.008 if style.activity == "walk" else 0.005
    ride = Ride(curves, speed, surge * body.height / 1.75, np.zeros(5))
    ride = replace(ride, height=_fit_height(ride, body, planted, schedule))
    ride = _lower_to_reach(ride, body, planted)
    feet = {}
    for side, each in planted.items():

        def hip(t: FloatArray, side: str = side) -> FloatArray:
            return ride.hip(body, side, t)

        feet[side] = swing(each, hip)
    return schedule, ride, feet
