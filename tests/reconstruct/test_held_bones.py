"""Bones of one length: less error, true lengths, and nothing moved without need."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.points import Points3D
from reconstruct.held_bones import BONES, hold_bones
from simulation.walker import simulate

NAMES = tuple(f"{s}_{j}" for s in ("left", "right") for j in ("hip", "knee", "ankle", "heel"))


@pytest.fixture(scope="module")
def walk():
    """True points, and the same with noise that is worst along one direction, as of few cameras."""
    rng = np.random.default_rng(3)
    walker = simulate("walk", speed_m_s=1.3, treadmill=True, duration_s=3.0, seed=2)
    t = np.arange(0, 3, 0.01)
    truth = walker.points(t)[:, [walker.names.index(n) for n in NAMES]]
    sigma = np.array([0.004, 0.004, 0.015])
    noisy = truth + sigma * rng.standard_normal(truth.shape)
    cov = np.broadcast_to(np.diag(sigma**2), (*truth.shape, 3))
    return truth, Points3D(NAMES, t, noisy, cov)


def test_lengths_are_found_within_their_uncertainty(walk):
    truth, points = walk
    held = hold_bones(points)
    assert len(held.bones) == 7
    for j, (a, b) in enumerate(held.bones):
        true = np.linalg.norm(truth[:, NAMES.index(a)] - truth[:, NAMES.index(b)], axis=1)
        assert abs(held.length[j] - true.mean()) < 4 * held.sigma[j] + 2e-4
        assert held.sigma[j] < 2.5e-3


def test_the_error_is_cut_and_the_covariance_says_so(walk):
    truth, points = walk
    held = hold_bones(points)
    before, after = points.xyz - truth, held.points.xyz - truth
    assert (after**2).mean() < 0.75 * (before**2).mean()
    nees = np.einsum("tki,tkij,tkj->tk", after, np.linalg.inv(held.points.cov), after)
    assert abs(nees.mean() - 3) < 0.25


def test_derivatives_by_the_rig_move_with_the_points(walk):
    _, points = walk
    steady = np.array([[1.0, 0.2, -0.3]]) * np.arange(len(NAMES))[:, None]
    by = np.broadcast_to(steady, points.xyz.shape)[..., None]
    held = hold_bones(points)
    step = 1e-5
    moved = hold_bones(replace(points, xyz=points.xyz + step * by[..., 0]))
    change = (moved.points.xyz - held.points.xyz) / step
    assert np.sqrt(np.mean((change - held.carry(by)[..., 0]) ** 2)) < 0.05 * np.sqrt(np.mean(by**2))
    assert np.abs(held.carry(by) - by).max() > 0.1


def test_bones_that_truly_change_are_let_change(walk):
    truth, points = walk
    stretch = 1 + 0.1 * np.sin(np.arange(len(points.t)) / 5)
    knee, hip = NAMES.index("left_knee"), NAMES.index("left_hip")
    xyz = np.array(truth)
    xyz[:, knee] = xyz[:, hip] + stretch[:, None] * (xyz[:, knee] - xyz[:, hip])
    cov = np.broadcast_to(1e-6 * np.eye(3), (*xyz.shape, 3))
    held = hold_bones(Points3D(NAMES, points.t, xyz, cov), [("left_hip", "left_knee")])
    assert held.variation[0] > 0.02
    assert np.abs(held.points.xyz - xyz).max() < 5e-4


def test_missing_points_stay_missing_and_alone(walk):
    _, points = walk
    xyz, cov = np.array(points.xyz), np.array(points.cov)
    xyz[10:30, 1], cov[10:30, 1] = np.nan, np.nan
    held = hold_bones(Points3D(NAMES, points.t, xyz, cov))
    assert np.array_equal(np.isnan(held.points.xyz), np.isnan(xyz))
    assert np.array_equal(np.isnan(held.points.cov), np.isnan(cov))
    bare = hold_bones(points.select(["left_hip", "right_ankle"]), BONES)
    assert bare.bones == ()
    assert np.array_equal(bare.points.xyz, points.select(["left_hip", "right_ankle"]).xyz)
