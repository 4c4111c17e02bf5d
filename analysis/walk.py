"""One walk from points to curves, events, cycles and measures with their uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from analysis.cycles import build_cycles
from analysis.effects import Effect
from analysis.events import (
    TimedEvents,
    find_events,
    find_marker_events,
    ground_path,
    hold_events,
)
from analysis.measures import CycleValues, measure_cycles
from analysis.progression import (
    belt_direction,
    facing_direction,
    path_direction,
    stride_direction,
)
from analysis.replicates import walk_in_parts
from analysis.segments import Body
from lab.checks import FloatArray
from lab.gait import Curves, Cycle, Event, Measure
from lab.points import Points3D

# Feet at rest on a belt show its speed; a typed speed further off than this is a wrong one.
_BELT_SPEED_TOLERANCE = 0.08
# The contact model misses the feet by more than its noise where this is passed.
_CHI2_NOTE = 9.0


@dataclass(frozen=True, slots=True, eq=False)
class WalkAnalysis:
    """What was found.

    Attributes:
        curves: Angles over time with sigma.
        events, cycles, measures: As named.
        withheld: Reasons for measures not given, by name and side.
        refusals: Reasons why the numbers must not be used.
        notes: What to know about them.
        quality: Figures by name with unit suffix.
        effects: What each draw of errors does to each measure, by name and side.
        curve_effects: The same to the mean of each curve over the recording, by name.
    """

    curves: Curves
    events: tuple[Event, ...]
    cycles: tuple[Cycle, ...]
    measures: tuple[Measure, ...]
    withheld: dict[str, str]
    refusals: tuple[str, ...]
    notes: tuple[str, ...]
    quality: dict[str, float]
    effects: Mapping[tuple[str, str], Effect] = field(default_factory=dict)
    curve_effects: Mapping[str, Effect] = field(default_factory=dict)


def analyse_walk(
    points: Points3D,
    smooth: Callable[[FloatArray], FloatArray],
    *,
    activity: str,
    treadmill_speed: float | None,
    errors: FloatArray | None,
    markers: bool = False,
    standing: bool = False,
    events: tuple[Event, ...] | None = None,
    change_events: Callable[[TimedEvents], TimedEvents] | None = None,
) -> WalkAnalysis:
    """Analyse one walk.

    The uncertainty comes from replicates: each draw of the points' errors is added to and taken
    from the recording, and everything after reconstruction is done again. Half the difference of a
    pair is the linear effect of the draw; the mean of a pair against the recording is the bias that
    noise gives to a peak or another bent function of it, and is taken off the value (simulation
    extrapolation: Cook and Stefanski, J Am Stat Assoc 89:1314, 1994, with antithetic pairs).

    Args:
        points: (T, K, 3) m as reconstructed or read, unsmoothed.
        smooth: The linear smoother of these points, (B, T, K, 3) -> (B, T, K, 3).
        activity: walk or run.
        treadmill_speed: m/s of the belt along the lab's x axis; None overground.
        errors: (D, T, K, 3) m, draws of the points' errors (noise and calibration together); None
            where they are not known, which gives sigma NaN.
        markers: Whether the points of the feet are markers (the forefoot's sits behind the toes).
        standing: Whether the person stands: then forward is where the pelvis faces, and no events
            are sought.
        events: Events found otherwise (an operator, a force plate), used instead of our own.
        change_events: Changes the events found, in every replicate, before anything follows from
            them (an operator's hand).

    Returns:
        The analysis.

    Raises:
        LabError: When there is no direction of walking.
    """
    t, names = points.t, list(points.names)
    draws = np.zeros((0, *points.xyz.shape)) if errors is None else errors
    raw_xyz = _with_draws(points.xyz, draws)
    # The smoother is linear: a draw is smoothed once for both of its pair.
    smoothed = smooth(np.concatenate([points.xyz[None], draws]))
    smooth_xyz = _with_draws(smoothed[0], smoothed[1:])
    body = Body(names, smooth_xyz, belt_direction((len(raw_xyz),)))
    refusals: list[str] = []
    notes: list[str] = []
    quality: dict[str, float] = {}
    belt = 0.0 if treadmill_speed is None else treadmill_speed
    turns = False
    if standing and body.has("left_hip", "right_hip"):
        body = replace(body, forward=facing_direction(body.across("hip")))
    elif treadmill_speed is None and body.has("left_hip", "right_hip"):
        forward, turns = path_direction(t, body.middle("hip"))
        body = replace(body, forward=forward)
    raw = Body(names, raw_xyz, body.forward)
    if standing:
        timed = hold_events((), len(raw_xyz))
    elif events is not None:
        timed = hold_events(events, len(raw_xyz))
    elif markers:
        timed = find_marker_events(t, body, len(raw_xyz), belt, activity)
    else:
        timed = find_events(t, body, raw_xyz, points.cov, belt, activity)
    if change_events is not None:
        timed = change_events(timed)
    indexed, left_out = build_cycles(timed.events, activity)
    notes.extend(left_out)
    if treadmill_speed is None and not turns and indexed:
        better = _whole_stride_direction(t, body, timed)
        if better is not None:
            body, raw = replace(body, forward=better), replace(raw, forward=better)
    if turns:
        notes.append(
            "the path turns: the direction of progression follows it, and values of single cycles "
            "belong to a turn"
        )
    if treadmill_speed is not None and timed.events:
        _check_belt(t, body, raw_xyz, points.cov, timed, belt, refusals, quality)
    if np.isfinite(timed.chi2) and timed.events:
        quality["contact_misfit_chi2"] = timed.chi2
        if timed.chi2 > _CHI2_NOTE:
            notes.append(
                "the feet do not come to rest as sharply as their noise would show; the times of "
                "events carry a wider interval for it"
            )
    walks = walk_in_parts(t, body, raw, timed.t, indexed, belt)
    curves_by_name = {
        name: np.concatenate([w.curves[name] for w in walks]) for name in walks[0].curves
    }
    values, withheld = measure_cycles(walks, activity)
    summaries = [_summarise(v, len(draws)) for v in values]
    curves, curve_effects = _curves(t, curves_by_name, len(draws))
    return WalkAnalysis(
        curves=curves,
        events=timed.events,
        cycles=tuple(c.cycle for c in indexed),
        measures=tuple(measure for measure, _ in summaries),
        withheld=withheld,
        refusals=tuple(refusals),
        notes=tuple(notes),
        quality=quality,
        effects={(measure.name, measure.side): effect for measure, effect in summaries},
        curve_effects=curve_effects,
    )


def _with_draws(xyz: FloatArray, draws: FloatArray) -> FloatArray:
    """Return points (T, K, 3), then with each of D draws added, then taken off, (1 + 2D, ...)."""
    count = len(draws)
    result = np.empty((1 + 2 * count, *xyz.shape))
    result[0] = xyz
    np.add(xyz, draws, out=result[1 : 1 + count])
    np.subtract(xyz, draws, out=result[1 + count :])
    return result


def _whole_stride_direction(t: FloatArray, body: Body, timed: TimedEvents) -> FloatArray | None:
    """Direction between the first and last strike of the foot with the longer record."""
    spans = []
    for side in ("left", "right"):
        strikes = [e.t for e in timed.events if e.side == side and e.kind == "foot_strike"]
        if len(strikes) > 1:
            spans.append((strikes[-1] - strikes[0], strikes[0], strikes[-1]))
    if not spans:
        return None
    _, first, last = max(spans)
    return stride_direction(t, body.middle("hip"), first, last)


def _check_belt(
    t: FloatArray,
    body: Body,
    raw_xyz: FloatArray,
    cov: FloatArray,
    timed: TimedEvents,
    belt: float,
    refusals: list[str],
    quality: dict[str, float],
) -> None:
    """Compare the belt's typed speed with that of feet at rest on it."""
    speeds = []
    for strike in timed.events:
        if strike.kind != "foot_strike":
            continue
        path, _ = ground_path(t, body, raw_xyz[:1], cov, f"{strike.side}_heel", 0.0)
        during = (t > strike.t + 0.015) & (t < strike.t + 0.085) & np.isfinite(path[0, :, 0])
        if during.sum() >= 3:
            speeds.append(-float(np.polyfit(t[during], path[0, during, 0], 1)[0]))
    if not speeds:
        return
    seen = float(np.median(speeds))
    quality["belt_speed_from_feet_m_s"] = seen
    if abs(seen - belt) > _BELT_SPEED_TOLERANCE * max(belt, 1.0):
        refusals.append(
            f"feet at rest on the belt move at {seen:.2f} m/s, but treadmill_speed_m_s is "
            f"{belt:.2f}: correct the speed in trial.toml, or check the rig's forward axis"
        )


def _summarise(cycles: CycleValues, draws: int) -> tuple[Measure, Effect]:
    """Mean over cycles, with the bias of noise taken off and the uncertainty of the draws."""
    means = cycles.values.mean(axis=1)
    value, effect = float(means[0]), Effect(np.zeros(0))
    if draws:
        plus, minus = means[1 : 1 + draws], means[1 + draws :]
        # A value read at a corner or a peak is bent by noise as well as moved by it: what the mean
        # of a pair scatters belongs to the error, too.
        bent = (plus + minus) / 2 - means[0]
        effect = Effect((plus - minus) / 2, float(np.var(bent)))
        value -= float(np.mean(bent))
    n = cycles.values.shape[1]
    definition = cycles.definition
    measure = Measure(
        name=definition.name,
        side=cycles.side,
        value=value,
        sigma=effect.sigma,
        spread=float(np.std(cycles.values[0], ddof=1)) if n > 1 else float("nan"),
        unit=definition.unit,
        n=n,
        definition=definition.words,
    )
    return measure, effect


def _curves(
    t: FloatArray, by_name: dict[str, FloatArray], draws: int
) -> tuple[Curves, dict[str, Effect]]:
    """Collect the recording's curves, with sigma from the draws, and the effects on their means."""
    names = tuple(by_name)
    values = np.stack([by_name[n][0] for n in names], axis=-1) if names else np.zeros((len(t), 0))
    sigma = np.full_like(values, np.nan)
    effects: dict[str, Effect] = {}
    if draws:
        for i, name in enumerate(names):
            difference = (by_name[name][1 : 1 + draws] - by_name[name][1 + draws :]) / 2
            sigma[:, i] = np.sqrt(np.mean(difference**2, axis=0))
            known = np.isfinite(difference).all(axis=0)
            if known.any():
                effects[name] = Effect(difference[:, known].mean(axis=1))
    return Curves(names, t, values, sigma), effects
