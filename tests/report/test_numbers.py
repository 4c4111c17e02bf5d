"""The laws of printed numbers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.gait import Measure
from report.numbers import (
    INTERVAL_FACTOR,
    display_of,
    interval_decimals,
    measure_quantity,
    quantity,
    signed,
    time_text,
)

ANGLE = display_of("pelvic_drop_peak", "rad")


def angle(value_deg, interval_deg):
    return quantity(
        math.radians(value_deg), math.radians(interval_deg) / INTERVAL_FACTOR, ANGLE
    ).text


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (7.92, 0.61, "7.9 ± 0.6°"),
        (7.92, 0.32, "7.92 ± 0.32°"),
        (7.92, 0.97, "7.9 ± 1.0°"),
        (7.92, 1.44, "7.9 ± 1.4°"),
        (17.2, 4.4, "17 ± 4°"),
        (-7.92, 0.61, "−7.9 ± 0.6°"),
        (123.0, 61.0, "120 ± 60°"),
        (7.92, 0.0001, "7.92 ± 0.01°"),
        (-0.01, 0.61, "0.0 ± 0.6°"),
    ],
)
def test_digits_follow_the_interval(value, interval, text):
    assert angle(value, interval) == text


@given(st.floats(1e-3, 1e4))
def test_one_or_two_significant_digits_and_never_far_from_the_interval(interval):
    decimals = interval_decimals(interval)
    printed = round(interval, decimals)
    digits = round(printed * 10.0**decimals)
    assert 1 <= digits <= 99 or digits == 100
    assert len(str(digits).rstrip("0")) <= 2
    assert abs(printed - interval) <= 0.145 * interval


@given(st.floats(-1e3, 1e3), st.floats(1e-6, 1e2))
def test_value_and_interval_end_at_the_same_digit(value, sigma):
    printed = quantity(value, sigma, display_of("x", "1"))
    decimals = [len(part.partition(".")[2]) for part in (printed.value, printed.interval)]
    assert decimals[0] == decimals[1]
    assert float(printed.interval) > 0


@given(st.floats(-1e3, 1e3), st.integers(-2, 4))
def test_no_negative_zero_and_a_true_minus(value, decimals):
    text = signed(value, decimals)
    assert "-" not in text
    if text.startswith("−"):
        assert float(text[1:]) > 0


def test_unknown_interval_is_not_printed():
    assert quantity(math.radians(7.92), math.nan, ANGLE).text == "7.9°"
    assert quantity(math.nan, 0.1, ANGLE).text == "–"


@pytest.mark.parametrize(
    ("name", "unit", "value", "sigma", "text"),
    [
        ("contact_time", "s", 0.2617, 0.0022, "262 ± 4\u00a0ms"),
        ("cadence", "1/min", 171.44, 0.4, "171.4 ± 0.8\u00a0steps/min"),
        ("step_width", "m", 0.052, 0.003, "5.2 ± 0.6\u00a0cm"),
        ("stride_length", "m", 2.1, 0.006, "2.100 ± 0.012\u00a0m"),
    ],
)
def test_units_a_patient_knows(name, unit, value, sigma, text):
    measure = Measure(name, "left", value, sigma, 0.0, unit, 3, "a definition")
    assert measure_quantity(measure).text == text


def test_an_interval_of_nothing_is_a_programmers_mistake():
    with pytest.raises(ValueError, match="positive"):
        interval_decimals(0.0)


def test_times_to_the_minute():
    assert time_text("2026-11-21T10:30:59Z") == "2026-11-21 10:30"
    assert time_text("2026-11-21") == "2026-11-21"
    assert time_text("") == ""
