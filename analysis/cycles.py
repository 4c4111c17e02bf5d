"""Events into gait cycles, and the check that left and right alternate."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.gait import Cycle, Event

# A stride longer than this holds a stop or a missed strike.
_LONGEST_STRIDE_S = {"walk": 2.5, "run": 1.3}


@dataclass(frozen=True, slots=True)
class IndexedCycle:
    """A cycle and the positions of its five events in the list of events.

    Attributes:
        cycle: The cycle.
        strike, off, opposite_strike, opposite_off, next_strike: Positions in the events.
    """

    cycle: Cycle
    strike: int
    off: int
    opposite_strike: int
    opposite_off: int
    next_strike: int


def build_cycles(events: Sequence[Event], activity: str) -> tuple[list[IndexedCycle], list[str]]:
    """Build every cycle whose events stand in the order of the activity.

    Args:
        events: In order of time.
        activity: walk or run.

    Returns:
        The cycles in order of time, and a line for each stride left out.
    """
    cycles: list[IndexedCycle] = []
    notes: list[str] = []
    for side, other in (("left", "right"), ("right", "left")):
        strikes = [i for i, e in enumerate(events) if e.side == side and e.kind == "foot_strike"]
        for first, last in itertools.pairwise(strikes):
            begin, end = events[first].t, events[last].t
            if end - begin > _LONGEST_STRIDE_S[activity]:
                notes.append(
                    f"{side} stride at {begin:.2f} s left out: it lasts {end - begin:.2f} s, so a "
                    "strike was missed or the person stopped"
                )
                continue
            inner = range(first + 1, last)
            picks = {
                key: [i for i in inner if events[i].side == s and events[i].kind == kind]
                for key, s, kind in (
                    ("off", side, "foot_off"),
                    ("opposite_strike", other, "foot_strike"),
                    ("opposite_off", other, "foot_off"),
                )
            }
            if any(len(p) != 1 for p in picks.values()):
                found = ", ".join(f"{len(p)} {k.replace('_', ' ')}" for k, p in picks.items())
                notes.append(
                    f"{side} stride at {begin:.2f} s left out: one event of each kind was "
                    f"expected, found {found}"
                )
                continue
            where = {k: p[0] for k, p in picks.items()}
            order = (
                ("opposite_off", "opposite_strike", "off")
                if activity == "walk"
                else ("off", "opposite_strike", "opposite_off")
            )
            times = [begin, *(events[where[k]].t for k in order), end]
            if not (np.diff(times) > 0).all():
                notes.append(
                    f"{side} stride at {begin:.2f} s left out: its events are not in the order of "
                    f"a {activity}"
                )
                continue
            cycle = Cycle(
                side=side,
                activity=activity,
                strike=begin,
                next_strike=end,
                **{k: events[i].t for k, i in where.items()},
            )
            cycles.append(IndexedCycle(cycle, strike=first, next_strike=last, **where))
    cycles.sort(key=lambda c: c.cycle.strike)
    return cycles, notes
