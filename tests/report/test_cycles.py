"""Curves over the cycle."""

from dataclasses import replace

import numpy as np
import pytest

from lab.gait import Curves
from report.cycles import cycle_curves, foot_off_percent


def with_curves(trial, names, values):
    t = trial.curves.t
    return replace(trial, curves=Curves(names, t, values, np.zeros_like(values)))


def test_a_straight_line_stays_one(make_trial):
    trial = make_trial()
    line = (3.0 * trial.curves.t - 1.0)[:, None]
    trial = with_curves(trial, ("knee_flexion_left",), line)
    rows = cycle_curves(trial, "knee_flexion_left")
    left = [c for c in trial.cycles if c.side == "left"]
    assert rows.shape == (len(left), 101)
    for row, cycle in zip(rows, left, strict=True):
        at = np.linspace(cycle.strike, cycle.next_strike, 101)
        np.testing.assert_allclose(row, 3.0 * at - 1.0, atol=1e-12)


def test_a_curve_without_side_is_cut_by_the_side_asked_for(make_trial):
    trial = make_trial(left=3, right=5)
    assert len(cycle_curves(trial, "pelvis_tilt", "left")) == 3
    assert len(cycle_curves(trial, "pelvis_tilt", "right")) == 5
    assert len(cycle_curves(trial, "pelvis_tilt")) == 8
    assert len(cycle_curves(trial, "hip_flexion_right", "left")) == 5


def test_missing_stays_missing_and_is_not_bridged(make_trial):
    trial = make_trial()
    values = np.ones((len(trial.curves.t), 1))
    values[60] = np.nan
    trial = with_curves(trial, ("knee_flexion_left",), values)
    row = cycle_curves(trial, "knee_flexion_left")[0]
    at = np.linspace(trial.cycles[0].strike, trial.cycles[0].next_strike, 101)
    lost = (at > trial.curves.t[59] + 1e-9) & (at < trial.curves.t[61] - 1e-9)
    assert lost.any()
    assert np.isnan(row[lost]).all()
    assert np.isfinite(row[~lost]).all()


def test_outside_the_recording_is_missing(make_trial):
    trial = make_trial()
    keep = trial.curves.t <= 0.6
    short = Curves(
        trial.curves.names,
        trial.curves.t[keep],
        trial.curves.values[keep],
        trial.curves.sigma[keep],
    )
    row = cycle_curves(replace(trial, curves=short), "pelvis_tilt", "left")[0]
    assert np.isfinite(row[0])
    assert np.isnan(row[-1])


def test_no_cycles_no_rows(make_trial):
    trial = make_trial(left=0, right=0)
    assert cycle_curves(trial, "pelvis_tilt").shape == (0, 101)
    assert np.isnan(foot_off_percent(trial, "left"))


def test_foot_off(make_trial):
    assert foot_off_percent(make_trial(), "left") == pytest.approx(100 * 0.26 / 0.70)


def test_unknown_curve(make_trial):
    with pytest.raises(ValueError, match="not in tuple"):
        cycle_curves(make_trial(), "no_such_curve")
