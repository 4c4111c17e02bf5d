"""Stamps of a camera are moved to the exposure that the calibration found."""

from __future__ import annotations

import numpy as np
import pytest

from console.reconstruction import _at_exposure
from lab.camera import Camera
from lab.points import Keypoints2D
from lab.pose import Pose
from lab.rig import Rig, RigQuality


@pytest.mark.parametrize(
    ("own", "moved"),
    [
        ({"time_offset_s": 0.004, "time_offset_sigma_s": 2e-4}, 0.004),
        ({"time_offset_s": 5e-4, "time_offset_sigma_s": 2e-4}, 0.0),
        ({}, 0.0),
    ],
)
def test_sure_offsets_are_applied_and_others_left(own, moved):
    lens = np.array([800.0, 800, 320, 240, 0, 0, 0, 0])
    camera = Camera("a", (640, 480), "brown4", lens, Pose(np.eye(3), np.zeros(3)))
    rig = Rig((camera,), np.full((14, 14), np.nan), RigQuality(True, (), {}, {"a": own}), "", "")
    t = np.arange(5) / 100
    shape = (5, 1)
    keypoints = Keypoints2D(
        "a", ("nose",), t, np.zeros((*shape, 2)), np.full((*shape, 2, 2), np.nan), np.ones(shape)
    )
    assert np.allclose(_at_exposure(keypoints, rig).t, t + moved, rtol=0, atol=1e-15)
