"""The feet's paths over the ground: planted in stance, swung through between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lab.checks import FloatArray
from simulation.hermite import IndexArray, Quintics, join
from simulation.legs import (
    foot_axes,
    knee_from_length,
    knee_position,
    length_from_knee,
    toe_from_heel,
)
from simulation.rotations import rotate
from simulation.skeleton import Body
from simulation.stance import Planted

_CLEARANCE = 0.006  # of the height of the person: 10 mm at 1.75 m
_LIFT, _LIFTS = np.deg2rad(2.0), 16
_STRAIGHT = 0.004  # bend of a knee of 5 degrees
_STENCIL = 0.25e-3 * np.arange(-2, 3)  # s
_FIRST = np.array([1, -8, 0, 8, -1]) / (12 * 0.25e-3)
_SECOND = np.array([-1, 16, -30, 16, -1]) / (12 * 0.25e-3**2)

HipPath = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class FootPath:
    """Where one foot is at any time.

    In swing the leg is led by its own angles (line from hip to ankle forward and sideways, bend of
    the knee, ankle), so that it always reaches.
    """

    planted: Planted
    hip: HipPath
    forward: tuple[Quintics, ...]
    sideways: tuple[Quintics, ...]
    bend: tuple[Quintics, ...]
    ankle_angle: tuple[Quintics, ...]

    @property
    def yaw(self) -> float:
        """Yaw of the foot, to the left +, rad."""
        return self.planted.yaw

    def at(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the ankle (T, 3) m and the foot's pitch (T,) rad at times (T,) s."""
        steps = self.planted.steps
        step = np.searchsorted(steps.strike, t, side="right") - 1
        swing = t > steps.off[step]
        ankle = np.empty((len(t), 3))
        pitch = np.empty(len(t))
        rest = ~swing
        ankle[rest] = self.planted.ankle(step[rest], t[rest])
        pitch[rest] = self.planted.pitch(step[rest], t[rest])
        ankle[swing], pitch[swing] = self._swing(step[swing], t[swing])
        return ankle, pitch

    def _swing(self, step: IndexArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        body = self.planted.body
        state = [
            _piecewise(pieces, step, t)
            for pieces in (self.forward, self.sideways, self.bend, self.ankle_angle)
        ]
        hip = self.hip(t)
        ankle = hip + _line(state[0], state[1], state[2], body)
        return ankle, state[3] + _shank_angle(hip, ankle, body)


def _piecewise(pieces: tuple[Quintics, ...], step: IndexArray, t: FloatArray) -> FloatArray:
    value = pieces[0].at(step, t)
    for piece in pieces[1:]:
        value = np.where(t > piece.start[step], piece.at(step, t), value)
    return value


def _bend_from_knee(knee: FloatArray) -> FloatArray:
    """Return the bend of a knee flexion (...) rad.

    It is nearly 1 - cos(flexion), which unlike the angle changes smoothly with the length of a leg
    that is almost straight; below, it runs on to minus infinity, so that no bend over-stretches.
    """
    bend = 1 - np.cos(knee)
    return bend - _STRAIGHT**2 / bend


def _knee_from_bend(bend: FloatArray) -> FloatArray:
    """Return the knee flexion (...) rad of a bend."""
    cosine = 1 - (bend + np.sqrt(bend**2 + 4 * _STRAIGHT**2)) / 2
    return np.arccos(np.maximum(cosine, -1.0))


def _line(forward: FloatArray, sideways: FloatArray, bend: FloatArray, body: Body) -> FloatArray:
    length = length_from_knee(_knee_from_bend(bend), body.thigh, body.shank)
    down = np.stack(
        [
            np.sin(forward) * np.cos(sideways),
            np.sin(sideways),
            -np.cos(forward) * np.cos(sideways),
        ],
        axis=-1,
    )
    return length[..., None] * down


def _shank_angle(hip: FloatArray, ankle: FloatArray, body: Body) -> FloatArray:
    shank = ankle - knee_position(hip, ankle, body.thigh, body.shank)
    return np.arctan2(shank[..., 0], -shank[..., 2])


def _leg_state(hip: FloatArray, ankle: FloatArray, pitch: FloatArray, body: Body) -> FloatArray:
    """Return (4, ...): line forward and sideways in rad, bend of the knee, ankle angle in rad."""
    line = ankle - hip
    length = np.linalg.norm(line, axis=-1)
    return np.stack(
        [
            np.arctan2(line[..., 0], -line[..., 2]),
            np.arcsin(line[..., 1] / length),
            _bend_from_knee(knee_from_length(length, body.thigh, body.shank)),
            pitch - _shank_angle(hip, ankle, body),
        ]
    )


def _derivatives(samples: FloatArray) -> FloatArray:
    """Return value, first and second derivative (4, n, 3) from samples (4, n, 5)."""
    return np.stack([samples[..., 2], samples @ _FIRST, samples @ _SECOND], axis=-1)


def swing(planted: Planted, hip: HipPath) -> FootPath:
    """Return a foot's whole path, its swings high enough to clear the ground.

    Raises:
        ValueError: When the leg does not reach the ground in stance, or no bending of the knee
            keeps the foot above it in swing.
    """
    lift = np.zeros(len(planted.steps.strike) - 1)
    for _ in range(_LIFTS):
        path = _join_swings(planted, hip, lift)
        low = _clearance(path) < _CLEARANCE * planted.body.height
        if not low.any():
            return path
        # Every swing gets its own lift; a lift for all would make one stumble change the others.
        lift = lift + _LIFT * low
    raise ValueError("a foot goes through the floor in swing: take a larger swing_knee")


def _clearance(path: FootPath) -> FloatArray:
    """Return the least height of heel and toe over their rest in mid-swing, (n,) m."""
    body, yaw, steps = path.planted.body, path.yaw, path.planted.steps
    n = len(steps.strike) - 1
    share = np.linspace(0.0, 1.0, 60)
    t = steps.off[:-1, None] + share * (steps.strike[1:] - steps.off[:-1])[:, None]
    ankle, pitch = path.at(t.ravel())
    heel = ankle - rotate(foot_axes(pitch, yaw), body.ankle_from_heel)
    toe = heel + toe_from_heel(pitch, yaw, body.foot)
    over = np.minimum(heel[:, 2], toe[:, 2]).reshape(n, -1) - body.sole
    # Near its ends a swing has to come down: there it only must not go through the floor.
    middle = (share > 0.2) & (share < 0.6)
    over[:, ~middle] += _CLEARANCE * body.height + 1e-9
    return over.min(axis=1)


def _join_swings(planted: Planted, hip: HipPath, lift: FloatArray) -> FootPath:
    """Return a foot's whole path, its swings joined to its stance phases.

    At off the toe starts with an acceleration; at strike the heel arrives with a velocity: the
    two corners by which events are seen. Everything else is continuous to the acceleration.

    Raises:
        ValueError: When the leg does not reach the ground in stance.
    """
    style, body, steps = planted.style, planted.body, planted.steps
    n = len(steps.strike) - 1
    off, strike = steps.off[:-1], steps.strike[1:]
    t_off, t_strike = off[:, None] + _STENCIL, strike[:, None] + _STENCIL
    each: IndexArray = np.repeat(np.arange(n), len(_STENCIL))

    # Just after off: the planted foot goes on, the toe accelerating. Just before strike: the
    # landing foot came from where its heel's velocity and acceleration take it back to.
    def leaving() -> FloatArray:
        t = t_off.ravel()
        dt = np.tile(_STENCIL, n)[:, None]
        go = np.array([style.off_acceleration[0], 0.0, style.off_acceleration[1]])
        ankle = planted.ankle(each, t) + go * dt**2 / 2
        return _leg_state(hip(t), ankle, planted.pitch(each, t), body)

    def landing(velocity: FloatArray) -> tuple[FloatArray, FloatArray]:
        t = t_strike.ravel()
        dt = np.tile(_STENCIL, n)[:, None]
        slow = np.array([style.strike_acceleration, 0.0, 0.0])
        pitch = planted.down.at(each + 1, t)
        heel = steps.heel[each + 1] + velocity[each] * dt + slow * dt**2 / 2
        ankle = heel + rotate(foot_axes(pitch, planted.yaw), body.ankle_from_heel)
        return ankle - hip(t), _leg_state(hip(t), ankle, pitch, body)

    # The heel comes down just so fast that the leg lengthens at the wanted rate.
    velocity = np.tile([style.strike_speed, 0.0, 0.0], (n, 1))
    line = landing(velocity)[0].reshape(n, -1, 3)
    length = np.linalg.norm(line, axis=-1)
    down = line[:, 2, 2] / length[:, 2]
    velocity[:, 2] = (style.strike_extension - length @ _FIRST) / down
    first = _derivatives(leaving().reshape(4, n, -1))
    last = _derivatives(landing(velocity)[1].reshape(4, n, -1))
    last[2, :, 2] = 0.0  # how the knee comes to strike is free: at an even rate
    if not (np.isfinite(first).all() and np.isfinite(last).all()):
        raise ValueError("the leg does not reach the ground: take a shorter stride or stance")
    duration = strike - off
    bend = _bend_from_knee(style.swing_knee + lift)
    ankle = np.full(n, style.swing_ankle) + lift / 2
    return FootPath(
        planted,
        hip,
        forward=(join(off, strike, first[0], last[0]),),
        sideways=(join(off, strike, first[1], last[1]),),
        bend=_settle(
            off, duration, first[2], last[2], bend, style.swing_knee_at, style.swing_settled_at
        ),
        ankle_angle=_through_peak(off, duration, first[3], last[3], ankle, 0.55),
    )


def _through_peak(
    off: FloatArray,
    length: FloatArray,
    first: FloatArray,
    last: FloatArray,
    peak: FloatArray,
    fraction: float,
) -> tuple[Quintics, Quintics]:
    """Join (n, 3) states through a level point at a fraction of the swing."""
    middle = off + fraction * length
    state = np.zeros((len(off), 3))
    state[:, 0] = peak
    # The curvature of a half cosine wave to either side, their mean.
    rise = (peak - first[:, 0]) / (fraction * length) ** 2
    fall = (peak - last[:, 0]) / ((1 - fraction) * length) ** 2
    state[:, 2] = -(np.pi**2) / 4 * (rise + fall)
    return join(off, middle, first, state), join(middle, off + length, state, last)


def _settle(
    off: FloatArray,
    length: FloatArray,
    first: FloatArray,
    last: FloatArray,
    peak: FloatArray,
    fraction: float,
    settled: float,
) -> tuple[Quintics, ...]:
    """Join (n, 3) states through a level peak, the last part of the swing at an even rate."""
    rest = (1 - settled) * length
    begin = np.stack([last[:, 0] - last[:, 1] * rest, last[:, 1], np.zeros_like(rest)], axis=-1)
    rising, falling = _through_peak(off, settled * length, first, begin, peak, fraction / settled)
    strike = off + length
    return rising, falling, join(strike - rest, strike, begin, last)
