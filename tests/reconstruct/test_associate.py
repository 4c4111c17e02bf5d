"""Cameras with their own stamps on one time grid."""

from __future__ import annotations

import numpy as np
import pytest

from lab.errors import LabError
from lab.points import Keypoints2D
from reconstruct.associate import align


def keypoints(camera, t, names=("left_hip", "right_hip"), sigma=1.0, slope=(30.0, -8.0)):
    """Points that move evenly over the image."""
    t = np.asarray(t, float)
    xy = 100 + t[:, None, None] * np.array(slope) + np.arange(len(names))[None, :, None]
    cov = np.broadcast_to(sigma**2 * np.eye(2), (*xy.shape, 2))
    return Keypoints2D(camera, tuple(names), t, xy, cov, np.full(xy.shape[:2], 0.9))


T = np.arange(50) / 60


def test_same_stamps_are_taken_as_they_are():
    first, second = keypoints("a", T), keypoints("b", T)
    aligned = align([first, second])
    assert aligned.cameras == ("a", "b")
    assert (aligned.t == T).all()
    assert (aligned.xy_px[1] == second.xy_px).all()
    assert (aligned.cov_px[0] == first.cov_px).all()
    assert (aligned.score == 0.9).all()


def test_other_phases_are_interpolated_with_their_covariance():
    phase = 0.4 / 60
    aligned = align([keypoints("a", T), keypoints("b", T + phase)])
    truth = keypoints("a", T).xy_px
    inside = phase <= T
    assert np.abs(aligned.xy_px[1] - truth)[inside].max() < 1e-10
    assert np.isnan(aligned.xy_px[1][~inside]).all()
    variance = 0.4**2 + 0.6**2
    assert np.allclose(aligned.cov_px[1][inside], variance * np.eye(2))


def test_nothing_is_extrapolated():
    late = keypoints("b", T[5:-7])
    aligned = align([keypoints("a", T), late], grid=T)
    assert np.isfinite(aligned.xy_px[1][5:-7]).all()
    assert np.isnan(aligned.xy_px[1][:5]).all()
    assert np.isnan(aligned.xy_px[1][-7:]).all()


def test_a_lost_frame_is_not_bridged():
    t = np.delete(T + 0.5 / 60, 20)
    aligned = align([keypoints("a", T), keypoints("b", t)])
    missing = np.isnan(aligned.xy_px[1, :, 0, 0])
    # The two grid times on either side of the lost frame, and the one before the first frame.
    assert np.flatnonzero(missing).tolist() == [0, 20, 21]


def test_a_point_unseen_on_one_side_is_unseen_between():
    late = keypoints("b", T + 0.5 / 60)
    xy = late.xy_px.copy()
    xy[10, 0] = np.nan
    late = Keypoints2D("b", late.names, late.t, xy, late.cov_px, late.score)
    aligned = align([keypoints("a", T), late])
    assert np.flatnonzero(np.isnan(aligned.xy_px[1, :, 0, 0])).tolist() == [0, 10, 11]
    assert np.flatnonzero(np.isnan(aligned.xy_px[1, :, 1, 0])).tolist() == [0]


def test_stamps_that_jitter_within_the_tolerance_are_the_same_instant():
    jitter = 1e-4 * np.sin(np.arange(50))
    second = keypoints("b", T + jitter)
    aligned = align([keypoints("a", T), second], grid=T, tolerance_s=2e-4)
    assert (aligned.xy_px[1] == second.xy_px).all()
    strict = align([keypoints("a", T), second], grid=T, tolerance_s=0.0)
    assert np.abs(strict.xy_px[1] - second.xy_px)[1:-1].max() > 1e-4


def test_another_name_is_a_column_of_nan():
    second = keypoints("b", T, names=("right_hip", "nose"))
    aligned = align([keypoints("a", T), second])
    assert aligned.names == ("left_hip", "right_hip", "nose")
    assert np.isnan(aligned.xy_px[1, :, 0]).all()
    assert np.isnan(aligned.xy_px[0, :, 2]).all()
    assert (aligned.xy_px[1, :, 1] == second.xy_px[:, 0]).all()


def test_a_grid_of_ones_own():
    grid = np.linspace(0.1, 0.7, 61)
    aligned = align([keypoints("a", T), keypoints("b", T + 0.003)], grid=grid)
    assert np.allclose(aligned.xy_px[0], keypoints("a", grid).xy_px, atol=1e-10)
    assert np.allclose(aligned.xy_px[1], keypoints("b", grid).xy_px, atol=1e-10)


def test_what_cannot_be_aligned_is_refused():
    one = keypoints("a", T)
    with pytest.raises(LabError, match="at least two cameras, got 1"):
        align([one])
    with pytest.raises(LabError, match="stands twice"):
        align([one, one])
    with pytest.raises(LabError, match="no point is named by two cameras"):
        align([one, keypoints("b", T, names=("nose", "neck"))])
    with pytest.raises(LabError, match="keypoints of b: there are no frames"):
        align([one, keypoints("b", [])])
