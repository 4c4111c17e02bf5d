"""The standing trial: what a person's own zero is, and measures against it."""

from __future__ import annotations

import math

import numpy as np

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


def standing_reference(standing: Trial) -> dict[str, float]:
    """Return the mean of each curve over the standing trial, rad by name."""
    means = {}
    for i, name in enumerate(standing.curves.names):
        column = standing.curves.values[:, i]
        if np.isfinite(column).any():
            means[name] = float(np.nanmean(column))
    return means


def against_standing(measures: tuple[Measure, ...], standing: Trial) -> tuple[Measure, ...]:
    """Return measures less the person's own standing value, named with `_vs_standing`.

    The standing value's sigma is the mean sigma of its curve, as if the error were the same in
    every frame (that of the calibration is); both are added as if they were independent, which the
    calibration's part is not, so the interval is rather too wide than too narrow.
    """
    reference = standing_reference(standing)
    result = []
    for measure in measures:
        curve, turns = _AGAINST.get(measure.name, ("", False))
        if curve not in reference:
            continue
        sign = -1.0 if turns and measure.side == "right" else 1.0
        column = standing.curves.sigma[:, standing.curves.names.index(curve)]
        known = np.isfinite(column)
        sigma = float(column[known].mean()) if known.any() else float("nan")
        result.append(
            Measure(
                name=f"{measure.name}_vs_standing",
                side=measure.side,
                value=measure.value - sign * reference[curve],
                sigma=math.hypot(measure.sigma, sigma),
                spread=measure.spread,
                unit=measure.unit,
                n=measure.n,
                definition=f"{measure.definition} Less the person's own value in quiet standing.",
            )
        )
    return tuple(result)
