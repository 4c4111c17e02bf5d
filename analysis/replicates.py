"""One walk in its replicates: the recording, and the recording with each draw of its errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.angles import compute_angles, strike_angles
from analysis.corner import value_at_corner
from analysis.cycles import IndexedCycle
from analysis.sampling import sample
from analysis.segments import Body
from lab.checks import FloatArray
from lab.cores import over_cores
from lab.gait import SIDES

_AT_A_TIME = 16  # replicates, by one core
_SAMPLES = 101


@dataclass(frozen=True, eq=False)
class Walk:
    """One walk in B replicates, ready to be measured; the first replicate is the recording.

    Attributes:
        t: (T,) s.
        body: Smoothed points (B, T, K, 3) m.
        raw: The same, unsmoothed.
        curves: (B, T) rad by name.
        event_times: (B, E) s.
        cycles: The cycles, with positions into the events.
        belt_speed: m/s, 0 overground.
    """

    t: FloatArray
    body: Body
    raw: Body
    curves: Mapping[str, FloatArray]
    event_times: FloatArray
    cycles: Sequence[IndexedCycle]
    belt_speed: float

    def of(self, side: str) -> list[IndexedCycle]:
        """Return the cycles of one side."""
        return [c for c in self.cycles if c.cycle.side == side]

    def times(self, side: str, event: str) -> FloatArray:
        """Return when an event of each cycle of a side happened, (B, C) s."""
        return self.event_times[:, [getattr(c, event) for c in self.of(side)]]

    def over(self, curve: str, side: str, begin: str, end: str) -> FloatArray:
        """Return a curve between two events of each cycle, (B, C, 101) rad."""
        a, b = self.times(side, begin), self.times(side, end)
        share = np.linspace(0, 1, _SAMPLES)
        return sample(self.t, self.curves[curve], a[..., None] + (b - a)[..., None] * share)

    def at(self, curve: str, side: str, times: FloatArray) -> FloatArray:
        """Return a smooth curve at times (B, C)."""
        return sample(self.t, self.curves[curve], times)

    @cached_property
    def strike_curves(self) -> dict[str, FloatArray]:
        """Unsmoothed curves (B, T) that are read at foot strike, where their slope breaks."""
        curves: dict[str, FloatArray] = {}
        for side in SIDES:
            curves.update(strike_angles(self.raw, side))
        return curves

    def at_strike(self, curve: str, side: str) -> FloatArray:
        """Return an unsmoothed curve at each foot strike, (B, C) rad."""
        return self._at_corners(self.strike_curves[curve][..., None], side, "strike")[..., 0]

    def foot_at(self, foot: str, side: str, event: str) -> FloatArray:
        """Return where a heel stands at an event of each cycle of a side.

        Returns:
            (B, C, 2) m: forward over the ground or belt, and left.
        """
        heel = self.raw.point(f"{foot}_heel")
        path = np.stack(
            [self.raw.along(heel) + self.belt_speed * self.t, self.raw.aside(heel)], axis=-1
        )
        return self._at_corners(path, side, event)

    def _at_corners(self, curves: FloatArray, side: str, event: str) -> FloatArray:
        return value_at_corner(self.t, curves, self.times(side, event))


def walk_in_parts(
    t: FloatArray,
    body: Body,
    raw: Body,
    event_times: FloatArray,
    cycles: Sequence[IndexedCycle],
    belt_speed: float,
) -> list[Walk]:
    """Return the replicates of a walk a few at a time, in order; arguments as of `Walk`."""

    def some(first: int, end: int) -> Walk:
        part, times = body.of_replicates(first, end), event_times[first:end]
        own = raw.of_replicates(first, end)
        return Walk(t, part, own, compute_angles(part), times, cycles, belt_speed)

    return over_cores(some, len(raw.xyz), chunk=_AT_A_TIME)
