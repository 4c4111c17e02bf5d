"""The four findings: which number stands for each, and how it lies to a range."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import FileError
from lab.gait import Measure
from lab.trial import Norm
from report.findings import (
    FINDINGS,
    Band,
    band_for,
    finding_measures,
    judge,
    load_findings,
    read_findings,
)

NORM = Norm(
    "pelvic_drop_peak", 0.0, 1.0, math.nan, math.nan, "rad", "run", "d", "p", "s", "c", "g", True
)
BAND = Band(0.0, 1.0, True, NORM)


def measure(value, sigma):
    return Measure("pelvic_drop_peak", "left", value, sigma, 0.1, "rad", 8, "a definition")


@given(st.floats(-2, 3), st.floats(1e-3, 0.5))
def test_a_place_is_said_only_when_the_whole_interval_lies_there(value, sigma):
    low, high = value - 1.96 * sigma, value + 1.96 * sigma
    place = judge(measure(value, sigma), BAND).place
    assert (place == "inside") == (low >= 0 and high <= 1)
    assert (place == "above") == (low > 1)
    assert (place == "below") == (high < 0)


def test_an_unknown_interval_is_said():
    assert not judge(measure(2.0, math.nan), BAND).sure
    assert judge(measure(2.0, 0.01), BAND).sure


def test_an_open_end_has_no_outside():
    band = Band(-math.inf, 1.0, True, NORM)
    assert judge(measure(-50.0, 0.01), band).place == "inside"


def test_a_cut_off_goes_before_a_mean(make_trial):
    trial = make_trial()
    band = band_for(trial, "trunk_lean_forward_stance_mean")
    assert band is not None
    assert math.degrees(band.low) == pytest.approx(8)
    assert band.cut_off
    only_mean = replace(trial, norms=tuple(n for n in trial.norms if not n.finding))
    mean = band_for(only_mean, "trunk_lean_forward_stance_mean")
    assert mean is not None
    assert not mean.is_range
    assert math.degrees(mean.low) == pytest.approx(7.3 - 3.6)


def test_no_range_without_a_source_or_of_another_activity(make_trial):
    trial = make_trial()
    assert band_for(trial, "hip_extension_peak") is None
    unsourced = tuple(replace(n, citation="") for n in trial.norms)
    assert band_for(replace(trial, norms=unsourced), "over_stride_angle_heel") is None


def test_the_next_best_measure_stands_under_its_own_name(make_trial):
    trial = make_trial()
    hip = FINDINGS[3]
    assert finding_measures(trial, hip)[0] == "hip_extension_peak"
    without = tuple(m for m in trial.measures if m.name != "hip_extension_peak")
    name, sides = finding_measures(replace(trial, measures=without), hip)
    assert name == "thigh_trunk_extension_peak"
    assert set(sides) == {"left", "right"}
    assert finding_measures(replace(trial, measures=()), hip) == ("hip_extension_peak", {})


def test_the_shipped_texts_cover_the_four():
    assert set(load_findings()) == {f.name for f in FINDINGS}


ENTRY = '[[finding]]\nname = "x"\nconsequence = "{}"\nexercise = "e"\ncitation = "c"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[finding]\n", "not valid TOML"),
        ('[[finding]]\nname = "x"\n', "lacks consequence, exercise, citation"),
        (ENTRY.format("A higher risk of pain."), "speaks of risk"),
    ],
)
def test_bad_texts_are_refused(text, message, tmp_path):
    path = tmp_path / "findings.toml"
    path.write_text(text)
    with pytest.raises(FileError, match=message):
        read_findings(path)


def test_texts_are_read(tmp_path):
    path = tmp_path / "findings.toml"
    path.write_text(ENTRY.format("Pressure."))
    assert read_findings(path)["x"].consequence == "Pressure."
    with pytest.raises(FileError, match="cannot be read"):
        read_findings(tmp_path / "missing.toml")
