"""Sixteen points side by side come out as each by itself, with the figures of the formulas."""

from __future__ import annotations

import numpy as np
import pytest

from reconstruct.consensus import DISAGREE, GOOD, TOO_FEW, agree
from reconstruct.likeliest import solve
from reconstruct.optics import middle_of
from reconstruct.sightlines import STEPS, solve_point, start_point, take_sightlines

VOLUME = (np.zeros(3), 20.0)


def views(rig, rng, n=203):
    """Sightlines of n points with noise of its own for every view, a quarter not seen."""
    xyz = rng.uniform([-0.6, -0.6, 0.0], [0.6, 0.6, 1.8], (n, 3))
    root = rng.normal(size=(len(rig.cameras), n, 2, 2))
    cov = root @ root.swapaxes(-1, -2) + 0.5 * np.eye(2)
    noise = (np.linalg.cholesky(cov) @ rng.normal(size=(len(rig.cameras), n, 2, 1)))[..., 0]
    xy = np.stack([camera.project(xyz) for camera in rig.cameras]) + noise
    xy[rng.random(xy.shape[:2]) < 0.25] = np.nan
    information = np.linalg.inv(cov)[..., [0, 0, 1], [0, 1, 1]]
    return xyz, take_sightlines(rig.cameras, xy).weighted(information)


def one_by_one(s):
    """Return points (N, 3) m and covariances (N, 6), each found by itself."""
    found = []
    for i, used in enumerate(np.ascontiguousarray(s.seen.T)):
        at = start_point(s.packed, s.xy, s.information, used, i)
        found.append(solve_point(s.packed, s.xy_px, s.information, used, i, *at, STEPS))
    return np.array(found)[:, :3] + middle_of(s.cameras), np.array(found)[:, 3:]


@pytest.mark.parametrize("models", [("brown4",), ("brown5", "brown8"), ("brown5", "fisheye")])
def test_points_of_a_block_are_the_most_likely_ones_with_their_figures(make_ring, models):
    rig = make_ring(6, models=models)
    _, s = views(rig, np.random.default_rng(1))
    found = agree(s, VOLUME)
    good = found.status == GOOD
    assert good.mean() > 0.9
    assert (found.status[s.seen.sum(0) < 2] == TOO_FEW).all()
    xyz, cov = one_by_one(s)
    size = np.abs(cov[good]).max()
    for estimate in (found.estimate, solve(s, s.seen)):
        assert np.abs(estimate.xyz - xyz)[good].max() < 1e-7
        assert np.abs(estimate.cov - cov)[good].max() < 1e-6 * size
    assert (np.isnan(solve(s, s.seen).xyz[:, 0]) == np.isnan(xyz[:, 0])).all()
    for c, camera in enumerate(rig.cameras):
        on = good & s.seen[c]
        seen = camera.project_with_jacobians(found.estimate.xyz[on])
        r = s.xy_px[c, on] - seen.xy_px
        p = found.estimate.cov[on][:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)
        w = s.information[c, on][:, [0, 1, 1, 2]].reshape(-1, 2, 2)
        upper = np.linalg.cholesky(w).swapaxes(-1, -2)
        hat = upper @ seen.by_point @ p @ (upper @ seen.by_point).swapaxes(-1, -2)
        free = 1 - np.diagonal(hat, axis1=1, axis2=2)
        z = (upper @ r[..., None])[..., 0] / np.sqrt(np.maximum(free, 1e-12))
        assert np.abs(found.residual_px[c, on] - r).max() < 1e-5
        assert np.abs(found.redundancy[c, on] - free).max() < 1e-5
        told = np.isfinite(found.standardised[c, on])
        assert (told == (free > 0.1)).all()
        assert np.abs(found.standardised[c, on] - z)[told].max() < 1e-4
        assert np.isnan(found.residual_px[c, ~s.seen[c]]).all()


def test_one_wrong_view_sends_its_point_alone_to_the_consensus(make_ring):
    rig = make_ring(6)
    _, s = views(rig, np.random.default_rng(2))
    before = agree(s, VOLUME)
    xy = s.xy_px.copy()
    whole = np.flatnonzero((before.status == GOOD) & (s.seen.sum(0) >= 5))[3]
    camera = np.flatnonzero(s.seen[:, whole])[0]
    xy[camera, whole] += 300.0
    after = agree(take_sightlines(rig.cameras, xy).weighted(s.information), VOLUME)
    assert after.status[whole] == GOOD
    assert not after.used[camera, whole]
    others = np.arange(s.seen.shape[1]) != whole
    stood = others & (before.status == GOOD)
    assert np.abs(after.estimate.xyz - before.estimate.xyz)[stood].max() < 1e-7
    assert np.array_equal(after.status[others], before.status[others])


def test_views_that_look_elsewhere_are_not_taken(make_ring):
    rig = make_ring(5)
    xyz = np.tile([0.0, 0.0, 1.0], (20, 1))
    xy = np.stack([camera.project(xyz) for camera in rig.cameras])
    xy[2:] = np.nan
    xy[1, 7, 1] += 200.0
    found = agree(take_sightlines(rig.cameras, xy), VOLUME)
    assert found.status[7] == DISAGREE
    assert (np.delete(found.status, 7) == GOOD).all()
    assert np.isnan(found.residual_px[:, 7]).all()
