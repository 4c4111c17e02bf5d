"""A walker whose driving angles are known: points, curves and events, exact at any time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from lab.checks import FloatArray
from lab.gait import ACTIVITIES, SIDES, Event
from lab.points import Points3D
from simulation.gait_plan import Schedule, plan_gait
from simulation.gait_style import Style, running_style, walking_style
from simulation.legs import LegAngles, foot_axes, place_leg, solve_leg
from simulation.rotations import rotate, rotation_z, unit
from simulation.skeleton import (
    KEYPOINTS,
    LEFT,
    Body,
    body_of_height,
    pelvis_points,
    trunk_axes,
    trunk_points,
)
from simulation.standing import stand

_MIRROR = np.array([1.0, -1.0, 1.0])
_TURNED_BY_MIRROR = (
    "pelvis_obliquity",
    "pelvis_rotation",
    "trunk_lean_lateral",
    "trunk_pelvis_lateral",
)
_TRUTH = "truth"


class BodyMotion(Protocol):
    """What moves pelvis and trunk."""

    def drive(self, t: FloatArray) -> dict[str, FloatArray]:
        """Return the driving curves of `gait_curves.CURVES` (T,)."""
        ...

    def middle(self, t: FloatArray) -> FloatArray:
        """Return the middle of the hips (T, 3) m in the frame of the path."""
        ...

    def axes(self, t: FloatArray) -> FloatArray:
        """Return the pelvis axes (T, 3, 3)."""
        ...


class FootMotion(Protocol):
    """What moves a foot."""

    @property
    def yaw(self) -> float:
        """Yaw, to the left +, rad."""
        ...

    def at(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the ankle (T, 3) m and the pitch (T,) rad."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Walker:
    """A body in motion, exact at any time from one stride before 0 to one after `duration`.

    Attributes:
        activity: walk, run or stand.
        body: Its lengths.
        motion, feet: What moves it, in the frame of the path (x forward, y left, z up).
        elbow: Flexion, rad.
        speed: m/s over ground or belt.
        belt_speed: m/s at which a belt carries the ground backwards; 0 overground.
        heading: rad, direction of progression in the lab, from x towards y.
        origin: (3,) m, where the path's frame stands in the lab.
        duration: s.
        margin: s by which times may lie outside 0 to `duration`.
        mirrored: Whether left and right are exchanged.
        events: True events between 0 and `duration`, in the order of time.
    """

    activity: str
    body: Body
    motion: BodyMotion
    feet: Mapping[str, FootMotion]
    elbow: float
    speed: float
    belt_speed: float
    heading: float
    origin: FloatArray
    duration: float
    margin: float
    mirrored: bool
    events: tuple[Event, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The K names of the points."""
        return KEYPOINTS

    @property
    def forward(self) -> FloatArray:
        """Direction of progression, (3,) in the lab."""
        return np.array([np.cos(self.heading), np.sin(self.heading), 0.0])

    def points(self, t: Any) -> FloatArray:
        """Return all points (T, K, 3) m in the lab frame at times (T,) s.

        Raises:
            ValueError: For times outside the walker's.
        """
        t = self._times(t)
        placed = self._place(t)[0]
        partner = [_other_side(n) if self.mirrored else n for n in self.names]
        xyz = np.stack([placed[n] for n in partner], axis=1)
        if self.mirrored:
            xyz = xyz * _MIRROR
        xyz = xyz - (self.belt_speed * t)[:, None, None] * np.array([1.0, 0.0, 0.0])
        return xyz @ rotation_z(self.heading).T + self.origin

    def record(self, rate_hz: float) -> Points3D:
        """Return the points without any error at a rate, from 0 to `duration`; cov 0."""
        t = np.arange(int(np.floor(self.duration * rate_hz + 1e-9)) + 1) / rate_hz
        xyz = self.points(t)
        return Points3D(self.names, t, xyz, np.zeros((*xyz.shape, 3)))

    def curves(self, t: Any) -> dict[str, FloatArray]:
        """Return the true curves (T,) rad at times (T,) s, by name.

        Pelvis, trunk, hip and knee are the angles that drive the chain; angles of segments and of
        the limb against the vertical are those of its vectors in the plane of progression (x
        forward, z up); ankle_dorsiflexion is a right angle less the angle between ankle to knee
        and heel to foot_index.

        Raises:
            ValueError: For times outside the walker's.
        """
        placed, legs, drive = self._place(self._times(t))
        result = {
            "pelvis_obliquity": drive["obliquity"],
            "pelvis_tilt": drive["tilt"],
            "pelvis_rotation": drive["rotation"],
            "trunk_lean_forward": drive["lean_forward"],
            "trunk_lean_lateral": drive["lean_lateral"],
            "trunk_pelvis_forward": drive["lean_forward"] - drive["tilt"],
            "trunk_pelvis_lateral": drive["lean_lateral"] + drive["obliquity"],
        }
        for side, left in LEFT.items():
            hip, knee, ankle, heel, toe = (
                placed[f"{side}_{part}"] for part in ("hip", "knee", "ankle", "heel", "foot_index")
            )
            thigh = _against_vertical(knee - hip)
            foot = toe - heel
            result |= {
                f"hip_flexion_{side}": legs[side].hip_flexion,
                f"hip_adduction_{side}": -left * legs[side].hip_sideways,
                f"thigh_flexion_{side}": thigh,
                f"thigh_trunk_flexion_{side}": thigh + drive["lean_forward"],
                f"knee_flexion_{side}": legs[side].knee_flexion,
                f"ankle_dorsiflexion_{side}": np.arcsin((unit(knee - ankle) * unit(foot)).sum(-1)),
                f"shank_angle_{side}": _against_vertical(ankle - knee),
                f"foot_angle_{side}": np.arctan2(foot[:, 2], foot[:, 0]),
                f"limb_angle_heel_{side}": _against_vertical(heel - hip),
                f"limb_angle_ankle_{side}": _against_vertical(ankle - hip),
            }
        if not self.mirrored:
            return result
        return {
            name: -result[name] if name in _TURNED_BY_MIRROR else result[_other_side(name)]
            for name in result
        }

    def mirror(self) -> Walker:
        """Return the same walker seen in a mirror: left and right exchanged."""
        events = tuple(replace(e, side=_other_side(e.side)) for e in self.events)
        return replace(self, mirrored=not self.mirrored, events=events)

    def _times(self, t: Any) -> FloatArray:
        t = np.atleast_1d(np.asarray(t, float))
        if not ((t >= -self.margin) & (t <= self.duration + self.margin)).all():
            raise ValueError(f"times must lie within {self.margin} s of 0 to {self.duration} s")
        return t

    def _place(
        self, t: FloatArray
    ) -> tuple[dict[str, FloatArray], dict[str, LegAngles], dict[str, FloatArray]]:
        """Return points in the frame of the path, the legs' joint angles, the body's curves."""
        body, drive = self.body, self.motion.drive(t)
        middle, pelvis = self.motion.middle(t), self.motion.axes(t)
        placed = pelvis_points(body, middle, pelvis)
        trunk = trunk_axes(
            drive["lean_forward"],
            drive["lean_lateral"],
            drive["trunk_rotation"],
        )
        placed |= trunk_points(body, middle, trunk, drive["arms"], self.elbow)
        legs = {}
        for side, foot in self.feet.items():
            hip = placed[f"{side}_hip"]
            wanted, pitch = foot.at(t)
            legs[side] = solve_leg(pelvis, hip, wanted, body.thigh, body.shank)
            knee, ankle = place_leg(pelvis, hip, legs[side], body.thigh, body.shank)
            axes = foot_axes(pitch, foot.yaw)
            heel = ankle - rotate(axes, body.ankle_from_heel)
            toe = heel + rotate(axes, [body.foot, 0.0, 0.0])
            for part, at in (("knee", knee), ("ankle", ankle), ("heel", heel)):
                placed[f"{side}_{part}"] = at
            placed[f"{side}_foot_index"] = toe
        return placed, legs, drive


def _against_vertical(vector: FloatArray) -> FloatArray:
    return np.arctan2(vector[:, 0], -vector[:, 2])


def _other_side(name: str) -> str:
    if "left" in name:
        return name.replace("left", "right")
    return name.replace("right", "left")


def _true_events(schedule: Schedule, duration: float) -> tuple[Event, ...]:
    events = [
        Event(kind, SIDES[i % 2], float(t), 0.0, _TRUTH)
        for kind, times in (("foot_strike", schedule.strike), ("foot_off", schedule.off))
        for i, t in enumerate(times)
        if 0 <= t <= duration
    ]
    return tuple(sorted(events, key=lambda e: e.t))


def _heading(heading: int, turn: float) -> float:
    if heading not in (1, -1):
        raise ValueError(f"heading must be 1 or -1, got {heading}")
    return (0.0 if heading == 1 else np.pi) + turn


def simulate(
    activity: str,
    *,
    speed_m_s: float,
    treadmill: bool,
    duration_s: float,
    seed: int,
    height_m: float = 1.75,
    heading: int = 1,
    turn: float = 0.0,
    origin: tuple[float, float] = (0.0, 0.0),
    **changes: Any,
) -> Walker:
    """Make a walker or runner.

    Args:
        activity: walk or run.
        speed_m_s: Over ground or belt.
        treadmill: Whether it stays in place on a belt that runs backwards, against its heading.
        duration_s: Length of the recording.
        seed: The same seed gives the same walker, to the byte.
        height_m: Of the person.
        heading: 1 along x of the lab, -1 against it.
        turn: rad, added to the heading, from x towards y.
        origin: m in the lab, where it is in the middle of the recording (overground), or always.
        **changes: Fields of `gait_style.Style` to change, for example `obliquity_offset`, rad.

    Raises:
        ValueError: For an unknown activity or field, or when the legs cannot follow.
    """
    if activity not in ACTIVITIES:
        raise ValueError(f"activity must be one of {ACTIVITIES}, got {activity!r}")
    if not (duration_s > 0 and speed_m_s > 0):
        raise ValueError("duration_s and speed_m_s must be positive")
    body = body_of_height(height_m)
    usual = walking_style if activity == "walk" else running_style
    style = usual(speed_m_s, height_m)
    unknown = set(changes) - set(Style.__slots__)
    if unknown:
        raise ValueError(f"a style has no {', '.join(sorted(unknown))}")
    style = replace(style, **changes)
    rng = np.random.default_rng(seed)
    schedule, ride, feet = plan_gait(style, body, speed_m_s, duration_s, rng)
    angle = _heading(heading, turn)
    start = 0.0 if treadmill else -speed_m_s * duration_s / 2
    walker = Walker(
        activity=activity,
        body=body,
        motion=ride,
        feet=feet,
        elbow=style.elbow,
        speed=speed_m_s,
        belt_speed=speed_m_s if treadmill else 0.0,
        heading=angle,
        origin=np.array([*origin, 0.0]) + start * np.array([np.cos(angle), np.sin(angle), 0.0]),
        duration=duration_s,
        margin=style.stride_time,
        mirrored=False,
        events=_true_events(schedule, duration_s),
    )
    _check_whole(walker)
    return walker


def _check_whole(walker: Walker) -> None:
    """Raise ValueError where a leg does not reach."""
    t = np.arange(0, walker.duration, 0.005)
    if not np.isfinite(walker.points(t)).all():
        raise ValueError("a leg does not reach its foot: take a shorter stride or stance")


def standing(
    *,
    duration_s: float,
    height_m: float = 1.75,
    heading: int = 1,
    turn: float = 0.0,
    origin: tuple[float, float] = (0.0, 0.0),
    obliquity: float = 0.0,
    tilt: float = np.deg2rad(10.0),
    rotation: float = 0.0,
    lean_forward: float = 0.0,
    lean_lateral: float = 0.0,
    width: float = 0.16,
    toe_out: float = np.deg2rad(8.0),
) -> Walker:
    """Make a person who stands still, without events.

    Args:
        duration_s: Length of the recording.
        height_m: Of the person.
        heading: 1 along x of the lab, -1 against it.
        turn: rad, added to the heading, from x towards y.
        origin: m in the lab.
        obliquity: rad, of the pelvis, left up +.
        tilt: rad, of the pelvis, front down +.
        rotation: rad, of the pelvis, left side forward +.
        lean_forward: rad, of the trunk, forward +.
        lean_lateral: rad, of the trunk, to the left +.
        width: m between the heels.
        toe_out: rad.

    Raises:
        ValueError: When the legs cannot stand so.
    """
    body = body_of_height(height_m)
    angles = {
        "obliquity": obliquity,
        "tilt": tilt,
        "rotation": rotation,
        "lean_forward": lean_forward,
        "lean_lateral": lean_lateral,
    }
    posture, feet = stand(body, angles, width, toe_out)
    return Walker(
        activity="stand",
        body=body,
        motion=posture,
        feet=feet,
        elbow=np.deg2rad(8.0),
        speed=0.0,
        belt_speed=0.0,
        heading=_heading(heading, turn),
        origin=np.array([*origin, 0.0]),
        duration=duration_s,
        margin=0.0,
        mirrored=False,
        events=(),
    )
