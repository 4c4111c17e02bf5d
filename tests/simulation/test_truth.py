"""The truth of each measure, against a plain calculation."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.truth import match_cycle, true_cycle_values, true_cycles, true_measures
from simulation.walker import simulate


@pytest.fixture(scope="module")
def runner():
    return simulate("run", speed_m_s=3.0, treadmill=True, duration_s=5.0, seed=3)


@pytest.fixture(scope="module")
def walker():
    return simulate("walk", speed_m_s=1.2, treadmill=False, duration_s=6.0, seed=3, heading=-1)


def dense(person, name, begin, end):
    return person.curves(np.linspace(begin, end, 5001))[name]


def over_time(curve):
    return np.trapezoid(curve, dx=1 / (len(curve) - 1))


@pytest.mark.parametrize("side", ["left", "right"])
def test_angles_of_a_run_by_hand(runner, side):
    sign = 1.0 if side == "left" else -1.0
    cycles = [c for c in true_cycles(runner) if c.side == side][:2]
    values = true_cycle_values(runner, cycles)
    assert all(len(v) == 2 for v in values.values())
    for i, c in enumerate(cycles):
        drop = sign * dense(runner, "pelvis_obliquity", c.strike, c.off)
        whole = dense(runner, f"hip_flexion_{side}", c.strike, c.next_strike)
        expected = {
            "pelvic_drop_peak": drop.max(),
            "pelvic_drop_midstance": drop[2500],
            "pelvic_drop_strike": drop[0],
            "pelvic_drop_excursion": np.ptp(drop),
            "trunk_lean_lateral_peak": (
                sign * dense(runner, "trunk_lean_lateral", c.strike, c.off)
            ).max(),
            "trunk_lean_forward_stance_mean": over_time(
                dense(runner, "trunk_lean_forward", c.strike, c.off)
            ),
            "pelvic_tilt_stance_mean": over_time(dense(runner, "pelvis_tilt", c.strike, c.off)),
            "hip_extension_peak": -whole.min(),
            "thigh_extension_peak": -dense(
                runner, f"thigh_flexion_{side}", c.strike, c.next_strike
            ).min(),
            "over_stride_angle_heel": runner.curves([c.strike])[f"limb_angle_heel_{side}"][0],
            "shank_angle_strike": runner.curves([c.strike])[f"shank_angle_{side}"][0],
        }
        for name, value in expected.items():
            assert values[name, side][i] == pytest.approx(value, abs=2e-6), name
        assert values["contact_time", side][i] == pytest.approx(c.off - c.strike)
        assert values["flight_time", side][i] == pytest.approx(c.opposite_strike - c.off)
        assert values["cadence", "both"][i] == pytest.approx(120 / (c.next_strike - c.strike))
        knee = dense(runner, f"knee_flexion_{side}", c.strike, c.off)
        peak = values["knee_flexion_peak_stance", side][i]
        assert peak == pytest.approx(knee[250:3951].max(), abs=2e-6)


def test_more_drop_on_one_side_is_true_of_that_side(runner):
    usual = true_measures(runner, true_cycles(runner))
    dropped = simulate(
        "run", speed_m_s=3.0, treadmill=True, duration_s=5.0, seed=3, obliquity_offset=0.06
    )
    changed = true_measures(dropped, true_cycles(dropped))
    by = 0.06 - np.deg2rad(0.7)
    for name in ("pelvic_drop_peak", "pelvic_drop_midstance", "pelvic_drop_strike"):
        assert changed[name, "left"] - usual[name, "left"] == pytest.approx(by, abs=1e-6)
        assert changed[name, "right"] - usual[name, "right"] == pytest.approx(-by, abs=1e-6)


def test_the_mirror_exchanges_the_sides_of_every_measure(walker):
    ours = true_measures(walker, true_cycles(walker))
    theirs = true_measures(walker.mirror(), true_cycles(walker.mirror()))
    swap = {"left": "right", "right": "left", "both": "both"}
    assert set(theirs) == {(name, swap[side]) for name, side in ours}
    for (name, side), value in ours.items():
        assert theirs[name, swap[side]] == pytest.approx(value, abs=1e-12), name


def test_distances_overground_and_on_the_belt_are_the_same():
    kinds = {"speed_m_s": 1.2, "duration_s": 6.0, "seed": 3}
    floor = simulate("walk", treadmill=False, heading=-1, turn=0.5, **kinds)
    belt = simulate("walk", treadmill=True, **kinds)
    on_floor = true_measures(floor, true_cycles(floor))
    for key, value in true_measures(belt, true_cycles(belt)).items():
        assert on_floor[key] == pytest.approx(value, abs=1e-9), key


def test_lengths_add_up(walker):
    cycles = true_cycles(walker)
    values = true_measures(walker, cycles)
    stride = values["stride_length", "left"]
    both_steps = values["step_length", "left"] + values["step_length", "right"]
    assert both_steps == pytest.approx(stride, rel=0.03)
    assert values["step_width", "both"] == pytest.approx(0.10, abs=0.01)
    mean_time = np.mean([c.next_strike - c.strike for c in cycles if c.side == "left"])
    assert stride / mean_time == pytest.approx(1.2, rel=0.02)


def test_found_cycles_are_matched_to_true_ones(runner):
    true = true_cycles(runner)[2]
    shifted = {
        name: getattr(true, name) + 0.03
        for name in ("strike", "off", "opposite_strike", "opposite_off", "next_strike")
    }
    assert match_cycle(runner, replace(true, **shifted)) == true
    late = replace(true, **{name: t + 0.1 for name, t in shifted.items()})
    with pytest.raises(ValueError, match="no true foot strike"):
        match_cycle(runner, late)
    after = next(c for c in true_cycles(runner) if c.side == true.side and c.strike > true.strike)
    double = replace(true, next_strike=after.next_strike)
    with pytest.raises(ValueError, match="not one true stride"):
        match_cycle(runner, double)


def test_true_cycles_follow_the_order_of_the_activity(runner, walker):
    for person, order in (
        (runner, ("strike", "off", "opposite_strike", "opposite_off", "next_strike")),
        (walker, ("strike", "opposite_off", "opposite_strike", "off", "next_strike")),
    ):
        cycles = true_cycles(person)
        assert len(cycles) >= 6
        for c in cycles:
            assert (np.diff([getattr(c, name) for name in order]) > 0).all()


def test_the_knee_of_a_walker_peaks_in_loading_not_at_off(walker):
    c = next(c for c in true_cycles(walker) if c.side == "left")
    knee = dense(walker, "knee_flexion_left", c.strike, c.off)
    values = true_cycle_values(walker, [c])
    assert values["knee_flexion_peak_stance", "left"][0] == pytest.approx(
        knee[250:3951].max(), abs=1e-4
    )
    assert knee.max() > knee[250:3951].max() + np.deg2rad(3)
