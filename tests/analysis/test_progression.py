"""The direction of walking: of the path, whichever way it goes, and not of the sway."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.progression import facing_direction, path_direction, stride_direction
from lab.errors import LabError
from simulation.walker import simulate, standing

T = np.linspace(0, 5, 501)


def heading(forward):
    return np.arctan2(forward[..., 1], forward[..., 0])


def path_of(angle, sway=0.0, turn=0.0):
    bend = angle + turn * (T / T[-1] - 0.5)
    step = 1.3 * np.gradient(T)[:, None] * np.stack([np.cos(bend), np.sin(bend)], axis=-1)
    aside = sway * np.sin(2 * np.pi * T)[:, None] * np.array([-np.sin(angle), np.cos(angle)])
    return np.concatenate([step.cumsum(0) + aside, np.full((len(T), 1), 0.95)], axis=1)[None]


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 2, 3.1, -2.0])
def test_a_straight_path_has_its_own_direction(angle):
    forward, turns = path_direction(T, path_of(angle))
    assert not turns
    np.testing.assert_allclose(forward[0, 0], [np.cos(angle), np.sin(angle), 0], atol=1e-9)


def test_sway_does_not_turn_the_direction_over_whole_strides():
    pelvis = path_of(0.3, sway=0.03)
    forward = stride_direction(T, pelvis, 0.7, 3.7)
    assert forward is not None
    assert heading(forward[0, 0]) == pytest.approx(0.3, abs=2e-4)
    odd = stride_direction(T, pelvis, 0.7, 3.95)
    assert odd is not None
    assert abs(heading(odd[0, 0]) - 0.3) > 2e-3


def test_a_turn_is_followed_and_said():
    forward, turns = path_direction(T, path_of(0.2, turn=np.deg2rad(70)))
    assert turns
    middle = slice(100, 400)
    true = 0.2 + np.deg2rad(70) * (T / T[-1] - 0.5)
    np.testing.assert_allclose(heading(forward[0, middle]), true[middle], atol=np.deg2rad(1.5))


def test_no_travel_has_no_direction():
    with pytest.raises(LabError, match="travels only"):
        path_direction(T, path_of(0.0) * np.array([0.05, 0.05, 1]))
    with pytest.raises(LabError, match="not seen long enough"):
        path_direction(T, np.full((1, len(T), 3), np.nan))


@pytest.mark.parametrize("angle", [0.0, 1.0, np.pi])
def test_a_standing_person_faces_square_to_the_hips(angle):
    person = standing(duration_s=1.0, turn=angle)
    xyz = person.points(np.linspace(0, 1, 20))
    left, right = (xyz[:, person.names.index(f"{s}_hip")] for s in ("left", "right"))
    forward = facing_direction((left - right)[None])
    np.testing.assert_allclose(forward[0, 0], person.forward, atol=1e-9)
    with pytest.raises(LabError, match="never seen"):
        facing_direction(np.full((1, 20, 3), np.nan))


def test_a_simulated_walk_goes_where_it_goes():
    person = simulate(
        "walk", speed_m_s=1.3, treadmill=False, duration_s=5.0, seed=1, heading=-1, turn=0.2
    )
    names = person.names
    xyz = person.points(T)
    pelvis = (xyz[:, names.index("left_hip")] + xyz[:, names.index("right_hip")]) / 2
    forward, _ = path_direction(T, pelvis[None])
    assert forward[0, 0] @ person.forward > np.cos(np.deg2rad(1.0))
