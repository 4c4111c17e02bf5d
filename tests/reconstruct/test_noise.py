"""Noise found from few residuals is right on average, and a truly different one stays different."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reconstruct.triangulate import triangulate


def noisy(see, rig, xyz, rng, sigma):
    seen = see(rig, xyz)
    return replace(seen, xy_px=seen.xy_px + sigma * rng.standard_normal(seen.xy_px.shape))


def used_noise(result):
    """Return the noise (C, K) by which views were weighed."""
    weight = result.information_px[..., 0]
    return np.nanmax(np.where(weight > 0, weight, np.nan), axis=1) ** -0.5


def test_covariances_of_a_short_trial_are_true(make_ring, see, body):
    rig = make_ring(4)
    values = []
    for seed in range(12):
        xyz = body[15 * seed : 15 * seed + 40, :6]
        rng = np.random.default_rng([1, seed])
        points = triangulate(rig, noisy(see, rig, xyz, rng, 1.5)).points
        error = points.xyz - xyz
        values.append(np.einsum("tki,tkij,tkj->tk", error, np.linalg.inv(points.cov), error).mean())
    # 2600 points: one standard error is 0.05. Noise found cell by cell gives 3.3.
    assert abs(np.mean(values) - 3) < 0.17


def test_noise_that_differs_is_found_to_differ(make_ring, see, body):
    rig = make_ring(5)
    rng = np.random.default_rng(2)
    sigma = np.outer([1.0, 2.0, 1.0, 1.5, 1.0], np.linspace(0.8, 2.5, 12))
    sigma[4, 5] *= 4  # one joint of one camera, as behind a rail
    result = triangulate(rig, noisy(see, rig, body, rng, sigma[:, None, :, None]))
    ratio = used_noise(result) / sigma
    assert 0.94 < ratio.mean() < 1.06
    assert ratio.std() < 0.08
    assert 0.75 < ratio[4, 5] < 1.25


def test_few_residuals_do_not_hide_a_bad_sight(make_ring, see, body):
    rig = make_ring(5)
    found = []
    for seed in range(8):
        rng = np.random.default_rng([3, seed])
        sigma = np.ones((5, 12))
        sigma[1, 3] = 4.0
        seen = noisy(see, rig, body[:30], rng, sigma[:, None, :, None])
        noise = used_noise(triangulate(rig, seen))
        found.append((noise[1, 3], np.delete(noise, 1, axis=0).mean()))
    bad, others = np.mean(found, axis=0)
    assert 3.0 < bad < 5.0
    assert 0.9 < others < 1.1
