"""The rules for joint centres, from their own definitions."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.centre_rules import (
    asis_trochanter_distance_mm,
    chord_centre,
    davis_hip_centre,
    harrington_hip_centre,
)


@pytest.mark.parametrize("wand_angle", [-1.4, -0.3, 0.0, 0.2, 1.0])
def test_the_chord_s_centre_meets_its_three_conditions(wand_angle):
    rng = np.random.default_rng(3)
    proximal = rng.normal([0, 0, 0.9], 0.02, (50, 3))
    lateral = rng.normal([0.02, 0.09, 0.5], 0.02, (50, 3))
    wand = rng.normal([0.1, 0.25, 0.7], 0.02, (50, 3))
    centre = chord_centre(proximal, wand, lateral, 0.055, wand_angle)
    y, z = lateral - centre, proximal - centre
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), 0.055, atol=1e-12)
    np.testing.assert_allclose((y * z).sum(1), 0, atol=1e-12)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    w = wand - centre
    seen = np.arctan2((np.cross(y, w) * z).sum(1), (y * w).sum(1))
    np.testing.assert_allclose(seen, wand_angle, atol=1e-9)


def test_a_joint_wider_than_the_limb_is_long_has_no_centre():
    p, w, m = np.zeros((1, 3)), np.array([[0.1, 0.1, 0.0]]), np.array([[0.1, 0.0, 0.0]])
    assert np.isnan(chord_centre(p, w, m, 0.2)).all()
    assert np.isfinite(chord_centre(p, w, m, 0.05)).all()


@pytest.mark.parametrize(
    "rule",
    [
        lambda left: davis_hip_centre(0.87, 0.25, 0.064, 0.007, left=left),
        lambda left: harrington_hip_centre(0.25, 0.16, left=left),
    ],
)
def test_hip_centres_are_mirrored_and_lie_behind_and_below_the_asis(rule):
    left, right = rule(True), rule(False)
    np.testing.assert_allclose(left * [1, -1, 1], right)
    assert left[0] < 0 < left[1] < 0.125
    assert -0.15 < left[2] < -0.05


def test_davis_agrees_with_the_published_numbers():
    # C = 0.115 * 0.9 - 0.0153 = 0.0882; worked by hand with theta 0.5 rad and beta 0.314 rad.
    got = davis_hip_centre(0.9, 0.24, 0.067, 0.007, left=True)
    np.testing.assert_allclose(got, [-0.04647, 0.07771, -0.09648], atol=2e-5)


def test_harrington_agrees_with_the_published_numbers():
    got = harrington_hip_centre(0.24, 0.15, left=False)
    np.testing.assert_allclose(got, [-0.0459, -0.0865, -0.0829], atol=1e-12)


def test_the_trochanter_distance_of_a_stored_trial():
    assert asis_trochanter_distance_mm(700.0) == pytest.approx(41.6)
