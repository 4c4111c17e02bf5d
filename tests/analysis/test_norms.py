"""Reference values: each with its source, in SI units, refused where a word is missing."""

from __future__ import annotations

import math
import tomllib
from importlib.resources import files

import pytest

from analysis.norms import load_norms, parse_norms
from lab.errors import FileError
from lab.gait import ACTIVITIES

GOOD = """
[[norm]]
measure = "cadence"
unit = "1/min"
mean = 171.0
sd = 9.0
definition = "steps a minute"
population = "runners"
speed = "any"
citation = "a paper"
grade = "study"
finding = false
"""


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_every_value_has_words_and_a_number(activity):
    norms = load_norms(activity)
    assert norms
    for norm in norms:
        assert norm.activity == activity
        for word in (norm.definition, norm.population, norm.speed, norm.citation, norm.grade):
            assert word.strip()
        numbers = [norm.low, norm.high, norm.mean, norm.sd]
        assert any(math.isfinite(x) for x in numbers)
        if norm.unit == "rad":
            assert all(abs(x) < math.radians(45) for x in numbers if math.isfinite(x))
        if norm.finding:
            assert math.isfinite(norm.low) or math.isfinite(norm.high)


def test_the_clinician_s_range_of_forward_lean():
    lean = [n for n in load_norms("run") if n.measure == "trunk_lean_forward_stance_mean"]
    first = lean[0]
    assert (math.degrees(first.low), math.degrees(first.high)) == pytest.approx((8.0, 10.0))
    assert first.finding
    assert "Vandi" in first.citation
    assert not any(n.finding for n in lean[1:])


def test_what_has_no_number_in_its_source_is_not_listed():
    assert not [n for n in load_norms("run") if n.measure.startswith("pelvic_drop")]
    assert not [n for n in load_norms("run") if n.measure == "hip_extension_peak"]
    assert not [n for n in load_norms("walk") if n.finding]


def test_children_are_named_as_such():
    schwartz = [n for n in load_norms("walk") if "Schwartz" in n.citation]
    assert schwartz
    assert all("children" in n.population for n in schwartz)


def test_the_four_findings_have_their_texts():
    table = tomllib.loads(files("configs").joinpath("norms/findings.toml").read_text("utf-8"))
    names = [entry["name"] for entry in table["finding"]]
    assert names == ["pelvic_drop", "trunk_lean", "over_stride", "hip_extension"]
    for entry in table["finding"]:
        assert entry["consequence"].strip()
        assert entry["exercise"].strip()
        assert "Vandi" in entry["citation"]
        assert "risk" not in (entry["consequence"] + entry["exercise"]).lower()


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ('citation = "a paper"', 'citation = " "', "lacks citation"),
        ('population = "runners"', "", "lacks population"),
        ("mean = 171.0\nsd = 9.0", "", "no number"),
        ("mean = 171.0", "mean_deg = 171.0", "not known: mean_deg"),
        ("mean = 171.0", 'mean = "171"', "mean is not a number"),
        ("sd = 9.0", "sd = -9.0", "sd is negative"),
        ("sd = 9.0", "low = 180.0\nhigh = 170.0", "low lies above high"),
        ("finding = false", "finding = 0", "finding is not true or false"),
        ('unit = "1/min"', 'unit = "deg"', "unit 'deg'"),
        ("[[norm]]", "[[norm", "not valid TOML"),
    ],
)
def test_a_broken_entry_is_refused(was, becomes, message):
    assert len(parse_norms(GOOD, "run", "here")) == 1
    with pytest.raises(FileError, match=message):
        parse_norms(GOOD.replace(was, becomes), "run", "here")


def test_only_walking_and_running():
    with pytest.raises(ValueError, match="activity"):
        load_norms("swim")
