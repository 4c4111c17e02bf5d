"""The true value of every measure: its definition applied to the walker's driving curves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from lab.checks import FloatArray
from lab.gait import SIDES, Cycle
from simulation.skeleton import LEFT
from simulation.walker import Walker

_STEP = 1e-3  # s
_MATCH = 0.08  # s
_KNEE_PEAK = (0.05, 0.79)  # of stance: the knee of a walker bends more again at off


def match_cycle(walker: Walker, cycle: Cycle) -> Cycle:
    """Return the true events of a cycle that was found.

    Raises:
        ValueError: When its foot strikes have no true ones within 80 ms, or are not consecutive.
    """
    own = _event_times(walker, "foot_strike", cycle.side)
    index = _nearest(own, cycle.strike)
    if _nearest(own, cycle.next_strike) != index + 1:
        raise ValueError(f"the cycle from {cycle.strike:.3f} s is not one true stride")
    return _cycle(walker, cycle.side, own[index], own[index + 1])


def true_cycles(walker: Walker) -> tuple[Cycle, ...]:
    """Return the true cycles that lie within the recording, in the order of time."""
    cycles = []
    for side in SIDES:
        own = _event_times(walker, "foot_strike", side)
        for strike, next_strike in pairwise(own):
            cycles.append(_cycle(walker, side, strike, next_strike))
    return tuple(sorted(cycles, key=lambda c: c.strike))


def _cycle(walker: Walker, side: str, strike: float, next_strike: float) -> Cycle:
    other = "right" if side == "left" else "left"
    return Cycle(
        side,
        walker.activity,
        strike=float(strike),
        off=_only_between(walker, "foot_off", side, strike, next_strike),
        opposite_strike=_only_between(walker, "foot_strike", other, strike, next_strike),
        opposite_off=_only_between(walker, "foot_off", other, strike, next_strike),
        next_strike=float(next_strike),
    )


def _event_times(walker: Walker, kind: str, side: str) -> FloatArray:
    return np.array([e.t for e in walker.events if e.kind == kind and e.side == side])


def _nearest(times: FloatArray, t: float) -> int:
    if not len(times) or np.abs(times - t).min() > _MATCH:
        raise ValueError(f"no true foot strike within {_MATCH} s of {t:.3f} s")
    return int(np.abs(times - t).argmin())


def _only_between(walker: Walker, kind: str, side: str, begin: float, end: float) -> float:
    times = _event_times(walker, kind, side)
    inside = times[(times > begin) & (times < end)]
    if len(inside) != 1:
        raise ValueError(f"the stride from {begin:.3f} s has {len(inside)} {kind} of the {side}")
    return float(inside[0])


def true_cycle_values(walker: Walker, cycles: Sequence[Cycle]) -> dict[tuple[str, str], FloatArray]:
    """Return every measure cycle by cycle.

    Args:
        walker: Who walked.
        cycles: Cycles as found; the true events nearest to them are used.

    Returns:
        By (name, side) the values (n,) rad, m, s or 1/min of that side's cycles in the order
        given; a measure of both sides has side "both" and first the left cycles, then the right.

    Raises:
        ValueError: When a cycle has no true counterpart.
    """
    values: dict[tuple[str, str], list[float]] = {}
    matched = [match_cycle(walker, c) for side in SIDES for c in cycles if c.side == side]
    for times, curves in zip(matched, _curves_of(walker, matched), strict=True):
        for name, value in _one_cycle(walker, times, *curves).items():
            shared = name in ("cadence", "step_width")
            values.setdefault((name, "both" if shared else times.side), []).append(value)
    return {key: np.array(each) for key, each in values.items()}


_ByName = dict[str, FloatArray]


def _curves_of(
    walker: Walker, cycles: Sequence[Cycle]
) -> list[tuple[FloatArray, _ByName, _ByName, _ByName]]:
    """Return the times of each cycle's stance, and the curves in stance, stride and mid-stance.

    All cycles are evaluated in one go: the walker's curves cost by the call, not by the sample.
    """
    grids = [
        grid
        for c in cycles
        for grid in (
            _grid(c.strike, c.off),
            _grid(c.strike, c.next_strike),
            np.array([(c.strike + c.off) / 2]),
        )
    ]
    if not grids:
        return []
    curves = walker.curves(np.concatenate(grids))
    ends = np.cumsum([len(g) for g in grids])[:-1]
    pieces = {name: np.split(values, ends) for name, values in curves.items()}
    parts = [{name: each[i] for name, each in pieces.items()} for i in range(len(grids))]
    return [(grids[i], parts[i], parts[i + 1], parts[i + 2]) for i in range(0, len(grids), 3)]


def true_measures(walker: Walker, cycles: Sequence[Cycle]) -> dict[tuple[str, str], float]:
    """Return every measure as the mean over the true cycles that match the given ones.

    Args:
        walker: Who walked.
        cycles: Cycles as found.

    Raises:
        ValueError: When a cycle has no true counterpart within 80 ms.
    """
    return {key: float(v.mean()) for key, v in true_cycle_values(walker, cycles).items()}


def _one_cycle(
    walker: Walker,
    times: Cycle,
    stance_t: FloatArray,
    stance: _ByName,
    whole: _ByName,
    middle: _ByName,
) -> dict[str, float]:
    side, toward = times.side, LEFT[times.side]
    strike = {name: float(c[0]) for name, c in stance.items()}
    drop = toward * stance["pelvis_obliquity"]
    knee = stance[f"knee_flexion_{side}"]
    share = (stance_t - times.strike) / (times.off - times.strike)
    early = (share >= _KNEE_PEAK[0]) & (share <= _KNEE_PEAK[1])
    values = {
        "pelvic_drop_peak": _peak(drop),
        "pelvic_drop_midstance": toward * float(middle["pelvis_obliquity"][0]),
        "pelvic_drop_strike": float(drop[0]),
        "pelvic_drop_excursion": _peak(drop) + _peak(-drop),
        "trunk_lean_forward_stance_mean": _mean(stance["trunk_lean_forward"]),
        "trunk_lean_forward_strike": strike["trunk_lean_forward"],
        "trunk_lean_lateral_peak": _peak(toward * stance["trunk_lean_lateral"]),
        "over_stride_angle_heel": strike[f"limb_angle_heel_{side}"],
        "over_stride_angle_ankle": strike[f"limb_angle_ankle_{side}"],
        "shank_angle_strike": strike[f"shank_angle_{side}"],
        "hip_extension_peak": _peak(-whole[f"hip_flexion_{side}"]),
        "thigh_extension_peak": _peak(-whole[f"thigh_flexion_{side}"]),
        "thigh_trunk_extension_peak": _peak(-whole[f"thigh_trunk_flexion_{side}"]),
        "pelvic_tilt_stance_mean": _mean(stance["pelvis_tilt"]),
        "knee_flexion_peak_stance": _peak(knee[early]),
        "cadence": 120.0 / (times.next_strike - times.strike),
        "contact_time": times.off - times.strike,
    }
    if walker.activity == "run":
        values["flight_time"] = times.opposite_strike - times.off
    return values | _distances(walker, times)


def _distances(walker: Walker, times: Cycle) -> dict[str, float]:
    """Return the measures in m, over ground or belt, along and square to the progression."""
    side = times.side
    other = "right" if side == "left" else "left"
    t = np.array([times.strike, times.opposite_strike, times.next_strike])
    points = walker.points(t)
    heel = points[:, walker.names.index(f"{side}_heel")]
    opposite = points[1, walker.names.index(f"{other}_heel")]
    hip = points[0, walker.names.index(f"{side}_hip")]
    forward = walker.forward
    aside = np.array([-forward[1], forward[0], 0.0])
    place = heel @ forward + walker.belt_speed * t
    step = place[2] - (opposite @ forward + walker.belt_speed * t[1])
    return {
        "over_stride_distance_heel": float((heel[0] - hip) @ forward),
        "stride_length": float(place[2] - place[0]),
        "step_length": float(step),
        "step_width": float(LEFT[side] * ((heel[0] - opposite) @ aside)),
    }


def _grid(begin: float, end: float) -> FloatArray:
    return np.linspace(begin, end, int(np.ceil((end - begin) / _STEP)) + 1)


def _mean(curve: FloatArray) -> float:
    """Return the mean over time of an evenly sampled curve, by the trapezoidal rule."""
    return float((curve[1:] + curve[:-1]).mean() / 2)


def _peak(curve: FloatArray) -> float:
    """Return the largest value, that of the parabola through the samples about it."""
    i = int(np.argmax(curve))
    if not 0 < i < len(curve) - 1:
        return float(curve[i])
    before, here, after = curve[i - 1 : i + 2]
    bend = before - 2 * here + after
    return float(here - (after - before) ** 2 / (8 * bend)) if bend < 0 else float(here)
