"""The standing trial: what a person's own zero is, and measures against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.effects import Effect
from analysis.walk import WalkAnalysis
from lab.gait import Measure
from lab.trial import Trial

# Measures that are also given against the standing trial, with the curve that they come from and
# whether the curve's leftward sense turns with the side.
_AGAINST = {
    "pelvic_drop_peak": ("pelvis_obliquity", True),
    "pelvic_drop_midstance": ("pelvis_obliquity", True),
    "trunk_lean_forward_stance_mean": ("trunk_lean_forward", False),
    "trunk_lean_lateral_peak": ("trunk_lean_lateral", True),
    "pelvic_tilt_stance_mean": ("pelvis_tilt", False),
}


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """A standing trial, and what each draw of errors does to the means of its curves."""

    trial: Trial
    effects: Mapping[str, Effect]


def standing_reference(standing: Trial) -> dict[str, float]:
    """Return the mean of each curve over the standing trial, rad by name."""
    means = {}
    for i, name in enumerate(standing.curves.names):
        column = standing.curves.values[:, i]
        if np.isfinite(column).any():
            means[name] = float(np.nanmean(column))
    return means


def against_standing(analysis: WalkAnalysis, standing: Standing) -> tuple[Measure, ...]:
    """Return measures less the person's own standing value, named with `_vs_standing`.

    Errors that both trials share (of the same calibration, of the same ties of plates) are the same
    draws in both, so that they count in the difference as far as they do not cancel.
    """
    reference = standing_reference(standing.trial)
    result = []
    for measure in analysis.measures:
        curve, turns = _AGAINST.get(measure.name, ("", False))
        if curve not in reference:
            continue
        sign = -1.0 if turns and measure.side == "right" else 1.0
        own = standing.effects.get(curve, Effect(np.zeros(0)))
        effect = analysis.effects[measure.name, measure.side].less(own, sign)
        result.append(
            Measure(
                name=f"{measure.name}_vs_standing",
                side=measure.side,
                value=measure.value - sign * reference[curve],
                sigma=effect.sigma,
                spread=measure.spread,
                unit=measure.unit,
                n=measure.n,
                definition=f"{measure.definition} Less the person's own value in quiet standing.",
            )
        )
    return tuple(result)
