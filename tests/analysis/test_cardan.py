"""The two Cardan orders against rotations put together from their parts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from analysis.cardan import cardan_rotation_first, cardan_tilt_first

angle = st.floats(-3.0, 3.0)
middle = st.floats(-1.5, 1.5)


@given(angle, middle, angle)
def test_tilt_first_gives_back_the_angles(a, b, c):
    rotation = Rotation.from_euler("YXZ", [a, b, c]).as_matrix()
    np.testing.assert_allclose(cardan_tilt_first(rotation), [a, b, c], atol=1e-9)


@given(angle, middle, angle)
def test_rotation_first_gives_back_the_angles(a, b, c):
    rotation = Rotation.from_euler("ZXY", [c, b, a]).as_matrix()
    np.testing.assert_allclose(cardan_rotation_first(rotation), [a, b, c], atol=1e-9)


@given(angle, middle, angle, angle)
def test_turning_the_lab_changes_only_the_rotation(a, b, c, turn):
    rotation = Rotation.from_euler("ZXY", [c, b, a])
    turned = (Rotation.from_euler("z", turn) * rotation).as_matrix()
    np.testing.assert_allclose(cardan_rotation_first(turned)[:2], [a, b], atol=1e-9)
