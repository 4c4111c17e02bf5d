"""Draws of landmarks' errors have the covariance that segments, ties and rig give them together."""

from dataclasses import replace

import numpy as np

from console.draws import draw_carried_errors
from lab.points import Points3D
from reconstruct.persistence import Persistence
from reconstruct.plate_points import CarriedPoints
from simulation.room import treadmill_room

DRAWS = 20000


def carried_and_rig():
    """Three landmarks on two segments over two frames, the last missing in the second."""
    rng = np.random.default_rng(1)
    rig = treadmill_room(2)
    root = 1e-3 * rng.standard_normal(rig.cov.shape)
    rig = replace(rig, cov=root @ root.T)
    shape = (2, 3)
    factor = 1e-3 * rng.standard_normal((*shape, 3, 6))
    by_tie = rng.standard_normal((*shape, 3, 3))
    by_rig = 0.2 * rng.standard_normal((*shape, 3, len(rig.cov)))
    tie_root = 1e-3 * rng.standard_normal((9, 9))
    xyz = rng.standard_normal((*shape, 3))
    for part in (factor, by_tie, by_rig, xyz):
        part[1, 2] = np.nan
    cov = factor @ factor.swapaxes(-1, -2)
    points = Points3D(("a", "b", "c"), np.arange(2.0), xyz, cov)
    carried = CarriedPoints(
        points, ("one", "two"), (0, 0, 1), factor, by_rig, by_tie, tie_root @ tie_root.T, {}
    )
    return carried, rig


def test_the_draws_have_the_covariance_of_all_sources_together():
    carried, rig = carried_and_rig()
    draws = draw_carried_errors(carried, rig, DRAWS, 3).reshape(DRAWS, -1)
    seen = draws.T @ draws / DRAWS
    # One row a coordinate of a landmark in a frame; a column a standard normal number or an error.
    pose = np.zeros((2, 3, 3, 2, 2, 6))
    tie = np.zeros((2, 3, 3, 9))
    for t, k in np.ndindex(2, 3):
        pose[t, k, :, t, carried.segment_of[k]] = np.nan_to_num(carried.factor[t, k])
        tie[t, k, :, 3 * k : 3 * k + 3] = np.nan_to_num(carried.by_tie[t, k])
    pose, tie = pose.reshape(18, -1), tie.reshape(18, -1)
    by_rig = np.nan_to_num(carried.by_rig).reshape(18, -1)
    expected = pose @ pose.T + tie @ carried.tie_cov @ tie.T + by_rig @ rig.cov @ by_rig.T
    size = np.sqrt(np.diagonal(expected))
    scale = np.outer(size, size) + 1e-30
    assert np.abs((seen - expected) / scale).max() < 5 / np.sqrt(DRAWS)
    assert not draws.reshape(DRAWS, 2, 3, 3)[:, 1, 2].any()


def test_without_the_rigs_covariance_the_rest_is_still_drawn():
    carried, rig = carried_and_rig()
    unknown = replace(rig, cov=np.full(rig.cov.shape, np.nan))
    draws = draw_carried_errors(carried, unknown, 100, 3)
    assert np.isfinite(draws).all()
    assert draws[:, 0].std() > 0


def test_recordings_share_ties_and_calibration_but_no_noise():
    carried, rig = carried_and_rig()
    none = np.zeros_like(carried.factor)
    quiet = replace(carried, factor=none)
    first, second = (draw_carried_errors(quiet, rig, 200, 3, recording=number) for number in (0, 1))
    assert np.array_equal(first, second)
    assert first[:, 0].std() > 0
    alone = replace(
        carried, by_tie=np.zeros_like(carried.by_tie), by_rig=np.zeros_like(carried.by_rig)
    )
    first, second = (
        draw_carried_errors(alone, rig, 4000, 3, recording=number)[:, 0].reshape(4000, -1)
        for number in (0, 1)
    )
    both = (first * second).mean(0) / np.sqrt((first**2).mean(0) * (second**2).mean(0))
    assert np.abs(both).max() < 5 / np.sqrt(4000)


def test_another_calibration_errs_in_another_way():
    carried, rig = carried_and_rig()
    quiet = replace(
        carried, factor=np.zeros_like(carried.factor), tie_cov=np.zeros_like(carried.tie_cov)
    )
    other = rig.perturbed(np.full(len(rig.cov), 1e-6))
    first, second = (
        draw_carried_errors(quiet, r, 4000, 3)[:, 0].reshape(4000, -1) for r in (rig, other)
    )
    both = (first * second).mean(0) / np.sqrt((first**2).mean(0) * (second**2).mean(0))
    assert np.abs(both).max() < 5 / np.sqrt(4000)


def test_the_noise_of_a_pose_lasts_as_its_tags_residuals_do():
    carried, rig = carried_and_rig()
    unknown = replace(rig, cov=np.full(rig.cov.shape, np.nan))
    points, t = carried.points, np.arange(400) / 100
    factor = np.broadcast_to(carried.factor[0], (len(t), *carried.factor.shape[1:]))
    shape = (len(t), len(points.names))
    still = CarriedPoints(
        Points3D(points.names, t, np.zeros((*shape, 3)), factor @ factor.swapaxes(-1, -2)),
        carried.segments,
        carried.segment_of,
        factor,
        np.zeros((*shape, 3, len(rig.cov))),
        np.zeros((*shape, 3, 3)),
        np.zeros((9, 9)),
        {},
    )
    lasting = Persistence(np.array([[0.8], [0.0]]), np.array([0.1]))
    draws = draw_carried_errors(still, unknown, 300, 5, lasting)
    later = (draws[:, 5:] * draws[:, :-5]).mean((0, 1)) / (draws**2).mean((0, 1))
    # Points 0 and 1 hang on the first segment, point 2 on the second.
    assert np.allclose(later[:2], 0.8 * np.exp(-0.5), rtol=0, atol=0.03)
    assert np.allclose(later[2], 0.0, rtol=0, atol=0.03)
    same = (draws**2).mean((0, 1))
    assert np.allclose(same, (factor[0] ** 2).sum(-1), rtol=0.1)
