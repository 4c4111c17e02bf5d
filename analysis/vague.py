"""Numbers whose interval says nothing: not given, with the reason.

A measure's `widest` is the width of the range in which 95 % of healthy people lie, 3.92 times the
standard deviation between them. From there on a reading at one end of that range does not tell it
from the other end, and a finding would have to lie two whole ranges off to be seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.measures import DEFINITIONS
from lab.gait import Measure

_HALF_WIDTH = 1.96  # of the 95 % interval, in sigmas
_WIDEST = {d.name: d.widest for d in DEFINITIONS}
# As printed, by stored unit.
_SHOWN = {"rad": (180 / math.pi, "degrees"), "1/min": (1.0, "a minute")}


def part_vague(measures: Sequence[Measure]) -> tuple[tuple[Measure, ...], dict[str, str]]:
    """Part measures that say something from those that do not.

    A measure that is derived from one of ours and is named after it (`..._vs_standing`) is held to
    the same width. One whose sigma is not known is given.

    Returns:
        The measures to give, and the reason for each of the others, by name and side.
    """
    given: list[Measure] = []
    withheld: dict[str, str] = {}
    for measure in measures:
        widest = _WIDEST[measure.name.removesuffix("_vs_standing")]
        half = _HALF_WIDTH * measure.sigma
        if not half > widest:  # NaN is not
            given.append(measure)
            continue
        factor, unit = _SHOWN.get(measure.unit, (1.0, measure.unit))
        withheld[f"{measure.name} {measure.side}"] = (
            f"known only to ± {_digits(half * factor)} {unit}; all that healthy people "
            f"differ by is some {_digits(widest * factor)} {unit}"
        )
    return tuple(given), withheld


def _digits(value: float) -> str:
    """Return two significant digits, and whole numbers from ten on."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
