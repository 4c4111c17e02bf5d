"""How a person walks or runs, in numbers: what `simulate` is driven by."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from lab.gait import ACTIVITIES


def _deg(value: float) -> float:
    return float(np.deg2rad(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """The driving numbers of a gait, SI (m, s, rad); signs as in `Walker.curves`.

    Attributes:
        activity: walk or run.
        stride_time: s, mean.
        stance_fraction: Stance over stride.
        strike_ahead: m, heel ahead of the middle of the hips at foot strike.
        step_width: m between the lines of the heels.
        toe_out: rad, yaw of each foot outwards.
        strike_pitch: rad, toe above heel at foot strike.
        strike_speed: m/s, of the heel forward over the ground just before foot strike.
        strike_acceleration: m/s^2, of the same.
        strike_extension: m/s, at which hip and ankle part just before foot strike; it sets how
            fast the heel comes down.
        flat_at, rise_at: Fractions of stance at which the foot lies flat and the heel rises.
        off_pitch: rad, toe against heel at foot off (negative: heel up).
        off_acceleration: m/s^2, of the toe just after foot off: forward, up.
        bob: m, half the rise and fall of the pelvis in a step; only walking, a run's is fitted.
        stance_knee: rad, knee flexion wanted at equal steps of stance from strike to off; the
            height of the pelvis is fitted to it.
        swing_knee, swing_knee_at: Peak of knee flexion in swing, rad, and its fraction of swing;
            the peak is raised where the foot would not clear the ground.
        swing_settled_at: Fraction of swing from which the knee comes to strike at an even rate.
        swing_ankle: rad, dorsiflexion in mid-swing.
        obliquity_amplitude, obliquity_offset: rad; a positive offset adds to the drop in left
            stance and takes from it in right stance.
        tilt, tilt_amplitude, rotation_amplitude: rad, of the pelvis.
        lean_forward, lean_forward_amplitude: rad, of the trunk.
        lean_lateral, lean_lateral_amplitude: rad, of the trunk; the mean and the part that goes to
            the stance side.
        trunk_rotation_amplitude: rad, of the shoulders, against the pelvis.
        sway: m, of the pelvis to the stance side.
        arm_swing, elbow: rad.
        stride_time_cv: Standard deviation of the stride time over its mean.
        amplitude_cv: The same for the amplitudes of the body's curves.
        offset_sd: rad, standard deviation from stride to stride of the body's mean angles.
    """

    activity: str
    stride_time: float
    stance_fraction: float
    strike_ahead: float
    step_width: float
    toe_out: float
    strike_pitch: float
    strike_speed: float
    strike_acceleration: float
    strike_extension: float
    flat_at: float
    rise_at: float
    off_pitch: float
    off_acceleration: tuple[float, float]
    bob: float
    stance_knee: tuple[float, ...]
    swing_knee: float
    swing_knee_at: float
    swing_settled_at: float
    swing_ankle: float
    obliquity_amplitude: float
    obliquity_offset: float
    tilt: float
    tilt_amplitude: float
    rotation_amplitude: float
    lean_forward: float
    lean_forward_amplitude: float
    lean_lateral: float
    lean_lateral_amplitude: float
    trunk_rotation_amplitude: float
    sway: float
    arm_swing: float
    elbow: float
    stride_time_cv: float = 0.015
    amplitude_cv: float = 0.05
    offset_sd: float = _deg(0.3)

    def __post_init__(self) -> None:
        if self.activity not in ACTIVITIES:
            raise ValueError(f"Style.activity must be one of {ACTIVITIES}, got {self.activity!r}")
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name != "activity" and not np.isfinite(value).all():
                raise ValueError(f"Style.{each.name} is not finite")
        half = 0.5 if self.activity == "walk" else 0.0
        if not half < self.stance_fraction < half + 0.5:
            raise ValueError(
                f"Style.stance_fraction: a {self.activity} needs one between {half} and"
                f" {half + 0.5}, got {self.stance_fraction}"
            )
        if not 0 < self.flat_at < self.rise_at < 1:
            raise ValueError("Style: flat_at and rise_at must rise within 0 to 1")
        if not 0 < self.swing_knee_at < self.swing_settled_at < 1:
            raise ValueError("Style: swing_knee_at and swing_settled_at must rise within 0 to 1")
        if not self.stride_time > 0:
            raise ValueError("Style.stride_time must be positive")
        if not 0 <= self.stride_time_cv <= 0.05 or not 0 <= self.amplitude_cv <= 0.2:
            raise ValueError("Style: variation out of range (stride time 0.05, amplitude 0.2)")


def walking_style(speed_m_s: float, height_m: float) -> Style:
    """Return an ordinary walk at a speed in m/s for a person of a height in m.

    The time of a stride follows the walking speed by the power law that dynamic similarity
    suggests (Grieve and Gear, Ergonomics 5:379, 1966); the angles are those of a healthy adult.
    """
    scale = height_m / 1.75
    quickness = speed_m_s / (1.2 * np.sqrt(scale))
    stride_time = 1.08 * np.sqrt(scale) * quickness**-0.5
    stance_fraction = float(np.clip(0.618 - 0.05 * (quickness - 1), 0.58, 0.66))
    travel = speed_m_s * stride_time * stance_fraction
    return Style(
        activity="walk",
        stride_time=float(stride_time),
        stance_fraction=stance_fraction,
        strike_ahead=float(0.4 * travel - 0.055 * scale),
        step_width=0.10 * scale,
        toe_out=_deg(6),
        strike_pitch=_deg(16.5),
        strike_speed=0.37 * speed_m_s,
        strike_acceleration=-20.0,
        strike_extension=0.14,
        flat_at=0.225,
        rise_at=0.645,
        off_pitch=_deg(-57),
        off_acceleration=(10.0, 10.0),
        bob=float(0.018 * scale * (travel / (0.8 * scale)) ** 2),
        stance_knee=tuple(np.deg2rad([8, 17, 15, 10, 8, 11, 15, 38])),
        swing_knee=_deg(62),
        swing_knee_at=0.26,
        swing_settled_at=0.91,
        swing_ankle=_deg(7),
        obliquity_amplitude=_deg(4.5),
        obliquity_offset=_deg(0.6),
        tilt=_deg(9),
        tilt_amplitude=_deg(1.5),
        rotation_amplitude=_deg(6),
        lean_forward=_deg(3),
        lean_forward_amplitude=_deg(1.2),
        lean_lateral=_deg(0.4),
        lean_lateral_amplitude=_deg(2),
        trunk_rotation_amplitude=_deg(4),
        sway=0.018 * scale,
        arm_swing=_deg(18),
        elbow=_deg(22),
    )


def running_style(speed_m_s: float, height_m: float) -> Style:
    """Return an ordinary rear-foot run at a speed in m/s for a person of a height in m.

    Stride and contact time follow the speed as in recreational runners (contact about 0.26 s and
    168 steps a minute at 3 m/s); the angles are those of a healthy adult.
    """
    scale = height_m / 1.75
    quickness = speed_m_s / (3.0 * np.sqrt(scale))
    stride_time = 0.715 * np.sqrt(scale) * quickness**-0.12
    contact = 0.262 * np.sqrt(scale) * quickness**-0.8
    return Style(
        activity="run",
        stride_time=float(stride_time),
        stance_fraction=float(min(contact / stride_time, 0.44)),
        strike_ahead=float(0.4 * speed_m_s * contact - 0.11 * scale),
        step_width=0.06 * scale,
        toe_out=_deg(7),
        strike_pitch=_deg(14),
        strike_speed=0.5 * speed_m_s,
        strike_acceleration=-35.0,
        strike_extension=0.1,
        flat_at=0.22,
        rise_at=0.50,
        off_pitch=_deg(-54),
        off_acceleration=(26.0, 28.0),
        bob=0.0,
        stance_knee=tuple(np.deg2rad([17, 31, 40, 42, 38, 33, 29, 28])),
        swing_knee=_deg(98),
        swing_knee_at=0.48,
        swing_settled_at=0.95,
        swing_ankle=_deg(0),
        obliquity_amplitude=_deg(5),
        obliquity_offset=_deg(0.7),
        tilt=_deg(15),
        tilt_amplitude=_deg(1.5),
        rotation_amplitude=_deg(5),
        lean_forward=_deg(8),
        lean_forward_amplitude=_deg(1.5),
        lean_lateral=_deg(0.5),
        lean_lateral_amplitude=_deg(2.7),
        trunk_rotation_amplitude=_deg(11),
        sway=0.008 * scale,
        arm_swing=_deg(35),
        elbow=_deg(88),
    )
