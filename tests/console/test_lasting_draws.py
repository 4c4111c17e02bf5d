"""Draws of errors say how far a mean over frames is off, where noise lasts over frames."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from analysis.walk import WalkAnalysis
from console.draws import draw_errors
from console.gate import judge_trial
from lab.gait import Curves
from lab.points import Keypoints2D, Points3D
from reconstruct.associate import align
from reconstruct.persistence import find_persistence
from reconstruct.triangulate import triangulate
from simulation.room import treadmill_room

T = np.arange(240) / 100
NAMES = ("left_knee", "left_ankle")
RUNS = 40


def one_run(rig, seed):
    """Return the mean error (K, 3) m over a second, and its sigma with and without persistence."""
    rng = np.random.default_rng([8, seed])
    xyz = np.stack([0.2 * np.sin(8 * T), 0 * T, 1 + 0.05 * np.cos(16 * T)], -1)
    xyz = np.stack([xyz, xyz - [0.0, 0.1, 0.4]], axis=1)
    films = []
    for camera in rig.cameras:
        noise = rng.standard_normal((*xyz.shape[:2], 2))
        noise[1:] *= np.sqrt(1 - 0.95**2)
        xy = camera.project(xyz) + 3.0 * lfilter([1.0], [1.0, -0.95], noise, axis=0)
        cov = np.full((*xy.shape, 2), np.nan)
        films.append(Keypoints2D(camera.name, NAMES, T, xy, cov, np.ones(xy.shape[:2])))
    seen = align(films)
    result = triangulate(rig, seen)
    persistence = find_persistence(rig, seen, result)
    during = slice(70, 170)
    sigma = []
    for lasts in (persistence, None):
        drawn = draw_errors(result.points, None, None, 128, seed, lasts)
        assert drawn is not None
        sigma.append(drawn[:, during].mean(1).std(0))
    return (result.points.xyz - xyz)[during].mean(0), *sigma


def test_the_mean_over_a_second_is_as_far_off_as_the_draws_say():
    rig = treadmill_room(5)
    runs = [one_run(rig, seed) for seed in range(RUNS)]
    error, sigma, blind = (np.array(x) for x in zip(*runs, strict=True))
    z = error / sigma
    # 240 values, of which a third are independent at least.
    assert 0.8 < np.sqrt((z**2).mean()) < 1.25
    assert np.sqrt(((error / blind) ** 2).mean()) > 3


def test_noise_that_lasts_is_noted():
    none = np.empty((0, 0))
    analysis = WalkAnalysis(Curves((), np.empty(0), none, none), (), (), (), {}, (), (), {})
    xyz = np.zeros((0, 1, 3))
    points = Points3D(("nose",), np.empty(0), xyz, np.zeros((0, 1, 3, 3)))
    for share, said in ((0.05, False), (0.6, True)):
        accepted, reasons = judge_trial(None, points, analysis, {"noise_lasting_share": share})
        assert accepted
        assert any("lasts over frames (60% of its variance)" in r for r in reasons) == said
