"""What counts as a change between visits."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.gait import Measure
from report.change import change_between

SIGMAS = st.floats(1e-3, 1.0)


def measure(value, sigma):
    return Measure("pelvic_drop_peak", "left", value, sigma, 0.1, "rad", 8, "a definition")


@given(st.floats(-3, 3), SIGMAS, SIGMAS, st.floats(0, 1))
def test_detectable_when_it_reaches_the_root_of_all_variances(d, s1, s2, landmarks):
    change = change_between(measure(1.0 + d, s1), measure(1.0, s2), landmarks)
    limit = 1.96 * math.sqrt(s1**2 + s2**2 + 2 * landmarks**2)
    assert change.limit == pytest.approx(limit)
    assert change.detectable == (abs(change.difference) >= change.limit)
    assert change.landmarks_included


@given(st.floats(-3, 3), SIGMAS, SIGMAS)
def test_the_order_of_visits_only_turns_the_sign(d, s1, s2):
    forth = change_between(measure(1.0 + d, s1), measure(1.0, s2))
    back = change_between(measure(1.0, s2), measure(1.0 + d, s1))
    assert forth.difference == -back.difference
    assert forth.limit == pytest.approx(back.limit)


def test_landmarks_not_known_are_said():
    assert not change_between(measure(2, 0.1), measure(1, 0.1)).landmarks_included


def test_nothing_is_claimed_without_an_interval():
    change = change_between(measure(100.0, math.nan), measure(0.0, 0.1))
    assert math.isnan(change.limit)
    assert not change.detectable


def test_another_definition_is_not_compared():
    before = replace(measure(1.0, 0.01), definition="another definition")
    assert not change_between(measure(9.0, 0.01), before).detectable


def test_other_measures_are_a_programmers_mistake():
    with pytest.raises(ValueError, match="cannot compare"):
        change_between(measure(1, 0.1), replace(measure(1, 0.1), side="right"))
