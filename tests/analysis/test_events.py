"""Events of exact points: the true ones, between the frames, each once, left and right in turn."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from lab.gait import SIDES

KINDS = ("foot_strike", "foot_off")
# What the contact model leaves of single events and of their mean without any noise, s: a fifth to
# a half of a frame.
SINGLE_S = {"foot_strike": 0.004, "foot_off": 0.008}
# A walker's toe leaves so gently that its instant comes out late.
MEAN_S = {"foot_strike": 0.001, "foot_off": 0.0055}


def times(events, kind, side):
    return np.array([e.t for e in events if (e.kind, e.side) == (kind, side)])


def errors(found, person, kind, side):
    true, own = times(person.events, kind, side), times(found.events, kind, side)
    return own - true[np.abs(true - own[:, None]).argmin(axis=1)]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", KINDS)
def test_exact_points_give_the_true_events(person, analyse_person, kind, side):
    found = analyse_person(person)
    far = errors(found, person, kind, side)
    assert np.abs(far).max() < SINGLE_S[kind]
    assert abs(far.mean()) < MEAN_S[kind]
    # Every event of the recording but those too near its ends for either phase to be seen.
    inside = times(person.events, kind, side)
    inside = inside[(inside > 0.3) & (inside < person.duration - 0.3)]
    own = times(found.events, kind, side)
    assert len(own) >= len(inside)
    assert (np.diff(own) > 0.5).all()


def test_left_and_right_take_turns(person, analyse_person):
    strikes = [e for e in analyse_person(person).events if e.kind == "foot_strike"]
    assert len(strikes) >= 6
    assert all(a.side != b.side for a, b in pairwise(strikes))


@pytest.mark.parametrize("delay", [0.0025, 0.005, 0.0075])
def test_events_do_not_move_with_the_frames(person, analyse_person, delay):
    still, moved = analyse_person(person), analyse_person(person, delay)
    for kind in KINDS:
        for side in SIDES:
            a, b = times(still.events, kind, side), times(moved.events, kind, side)
            apart = b - a[np.abs(a - b[:, None]).argmin(axis=1)]
            # A frame lasts 10 ms. Where a walker's toe leaves is the least sharp of all.
            gentle = kind == "foot_off" and person.belt_speed == 0
            assert np.sqrt(np.mean(apart**2)) < (0.003 if gentle else 0.0015)


def test_the_time_of_day_does_not_matter(person, record, analyse):
    points, belt = record(person), person.belt_speed or None
    shift = 5000.0
    # On a belt the ground moves on in the meantime; only the place changes, and that is free.
    first = analyse(points, person.activity, belt)
    later = analyse(replace(points, t=points.t + shift), person.activity, belt)
    a, b = (np.array([e.t for e in found.events]) for found in (first, later))
    np.testing.assert_allclose(b - shift, a, atol=1e-6)


def test_events_that_an_operator_gave_are_used(runner, analyse_person):
    mine = runner.events
    found = analyse_person(runner, events=mine)
    assert found.events == mine
    contact = next(m for m in found.measures if (m.name, m.side) == ("contact_time", "left"))
    cycles = [c for c in found.cycles if c.side == "left"]
    assert contact.value == pytest.approx(np.mean([c.off - c.strike for c in cycles]), abs=1e-12)


def test_a_person_without_feet_has_no_events(runner, record, analyse):
    points = record(runner)
    kept = [i for i, n in enumerate(points.names) if "heel" not in n and "foot" not in n]
    fewer = replace(
        points,
        names=tuple(points.names[i] for i in kept),
        xyz=points.xyz[:, kept],
        cov=points.cov[:, kept],
    )
    found = analyse(fewer, "run", 3.0)
    assert found.events == ()
    assert found.cycles == ()
    assert found.measures == ()
    assert "no complete left cycle" in found.withheld["pelvic_drop_peak left"]


def test_a_standing_person_has_no_events(runner, record, analyse):
    found = analyse(record(runner), "run", None, standing=True)
    assert found.events == ()


def test_the_stated_sigma_of_events_holds_what_the_model_itself_leaves(person, analyse_person):
    found = analyse_person(person)
    for kind in KINDS:
        sigma = np.mean([e.sigma for e in found.events if e.kind == kind])
        far = np.concatenate([errors(found, person, kind, side) for side in SIDES])
        assert np.sqrt(np.mean(far**2)) < 1.5 * sigma


def test_an_event_is_no_surer_than_its_draws(runner, record, analyse):
    """A landmark that sits wrong on its foot turns with it, which no noise of frames shows."""
    exact = record(runner)
    points = replace(exact, cov=exact.cov * 0.01)
    rng = np.random.default_rng(4)
    white = rng.normal(0, 1e-4, (48, *points.xyz.shape))
    toe, heel = (points.names.index(f"right_{n}") for n in ("foot_index", "heel"))
    foot = points.xyz[:, toe] - points.xyz[:, heel]
    across = np.cross(foot, [0.0, 1.0, 0.0])
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    tied = white.copy()
    tied[:, :, toe] += rng.normal(0, 0.03, (48, 1, 1)) * across
    alone, held = (analyse(points, "run", 3.0, errors=e).events for e in (white, tied))
    assert [e.t for e in alone] == [e.t for e in held]
    for before, after in zip(alone, held, strict=True):
        if (before.kind, before.side) == ("foot_off", "right"):
            assert after.sigma > 1.4 * before.sigma
        else:
            assert after.sigma == pytest.approx(before.sigma, rel=1e-9)
