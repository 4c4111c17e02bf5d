from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lab.lens_model import COEFFICIENTS, distort, fold_radius, undistort

small = st.floats(-1, 1, allow_nan=False)
SIZE = {
    "brown4": [0.3, 0.2, 0.002, 0.002],
    "brown5": [0.3, 0.2, 0.002, 0.002, 0.1],
    "brown8": [0.3, 0.2, 0.002, 0.002, 0.1, 0.3, 0.2, 0.1],
    "fisheye": [0.1, 0.05, 0.02, 0.01],
}


@pytest.mark.parametrize("model", COEFFICIENTS)
@given(data=st.data())
def test_the_inverse_finds_its_way_back(model, data):
    share = data.draw(st.lists(small, min_size=len(SIZE[model]), max_size=len(SIZE[model])))
    coefficients = np.multiply(SIZE[model], share)
    reach = min(0.8 * fold_radius(model, coefficients), 1.5)
    turn = np.linspace(0, 2 * np.pi, 12)
    rings = np.linspace(0, reach, 60)[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], -1)
    # Decentring folds a nearly flat lens a little before its radial part does.
    assume((np.linalg.det(distort(model, coefficients, rings)[1]) > 0.02).all())
    xy = np.concatenate(
        [
            r * np.stack([np.cos(turn), np.sin(turn)], -1)
            for r in reach * np.array([0, 1e-6, 0.4, 1])
        ]
    )
    found, converged = undistort(model, coefficients, distort(model, coefficients, xy)[0])
    assert converged.all()
    assert_allclose(found, xy, atol=1e-9)


@pytest.mark.parametrize("model", COEFFICIENTS)
def test_no_lens_leaves_things_where_they_are(model):
    none = np.zeros(len(COEFFICIENTS[model]))
    xy = np.array([[0, 0], [0.3, -0.2], [1.1, 0.4]])
    bent, _, _ = distort(model, none, xy)
    r = np.linalg.norm(xy, axis=-1, keepdims=True)
    angle = np.arctan(r) / np.where(r > 0, r, 1) if model == "fisheye" else 1.0
    assert_allclose(bent, xy * angle, atol=1e-15)
    assert fold_radius(model, none) == np.inf


@pytest.mark.parametrize(
    ("model", "coefficients", "fold"),
    [
        ("brown4", [-0.4, 0, 0, 0], 1 / np.sqrt(1.2)),
        ("brown5", [0, 0, 0, 0, -0.1], (1 / 0.7) ** (1 / 6)),
        ("brown8", [0, 0, 0, 0, 0, 1.0, 0, 0], 1.0),  # r / (1 + r^2)
        ("brown8", [0, 0, 0, 0, 0, -1.0, 0, 0], 1.0),  # a pole
        ("fisheye", [-0.3, 0, 0, 0], np.tan(np.sqrt(1 / 0.9))),
        ("fisheye", [-0.1, 0, 0, 0], np.inf),  # its fold lies behind the camera
    ],
)
def test_fold_radius(model, coefficients, fold):
    assert_allclose(fold_radius(model, coefficients), fold, rtol=1e-12)


def test_the_outer_branch_of_a_lens_that_turns_twice_is_not_taken():
    # r - 0.4 r^3 + 0.05 r^5 rises to 0.651, falls, and rises again from r = 1.93 on.
    twice = [-0.4, 0.05, 0, 0]
    found, converged = undistort("brown4", twice, [[0.64, 0], [0.66, 0], [0.8, 0], [3.0, 0]])
    assert converged.tolist() == [True, False, False, False]
    assert found[0, 0] < 1.03
    assert np.isnan(found[1:]).all()


def test_nothing_seen_is_nothing_found():
    found, converged = undistort("brown5", np.zeros(5), np.full((3, 2), np.nan))
    assert np.isnan(found).all()
    assert not converged.any()
    found, converged = undistort("fisheye", np.zeros(4), np.zeros((0, 2)))
    assert found.shape == (0, 2)
