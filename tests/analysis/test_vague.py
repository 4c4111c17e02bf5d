"""A number whose interval says nothing is not given, and the reason is."""

import math

import pytest

from analysis.measures import DEFINITIONS
from analysis.norms import load_norms
from analysis.vague import part_vague
from lab.gait import Measure

HALF = {d.name: d.widest for d in DEFINITIONS}
UNIT = {d.name: d.unit for d in DEFINITIONS}


def measured(name, half, side="left", unit=None):
    unit = unit or UNIT[name]
    return Measure(name, side, 0.3, half / 1.96, 0.01, unit, 3, "A definition.")


@pytest.mark.parametrize("name", HALF)
def test_every_measure_has_a_width_from_which_on_it_is_not_given(name):
    widest = HALF[name]
    measures = [measured(name, 0.999 * widest), measured(name, 1.001 * widest, "right")]
    given, withheld = part_vague(measures)
    assert given == (measures[0],)
    assert list(withheld) == [f"{name} right"]


@pytest.mark.parametrize("activity", ["run", "walk"])
def test_widths_are_those_of_the_people_in_the_reference_values(activity):
    spreads = [(n.measure, n.sd) for n in load_norms(activity) if math.isfinite(n.sd)]
    assert spreads
    for name, sd in spreads:
        assert HALF[name] >= 2 * 1.96 * sd - 1e-9


def test_the_reason_says_both_widths_in_an_operators_units():
    _, withheld = part_vague(
        [
            measured("knee_flexion_peak_stance", math.radians(36.3)),
            measured("contact_time", 0.379),
            measured("cadence", 40.0, "both"),
            measured("step_width", 0.33, "both"),
        ]
    )
    knee, contact, cadence, width = withheld.values()
    assert knee == (
        "known only to ± 36 degrees; all that healthy people differ by is some 27 degrees"
    )
    assert contact.startswith("known only to ± 0.38 s; ")
    assert contact.endswith("some 0.09 s")
    assert cadence.startswith("known only to ± 40 a minute")
    assert width.startswith("known only to ± 0.33 m")


def test_a_measure_against_standing_is_held_to_the_same_width():
    name = "pelvic_drop_peak_vs_standing"
    wide, narrow = (measured(name, math.radians(v), unit="rad") for v in (12.0, 4.0))
    assert part_vague([narrow]) == ((narrow,), {})
    assert list(part_vague([wide])[1]) == [f"{name} left"]


def test_an_unknown_interval_is_no_wide_one():
    unknown = measured("contact_time", math.nan)
    assert part_vague([unknown]) == ((unknown,), {})
