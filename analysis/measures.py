"""The numbers of the report: each with its definition, cycle by cycle and over cycles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import radians

import numpy as np

from analysis.replicates import Walk
from analysis.sampling import mean_over, peak
from lab.checks import FloatArray
from lab.cores import each_over_cores
from lab.gait import SIDES


def _toward(side: str) -> float:
    """+1 for left, -1 for right: turns a leftward value into one toward the side."""
    return 1.0 if side == "left" else -1.0


def _midstance(walk: Walk, side: str) -> FloatArray:
    return (walk.times(side, "strike") + walk.times(side, "off")) / 2


def _drop(walk: Walk, side: str) -> FloatArray:
    # Left up +, so in left stance a raised left side is a dropped right (swing) side.
    return _toward(side) * walk.over("pelvis_obliquity", side, "strike", "off")


def _drop_excursion(walk: Walk, side: str) -> FloatArray:
    drop = _drop(walk, side)
    return peak(drop) + peak(-drop)


def _stride_time(walk: Walk, side: str) -> FloatArray:
    return walk.times(side, "next_strike") - walk.times(side, "strike")


def _distance(walk: Walk, side: str) -> FloatArray:
    heel, hip = (walk.raw.along(walk.raw.point(f"{side}_{p}")) for p in ("heel", "hip"))
    return walk._at_corners((heel - hip)[..., None], side, "strike")[..., 0]


def _stride_length(walk: Walk, side: str) -> FloatArray:
    ends = [walk.foot_at(side, side, e)[..., 0] for e in ("strike", "next_strike")]
    return ends[1] - ends[0]


def _other(side: str) -> str:
    return "right" if side == "left" else "left"


def _step_length(walk: Walk, side: str) -> FloatArray:
    behind = walk.foot_at(_other(side), side, "opposite_strike")[..., 0]
    return walk.foot_at(side, side, "next_strike")[..., 0] - behind


def _step_width(walk: Walk, side: str) -> FloatArray:
    own = walk.foot_at(side, side, "strike")[..., 1]
    other = walk.foot_at(_other(side), side, "opposite_strike")[..., 1]
    return _toward(side) * (own - other)


@dataclass(frozen=True, slots=True)
class Definition:
    """How a measure is made.

    Attributes:
        name: The measure's name.
        unit: rad, m, s or 1/min.
        widest: Half the 95 % interval, in that unit, from which on a number says nothing and is
            withheld (analysis/vague.py).
        curves: Curves it needs; "{side}" stands for the side.
        points: Points it needs, likewise.
        per_cycle: From a walk and a side to (B, C) values.
        words: The definition, in one sentence.
        activity: walk, run, or empty for both.
        both: Whether the cycles of both sides make one number.
    """

    name: str
    unit: str
    widest: float
    curves: tuple[str, ...]
    points: tuple[str, ...]
    per_cycle: Callable[[Walk, str], FloatArray]
    words: str
    activity: str = ""
    both: bool = False


_OBLIQUITY = "elevation of the right-to-left pelvic axis above the horizontal"
_TRUNK = "line from mid hip joint centres to mid acromia against the vertical"

# The width of the range in which 95 % of healthy people lie, from the standard deviation between
# them: Schwartz et al. 2008 (very fast), Teng and Powers 2014, Schwartz et al. 2008 (hip extension;
# taken for thigh and knee, too), Preece et al. 2008, Drozda et al. 2024, Karamanidis and
# Arampatzis 2005. All but Preece's are in configs/norms; docs/interval-coverage.md.
_PEOPLE = 2 * 1.96
_DROP_RANGE, _LEAN_RANGE = _PEOPLE * radians(2.9), _PEOPLE * radians(3.6)
_LEG_RANGE, _TILT_RANGE = _PEOPLE * radians(6.8), _PEOPLE * radians(5.0)
_CADENCE_RANGE, _CONTACT_RANGE, _FLIGHT_RANGE = _PEOPLE * 9.0, _PEOPLE * 0.023, _PEOPLE * 0.019
# Where no source gives one: from a foot under the hip to what is called an over-stride (15 to 20
# degrees), as an angle and at the end of a leg of 0.9 m; what the range of cadences changes a
# stride of 2 m by, and half of it for a step; the distance of the hips.
_FOOT_RANGE, _AHEAD_RANGE = radians(20.0), 0.30
_STRIDE_RANGE, _STEP_RANGE, _WIDTH_RANGE = 0.40, 0.20, 0.17

DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        "pelvic_drop_peak", "rad", _DROP_RANGE, ("pelvis_obliquity",), (),
        lambda w, s: peak(_drop(w, s)),
        f"Largest value in stance of the {_OBLIQUITY}, + with the swing side lower.",
    ),
    Definition(
        "pelvic_drop_midstance", "rad", _DROP_RANGE, ("pelvis_obliquity",), (),
        lambda w, s: _toward(s) * w.at("pelvis_obliquity", s, _midstance(w, s)),
        f"The {_OBLIQUITY} half-way between foot strike and foot off, + with the swing side lower.",
    ),
    Definition(
        "pelvic_drop_strike", "rad", _DROP_RANGE, ("pelvis_obliquity",), (),
        lambda w, s: _toward(s) * w.at("pelvis_obliquity", s, w.times(s, "strike")),
        f"The {_OBLIQUITY} at foot strike, + with the swing side lower.",
    ),
    Definition(
        "pelvic_drop_excursion", "rad", _DROP_RANGE, ("pelvis_obliquity",), (),
        _drop_excursion,
        f"Largest minus smallest value in stance of the {_OBLIQUITY}.",
    ),
    Definition(
        "trunk_lean_forward_stance_mean", "rad", _LEAN_RANGE, ("trunk_lean_forward",), (),
        lambda w, s: mean_over(w.over("trunk_lean_forward", s, "strike", "off")),
        f"Mean over stance of the {_TRUNK} in the sagittal plane of progression, forward +.",
    ),
    Definition(
        "trunk_lean_forward_strike", "rad", _LEAN_RANGE, ("trunk_lean_forward",), (),
        lambda w, s: w.at("trunk_lean_forward", s, w.times(s, "strike")),
        f"The {_TRUNK} in the sagittal plane of progression at foot strike, forward +.",
    ),
    Definition(
        "trunk_lean_lateral_peak", "rad", _LEAN_RANGE, ("trunk_lean_lateral",), (),
        lambda w, s: peak(_toward(s) * w.over("trunk_lean_lateral", s, "strike", "off")),
        f"Largest value in stance of the {_TRUNK} in the frontal plane, + to the stance side.",
    ),
    Definition(
        "over_stride_angle_heel", "rad", _FOOT_RANGE, ("limb_angle_heel_{side}",), (),
        lambda w, s: w.at_strike(f"limb_angle_heel_{s}", s),
        "At foot strike, line from the hip joint centre to the heel against straight down in the "
        "sagittal plane of progression, + with the foot ahead.",
    ),
    Definition(
        "over_stride_angle_ankle", "rad", _FOOT_RANGE, ("limb_angle_ankle_{side}",), (),
        lambda w, s: w.at_strike(f"limb_angle_ankle_{s}", s),
        "At foot strike, line from the hip joint centre to the ankle against straight down in the "
        "sagittal plane of progression, + with the foot ahead.",
    ),
    Definition(
        "over_stride_distance_heel", "m", _AHEAD_RANGE, (), ("{side}_heel", "{side}_hip"),
        _distance,
        "At foot strike, distance of the heel ahead of the hip joint centre along the progression.",
    ),
    Definition(
        "shank_angle_strike", "rad", _FOOT_RANGE, ("shank_angle_{side}",), (),
        lambda w, s: w.at_strike(f"shank_angle_{s}", s),
        "At foot strike, line from knee to ankle against straight down in the sagittal plane of "
        "progression, + with the ankle ahead.",
    ),
    Definition(
        "hip_extension_peak", "rad", _LEG_RANGE, ("hip_flexion_{side}",), (),
        lambda w, s: peak(-w.over(f"hip_flexion_{s}", s, "strike", "next_strike")),
        "Largest extension in the cycle of the thigh against the pelvis (Cardan order flexion, "
        "adduction, rotation).",
    ),
    Definition(
        "thigh_extension_peak", "rad", _LEG_RANGE, ("thigh_flexion_{side}",), (),
        lambda w, s: peak(-w.over(f"thigh_flexion_{s}", s, "strike", "next_strike")),
        "Largest extension in the cycle of the thigh against the vertical in the sagittal plane of "
        "progression.",
    ),
    Definition(
        "thigh_trunk_extension_peak", "rad", _LEG_RANGE, ("thigh_trunk_flexion_{side}",), (),
        lambda w, s: peak(-w.over(f"thigh_trunk_flexion_{s}", s, "strike", "next_strike")),
        "Largest angle in the cycle of the thigh behind the line of the trunk, sagittal plane.",
    ),
    Definition(
        "pelvic_tilt_stance_mean", "rad", _TILT_RANGE, ("pelvis_tilt",), (),
        lambda w, s: mean_over(w.over("pelvis_tilt", s, "strike", "off")),
        "Mean over stance of the tilt of the plane of both ASIS and PSIS, anterior +.",
    ),
    Definition(
        "knee_flexion_peak_stance", "rad", _LEG_RANGE, ("knee_flexion_{side}",), (),
        lambda w, s: peak(w.over(f"knee_flexion_{s}", s, "strike", "off")[..., 5:80]),
        "Largest angle between thigh and shank from 5 to 79 % of stance, flexion +.",
    ),
    Definition(
        "cadence", "1/min", _CADENCE_RANGE, (), (),
        lambda w, s: 120 / _stride_time(w, s),
        "Steps a minute: 120 s over the stride time.",
        both=True,
    ),
    Definition(
        "contact_time", "s", _CONTACT_RANGE, (), (),
        lambda w, s: w.times(s, "off") - w.times(s, "strike"),
        "From foot strike to foot off.",
    ),
    Definition(
        "flight_time", "s", _FLIGHT_RANGE, (), (),
        lambda w, s: w.times(s, "opposite_strike") - w.times(s, "off"),
        "From foot off to the opposite foot strike.",
        activity="run",
    ),
    Definition(
        "stride_length", "m", _STRIDE_RANGE, (), ("{side}_heel",),
        _stride_length,
        "Distance of the heel over the ground or belt between two strikes of the same foot.",
    ),
    Definition(
        "step_length", "m", _STEP_RANGE, (), ("left_heel", "right_heel"),
        _step_length,
        "Distance over the ground or belt from the opposite heel at its strike to this heel at its "
        "next strike, along the progression.",
    ),
    Definition(
        "step_width", "m", _WIDTH_RANGE, (), ("left_heel", "right_heel"),
        _step_width,
        "Distance between the heels at consecutive strikes, square to the progression.",
        both=True,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class CycleValues:
    """One measure, cycle by cycle.

    Attributes:
        definition: Which.
        side: left, right or both.
        values: (B, n) over the cycles in which every replicate has a value.
    """

    definition: Definition
    side: str
    values: FloatArray


def measure_cycles(
    walks: Sequence[Walk], activity: str
) -> tuple[list[CycleValues], dict[str, str]]:
    """Compute every measure that the points and cycles allow.

    Args:
        walks: The replicates of one walk in parts, alike but for their numbers.
        activity: walk or run.

    Returns:
        The values, and the reason for each measure that cannot be given, by name or name and side.
    """
    results: list[CycleValues] = []
    withheld: dict[str, str] = {}
    asked: list[tuple[Definition, str]] = []
    for definition in DEFINITIONS:
        if definition.activity and definition.activity != activity:
            continue
        for side in SIDES:
            reason = _hindrance(walks[0], definition, side)
            if reason:
                withheld[f"{definition.name} {side}"] = reason
            else:
                asked.append((definition, side))
    parts = each_over_cores(
        lambda i: [d.per_cycle(walks[i], side) for d, side in asked], len(walks)
    )
    found = {
        (d.name, side): np.concatenate([part[i] for part in parts])
        for i, (d, side) in enumerate(asked)
    }
    for definition in dict.fromkeys(d for d, _ in asked):
        sides = []
        for side in SIDES:
            values = found.get((definition.name, side))
            if values is None:
                continue
            whole = np.isfinite(values).all(axis=0)
            if whole.any():
                sides.append((side, values[:, whole]))
            else:
                withheld[f"{definition.name} {side}"] = f"points are missing in every {side} cycle"
        if definition.both and sides:
            together = np.concatenate([v for _, v in sides], axis=1)
            results.append(CycleValues(definition, "both", together))
            for side in SIDES:
                withheld.pop(f"{definition.name} {side}", None)
        else:
            results.extend(CycleValues(definition, side, v) for side, v in sides)
    return results, withheld


def _hindrance(walk: Walk, definition: Definition, side: str) -> str:
    """Return why a measure cannot be given at all, empty where it can."""
    missing = [
        c.format(side=side) for c in definition.curves if c.format(side=side) not in walk.curves
    ]
    if any(m.startswith(("pelvis_tilt", "hip_flexion")) for m in missing):
        return "the pelvis' tilt needs both ASIS and both PSIS, which these points do not hold"
    missing += [
        p.format(side=side) for p in definition.points if p.format(side=side) not in walk.body.names
    ]
    if missing:
        return f"needs {', '.join(m.replace('_', ' ') for m in missing)}"
    return "" if walk.of(side) else f"no complete {side} cycle"
