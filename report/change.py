"""What has changed since last time, and whether such a change can be detected at all."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lab.gait import Measure
from report.numbers import INTERVAL_FACTOR


@dataclass(frozen=True, slots=True)
class Change:
    """The difference of a measure between two visits.

    Attributes:
        difference: This visit minus the last, in the measure's unit.
        limit: The smallest difference that can be told from none, in the same unit; NaN where
            an uncertainty is not known.
        landmarks_included: Whether the limit holds the uncertainty of finding the landmarks anew.
        comparable: Whether both were measured by the same definition.
    """

    difference: float
    limit: float
    landmarks_included: bool
    comparable: bool

    @property
    def detectable(self) -> bool:
        """Whether the difference reaches the limit; never where the limit is not known."""
        return self.comparable and math.isfinite(self.limit) and abs(self.difference) >= self.limit


def change_between(now: Measure, before: Measure, revisit_sigma: float = math.nan) -> Change:
    """Compare a measure with that of an earlier visit.

    No change is detectable when |d| < 1.96 sqrt(s1^2 + s2^2), where each s holds the standard
    uncertainty of the visit's value and that of finding the landmarks anew (the smallest
    detectable difference of Bland and Altman, Lancet 1986, 327:307, with unequal uncertainties).

    Args:
        now: This visit.
        before: The earlier visit, same name and side.
        revisit_sigma: Standard uncertainty of one visit by placing markers or finding landmarks
            anew, in the measure's unit; NaN when not known.

    Raises:
        ValueError: When the measures differ in name, side or unit.
    """
    if (now.name, now.side, now.unit) != (before.name, before.side, before.unit):
        raise ValueError(f"cannot compare {now.name} {now.side} with {before.name} {before.side}")
    known = math.isfinite(revisit_sigma)
    landmarks = revisit_sigma if known else 0.0
    limit = INTERVAL_FACTOR * math.sqrt(now.sigma**2 + before.sigma**2 + 2 * landmarks**2)
    return Change(
        now.value - before.value, limit, known, comparable=now.definition == before.definition
    )
