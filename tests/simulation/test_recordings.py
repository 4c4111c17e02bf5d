"""The simulated gait against real recordings: shape and size of the curves over the cycle."""

import csv
import functools
from itertools import pairwise

import numpy as np
import pytest

from simulation.truth import true_cycles
from simulation.walker import simulate

SHARE = np.linspace(0, 1, 101)


def recorded(data, trial, side, column, stride=None):
    """A reference angle over the cycle from foot strike, (101,) deg; the mean over the cycles."""
    folder = data / "gait" / trial
    with open(folder / "angles.csv", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["side"] == side and r[column]]
    with open(folder / "events.csv", newline="") as file:
        strikes = [
            float(r["time_s"])
            for r in csv.DictReader(file)
            if r["side"] == side and r["event"] == "Foot Strike"
        ]
    if stride is not None:
        strikes = [strikes[0], strikes[0] + stride]
    t = np.array([float(r["time_s"]) for r in rows])
    value = np.array([float(r[column]) for r in rows])
    whole = [(a, b) for a, b in pairwise(strikes) if b <= t[-1]]
    return np.mean([np.interp(a + SHARE * (b - a), t, value) for a, b in whole], axis=0)


@functools.cache
def person(activity, speed):
    return simulate(activity, speed_m_s=speed, treadmill=True, duration_s=8.0, seed=1)


def simulated(activity, speed, name, side):
    walker = person(activity, speed)
    cycles = [c for c in true_cycles(walker) if c.side == side]
    return np.degrees(
        np.mean(
            [
                walker.curves(c.strike + SHARE * (c.next_strike - c.strike))[name]
                for c in cycles
            ],
            axis=0,
        )
    )  # fmt: skip


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    ("curve", "column", "correlation", "ratio"),
    [
        ("pelvis_obliquity", "pelvis_obliquity_rot", 0.70, (0.6, 1.6)),
        ("hip_flexion", "hip_flexion", 0.92, (0.75, 1.3)),
        ("knee_flexion", "knee_flexion", 0.92, (0.75, 1.3)),
    ],
)
def test_a_walk_is_shaped_as_a_recorded_one(data, side, curve, column, correlation, ratio):
    # One foot strike a side is marked; the stride is twice the time between the two sides' strikes.
    real = recorded(data, "walk_straight_plusY", side[0].upper(), column, stride=0.90)
    name = curve if curve == "pelvis_obliquity" else f"{curve}_{side}"
    if curve == "pelvis_obliquity" and side == "right":
        real = -real  # the reference has that side up +
    ours = simulated("walk", 1.2, name, side)
    assert np.corrcoef(real, ours)[0, 1] > correlation
    assert ratio[0] < np.ptp(ours) / np.ptp(real) < ratio[1]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    ("curve", "column", "correlation", "ratio", "offset"),
    [
        ("pelvis_obliquity", "pelvis_obliquity_rot", 0.88, (0.8, 2.0), 4.0),
        ("hip_flexion", "hip_flexion", 0.93, (0.8, 1.35), 8.0),
        ("knee_flexion", "knee_flexion", 0.93, (0.8, 1.2), 8.0),
    ],
)
def test_a_run_is_shaped_as_a_recorded_one(data, side, curve, column, correlation, ratio, offset):
    real = recorded(data, "run_treadmill_3mps", side[0].upper(), column)
    name = curve if curve == "pelvis_obliquity" else f"{curve}_{side}"
    if curve == "knee_flexion" or (curve == "pelvis_obliquity" and side == "right"):
        real = -real  # OpenSim's knee extends to +, and the reference has that side up +
    ours = simulated("run", 3.0, name, side)
    assert np.corrcoef(real, ours)[0, 1] > correlation
    assert ratio[0] < np.ptp(ours) / np.ptp(real) < ratio[1]
    assert abs(ours.mean() - real.mean()) < offset


def test_a_run_keeps_the_time_of_a_recorded_one(data):
    with open(data / "gait" / "run_treadmill_3mps" / "events.csv", newline="") as file:
        events = [(float(r["time_s"]), r["side"], r["event"]) for r in csv.DictReader(file)]
    strikes = [t for t, side, kind in events if side == "R" and kind == "Foot Strike"]
    offs = [t for t, side, kind in events if side == "R" and kind == "Foot Off"]
    cycles = true_cycles(person("run", 3.0))
    assert np.mean([c.next_strike - c.strike for c in cycles]) == pytest.approx(
        np.diff(strikes).mean(), rel=0.03
    )
    assert np.mean([c.off - c.strike for c in cycles]) == pytest.approx(
        np.mean(np.subtract(offs, strikes)), rel=0.06
    )
