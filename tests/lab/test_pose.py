from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lab.pose import Pose

numbers = st.floats(-3, 3, allow_nan=False)
triples = st.tuples(numbers, numbers, numbers)
poses = st.builds(Pose.from_rotvec, triples, triples)


@given(poses, triples)
def test_inverse_undoes(a_from_b, x):
    assert_allclose(a_from_b.inverse().transform(a_from_b.transform(x)), x, atol=1e-12)
    assert_allclose((a_from_b @ a_from_b.inverse()).rotation, np.eye(3), atol=1e-12)
    assert_allclose((a_from_b.inverse() @ a_from_b).translation, 0, atol=1e-11)


@given(poses, poses, triples)
def test_composing_is_one_after_the_other(a_from_b, b_from_c, x):
    assert_allclose(
        (a_from_b @ b_from_c).transform(x), a_from_b.transform(b_from_c.transform(x)), atol=1e-12
    )


@given(poses, poses, poses)
def test_composing_is_associative(a, b, c):
    left, right = (a @ b) @ c, a @ (b @ c)
    assert_allclose(left.rotation, right.rotation, atol=1e-12)
    assert_allclose(left.translation, right.translation, atol=1e-11)


@given(poses, triples, triples)
def test_distances_stay(pose, x, y):
    moved = pose.transform([x, y])
    assert_allclose(
        np.linalg.norm(moved[1] - moved[0]), np.linalg.norm(np.subtract(x, y)), atol=1e-12
    )


@given(poses)
def test_rotvec_goes_there_and_back(pose):
    again = Pose.from_rotvec(pose.rotvec(), pose.translation)
    assert_allclose(again.rotation, pose.rotation, atol=1e-9)


def test_a_quarter_turn_about_z_takes_x_to_y():
    assert_allclose(Pose.from_rotvec([0, 0, np.pi / 2], [1, 0, 0]).transform([1, 0, 0]), [1, 1, 0])


@given(poses, triples, triples)
def test_perturbed_moves_in_the_first_frame(pose, turn, shift):
    change = Pose.from_rotvec(turn, shift)
    perturbed = pose.perturbed([*turn, *shift])
    assert_allclose(perturbed.rotation, (change @ pose).rotation, atol=1e-12)
    assert_allclose(perturbed.translation, (change @ pose).translation, atol=1e-11)


def test_identity_changes_nothing():
    assert_allclose(Pose.identity().transform([[1, 2, 3]]), [[1, 2, 3]])


@pytest.mark.parametrize(
    ("rotation", "translation"),
    [
        (np.diag([1, 1, -1.0]), [0, 0, 0]),
        (1.001 * np.eye(3), [0, 0, 0]),
        (np.full((3, 3), np.nan), [0, 0, 0]),
        (np.eye(2), [0, 0, 0]),
        (np.eye(3), [0, 0]),
        (np.eye(3), [0, np.nan, 0]),
        (np.eye(3), [0, np.inf, 0]),
    ],
)
def test_refuses_what_is_no_rigid_transform(rotation, translation):
    with pytest.raises(ValueError, match=r"Pose\."):
        Pose(rotation, translation)


def test_nobody_changes_it_afterwards():
    translation = np.zeros(3)
    pose = Pose(np.eye(3), translation)
    translation[0] = 5
    assert pose.translation[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        pose.translation[0] = 1
