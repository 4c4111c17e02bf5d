"""Bone lengths."""

from __future__ import annotations

import numpy as np
import pytest

from lab.points import Points3D
from reconstruct.bones import bone_lengths


def test_length_spread_and_gaps():
    rng = np.random.default_rng(1)
    n = 20000
    xyz = np.zeros((n, 3, 3))
    xyz[:, 1, 0] = 0.4 + rng.normal(0, 0.01, n)
    xyz[0, 1] = np.nan
    xyz[1, 1, 0] = 50.0  # one gross error does not count
    points = Points3D(("a", "b", "c"), np.arange(n), xyz, np.full((n, 3, 3, 3), np.nan))
    (bone,) = bone_lengths(points, [("a", "b"), ("a", "elsewhere")])
    assert bone.n == n - 1
    assert bone.median == pytest.approx(0.4, abs=5e-4)
    assert bone.spread_cm == pytest.approx(1.0, rel=0.05)
    assert bone.spread_percent == pytest.approx(2.5, rel=0.05)


def test_a_bone_never_whole_is_nan():
    points = Points3D(("a", "b"), [0.0], np.full((1, 2, 3), np.nan), np.full((1, 2, 3, 3), np.nan))
    (bone,) = bone_lengths(points, [("a", "b")])
    assert bone.n == 0
    assert np.isnan(bone.median)
    assert np.isnan(bone.spread_percent)
