"""Cameras on their own clocks: every detection counts at its own time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.errors import LabError
from lab.points import Keypoints2D
from reconstruct.associate import align
from reconstruct.clocks import reconstruct_own_times, share_a_shutter
from reconstruct.triangulate import triangulate

NAMES = ("left_heel", "right_heel", "nose")
TURN = 2 * np.pi * 1.4


def place(t):
    """Feet that swing through 0.9 m in opposite phase, a head that bobs, (..., 3, 3) m."""
    t = np.asarray(t, float)
    swing, lift = 0.45 * np.sin(TURN * t), 0.08 * np.cos(2 * TURN * t)
    left = np.stack([swing, 0.12 + 0 * t, 0.12 + lift], -1)
    right = np.stack([-swing, -0.12 + 0 * t, 0.12 + lift], -1)
    nose = np.stack([0.1 + 0 * t, 0 * t, 1.6 + 0.03 * np.sin(2 * TURN * t)], -1)
    return np.stack([left, right, nose], -2)


def film(camera, t, rng=None, noise_px=0.0, readout_s=0.0):
    xy = camera.project(place(t))
    height = camera.size_px[1]
    for _ in range(20):
        row = (xy[..., 1] - (height - 1) / 2) / height
        own = t[:, None] + readout_s * row
        xyz = np.stack([place(own[:, k])[:, k] for k in range(3)], axis=1)
        xy = camera.project(xyz)
    if rng is not None:
        xy = xy + noise_px * rng.standard_normal(xy.shape)
    cov = np.broadcast_to(max(noise_px, 0.1) ** 2 * np.eye(2), (*xy.shape, 2))
    return Keypoints2D(camera.name, NAMES, t, xy, cov, np.ones(xy.shape[:2]))


def clocks(rng, cameras, rate_hz=60.0, seconds=1.5):
    return [
        np.arange(0, seconds, 1 / rate_hz) + phase for phase in rng.uniform(0, 1 / rate_hz, cameras)
    ]


def error_mm(points):
    inside = (points.t > 0.1) & (points.t < points.t[-1] - 0.1)
    return 1e3 * np.linalg.norm(points.xyz - place(points.t), axis=-1)[inside]


def test_other_phases_other_rates_and_lost_frames_leave_no_error(make_ring):
    rig = make_ring(4, models=("brown5", "brown8"))
    rng = np.random.default_rng(1)
    own = clocks(rng, 4)
    own[1] = np.delete(own[1], [20, 21, 50])
    own[3] = np.arange(0.003, 1.5, 1 / 47)
    films = [film(c, t) for c, t in zip(rig.cameras, own, strict=True)]
    assert not share_a_shutter(films)
    found = reconstruct_own_times(rig, films)
    linear = triangulate(rig, align(films))
    error = error_mm(found.result.points)
    assert np.isfinite(error).all()
    assert error.max() < 1e-3
    assert np.nanmax(error_mm(linear.points)) > 1
    # Every frame of every camera is used, the 2nd camera's lost ones aside.
    assert found.unused == 0
    assert 0.2 / 60 < found.furthest_s < 1 / 60


def test_the_covariance_is_that_of_the_noise(make_ring):
    rig = make_ring(4)
    squares = []
    for seed in range(4):
        rng = np.random.default_rng([2, seed])
        films = [
            film(c, t, rng, 1.0)
            for c, t in zip(rig.cameras, clocks(rng, 4, 60.0, 3.0), strict=True)
        ]
        points = reconstruct_own_times(rig, films).result.points
        e = points.xyz - place(points.t)
        good = np.isfinite(e[..., 0]) & ((points.t > 0.1) & (points.t < 2.9))[:, None]
        squares.append(np.einsum("ni,nij,nj->n", e[good], np.linalg.inv(points.cov[good]), e[good]))
    nees = np.concatenate(squares)
    # About 2000 points of three directions: 3 within four standard errors.
    assert abs(nees.mean() - 3) < 4 * np.sqrt(6 / len(nees)) + 0.05


def test_the_paths_hold_the_truth_as_often_as_they_say(make_ring):
    rig = make_ring(4)
    rng = np.random.default_rng(3)
    films = [
        film(c, t, rng, 1.0) for c, t in zip(rig.cameras, clocks(rng, 4, 60.0, 4.0), strict=True)
    ]
    paths = reconstruct_own_times(rig, films).trajectories
    t = np.arange(0.2, 3.8, 0.01)
    for k, path in enumerate(paths.paths):
        assert np.linalg.norm(paths.at(t, k) - place(t)[:, k], axis=1).mean() < 3e-3
        error = path.xyz - place(paths.start + path.nodes * paths.step_s)[:, k]
        inside = slice(40, -40)
        inverse = np.linalg.inv(path.cov[:, 0])
        nees = np.einsum("ni,nij,nj->n", error, inverse, error)[inside].mean()
        assert 1.5 < nees < 4.5
        assert 0.5 < path.scale < 1.5


def test_the_way_along_a_path_is_known_as_well_as_it_says(make_ring):
    rig = make_ring(4)
    squares = []
    for seed in range(3):
        rng = np.random.default_rng([5, seed])
        own = clocks(rng, 4, 30.0, 4.0)
        films = [film(c, t, rng, 1.0) for c, t in zip(rig.cameras, own, strict=True)]
        paths = reconstruct_own_times(rig, films).trajectories
        start = rng.uniform(0.3, 3.6, 400)
        end = start + rng.uniform(-1, 1, 400) / 60
        for k in range(3):
            error = paths.at(end, k) - paths.at(start, k) - (place(end) - place(start))[:, k]
            cov = paths.way_covariance(start, end, k)
            squares.append(np.einsum("ni,nij,nj->n", error, np.linalg.inv(cov), error))
    assert 2 < np.concatenate(squares).mean() < 4.5
    with np.errstate(invalid="ignore"):
        assert np.isnan(paths.way_covariance([-5.0], [1.0], 0)).all()


def test_rows_read_one_after_the_other_have_times_of_their_own(make_ring):
    rig = make_ring(4)
    t = np.arange(0, 1.5, 1 / 60)
    films = [film(c, t, readout_s=0.015) for c in rig.cameras]
    assert share_a_shutter(films)
    found = reconstruct_own_times(rig, films, readout_s=dict.fromkeys(rig.names, 0.015))
    assert error_mm(found.result.points).max() < 0.3
    assert error_mm(triangulate(rig, align(films)).points).max() > 3


def test_sides_exchanged_in_one_camera_are_moved_along_their_own_path(make_ring):
    rig = make_ring(4)
    rng = np.random.default_rng(4)
    films = [film(c, t, rng, 0.5) for c, t in zip(rig.cameras, clocks(rng, 4), strict=True)]
    xy = np.array(films[2].xy_px)
    wrong = np.zeros(len(xy), bool)
    wrong[30:38] = wrong[60:62] = True
    xy[wrong, :2] = xy[wrong, 1::-1]
    films[2] = replace(films[2], xy_px=xy)
    found = reconstruct_own_times(rig, films)
    assert np.nanmax(error_mm(found.result.points)) < 12
    share = found.result.swapped[2, :, :2].sum() / 20
    assert 0.7 < share <= 1.1
    assert found.result.swapped[[0, 1, 3]].sum() == 0


def test_frames_in_step_are_left_as_they_are(make_ring):
    rig = make_ring(3)
    t = np.arange(0, 1, 1 / 60)
    films = [film(c, t) for c in rig.cameras]
    assert share_a_shutter(films)
    lost = film(rig.cameras[1], np.delete(t, [3, 30]))
    assert share_a_shutter([films[0], lost, films[2]])
    assert not share_a_shutter([films[0], film(rig.cameras[1], t + 1e-4), films[2]])
    found = reconstruct_own_times(rig, films)
    assert np.array_equal(found.aligned.xy_px, align(films).xy_px)
    assert found.furthest_s == 0


def test_one_camera_alone_is_refused(make_ring):
    rig = make_ring(2)
    with pytest.raises(LabError, match="two cameras"):
        reconstruct_own_times(rig, [film(rig.cameras[0], np.arange(0, 1, 0.01))])
