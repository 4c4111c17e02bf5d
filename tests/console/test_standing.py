"""Measures against the standing trial: errors that both share cancel, others add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.effects import Effect
from analysis.walk import WalkAnalysis
from console.standing import Standing, against_standing
from lab.gait import Curves, Measure

DRAWS = 4000


def measured(side, effect):
    measure = Measure(
        name="pelvic_drop_peak", side=side, value=0.1, sigma=effect.sigma, spread=0.01,
        unit="rad", n=5, definition="The drop.",
    )  # fmt: skip
    none = np.empty((0, 0))
    analysis = WalkAnalysis(Curves((), np.empty(0), none, none), (), (), (), {}, (), (), {})
    return replace(analysis, measures=(measure,), effects={("pelvic_drop_peak", side): effect})


class QuietTrial:
    """As much of a standing trial as is asked for."""

    curves = Curves(
        ("pelvis_obliquity",), np.arange(3.0), np.full((3, 1), 0.02), np.full((3, 1), 0.5)
    )


def difference(side, effect, own):
    effects = {} if own is None else {"pelvis_obliquity": own}
    (result,) = against_standing(measured(side, effect), Standing(QuietTrial(), effects))
    return result


def test_what_a_calibration_does_to_both_cancels_and_the_rest_adds_up():
    rng = np.random.default_rng(3)
    shared, moving, still = (s * rng.standard_normal(DRAWS) for s in (0.03, 0.003, 0.004))
    left = difference("left", Effect(shared + moving), Effect(shared + still))
    assert left.name == "pelvic_drop_peak_vs_standing"
    assert left.value == pytest.approx(0.08)
    assert left.sigma == pytest.approx(0.005, rel=0.1)
    # In right stance the drop is the obliquity's negative: the same tilt moves it the other way.
    right = difference("right", Effect(moving - shared), Effect(shared + still))
    assert right.value == pytest.approx(0.12)
    assert right.sigma == pytest.approx(0.005, rel=0.1)


def test_what_is_not_shared_adds_up():
    rng = np.random.default_rng(4)
    one, other = 0.03 * rng.standard_normal((2, DRAWS))
    assert difference("left", Effect(one), Effect(other)).sigma == pytest.approx(
        0.03 * np.sqrt(2), rel=0.1
    )
    bent = difference("left", Effect(one, 0.04**2), Effect(other))
    assert bent.sigma == pytest.approx(np.sqrt(2 * 0.03**2 + 0.04**2), rel=0.1)


def test_where_errors_are_not_known_neither_is_the_interval():
    known = Effect(np.ones(8))
    assert np.isnan(difference("left", known, None).sigma)
    assert np.isnan(difference("left", Effect(np.zeros(0)), known).sigma)
