"""Cycles hold five events in the order of the activity; what does not is left out, and said."""

from __future__ import annotations

import pytest

from analysis.cycles import build_cycles
from lab.gait import Event

STRIDE = {"walk": (1.0, 0.62), "run": (0.7, 0.36)}


def events(activity, strides=4):
    duration, stance = STRIDE[activity]
    made = []
    for i in range(-1, 2 * strides + 1):
        side, t = ("left", "right")[i % 2], 0.1 + i * duration / 2
        made.append(Event("foot_strike", side, t, 0.002, "law"))
        made.append(Event("foot_off", side, t + stance * duration, 0.002, "law"))
    return sorted((e for e in made if e.t >= 0.1), key=lambda e: e.t)


@pytest.fixture(params=STRIDE)
def activity(request):
    return request.param


def test_every_whole_stride_is_a_cycle_of_its_own_events(activity):
    made = events(activity)
    cycles, notes = build_cycles(made, activity)
    assert notes == []
    assert [c.cycle.side for c in cycles] == ["left", "right"] * 3 + ["left"]
    for each in cycles:
        side, other = each.cycle.side, "right" if each.cycle.side == "left" else "left"
        for key, kind, whose in (
            ("strike", "foot_strike", side),
            ("off", "foot_off", side),
            ("opposite_strike", "foot_strike", other),
            ("opposite_off", "foot_off", other),
            ("next_strike", "foot_strike", side),
        ):
            event = made[getattr(each, key)]
            assert (event.kind, event.side) == (kind, whose)
            assert event.t == getattr(each.cycle, key)


@pytest.mark.parametrize("lost", range(4, 12))
def test_a_missed_event_costs_the_strides_that_need_it_and_makes_no_other(activity, lost):
    made = events(activity)
    whole = {(c.cycle.side, c.cycle.strike) for c in build_cycles(made, activity)[0]}
    gone = made[lost]
    cycles, notes = build_cycles([e for e in made if e is not gone], activity)
    kept = {(c.cycle.side, c.cycle.strike) for c in cycles}
    assert kept < whole
    assert notes
    assert all(gone.t not in (c.cycle.strike, c.cycle.next_strike) for c in cycles)


def test_a_second_strike_of_the_same_foot_is_not_believed(activity):
    made = events(activity)
    strike = next(e for e in made if e.t > 1 and e.kind == "foot_strike" and e.side == "right")
    extra = Event("foot_strike", "right", strike.t + 0.03, 0.002, "law")
    cycles, notes = build_cycles(sorted([*made, extra], key=lambda e: e.t), activity)
    assert len(cycles) < len(build_cycles(made, activity)[0])
    assert any("one event of each kind was expected" in note for note in notes)


def test_events_of_a_walk_are_no_run():
    cycles, notes = build_cycles(events("walk"), "run")
    assert cycles == []
    assert any("not in the order of a run" in note for note in notes)


def test_a_stop_is_no_stride(activity):
    made = events(activity)
    later = [e if e.t < 1.7 else Event(e.kind, e.side, e.t + 3, e.sigma, e.source) for e in made]
    cycles, notes = build_cycles(later, activity)
    assert all(c.cycle.next_strike - c.cycle.strike < 2 for c in cycles)
    assert any("stopped" in note for note in notes)
