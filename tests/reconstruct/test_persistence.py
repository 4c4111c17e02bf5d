"""How long noise lasts is read from residuals, and draws of it last as long."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from reconstruct.persistence import find_persistence
from reconstruct.triangulate import triangulate

SIGMA_PX = 2.0


def lasting(rng, shape, kept):
    """Noise of unit variance along axis 1, `kept` from one frame to the next."""
    x = rng.standard_normal(shape)
    x[:, 1:] *= np.sqrt(1 - kept**2)
    return lfilter([1.0], [1.0, -kept], x, axis=1)


def filmed(see, rig, xyz, noise):
    aligned = see(rig, xyz)
    return replace(aligned, xy_px=aligned.xy_px + SIGMA_PX * noise)


def found(rig, aligned):
    result = triangulate(rig, aligned)
    return result, find_persistence(rig, aligned, result)


def rho(persistence, k, lag_s):
    return float(persistence.share[k] @ np.exp(-lag_s / persistence.times_s))


def test_noise_that_is_new_in_every_frame_is_left_so(make_ring, see, body):
    rig = make_ring(5)
    for seed in range(5):
        rng = np.random.default_rng([1, seed])
        shape = (5, *body.shape[:2], 2)
        _, persistence = found(rig, filmed(see, rig, body, rng.standard_normal(shape)))
        assert not persistence.share.any()
        assert persistence.of_all() == 0


@pytest.mark.parametrize("kept", [0.6, 0.95])
def test_the_autocorrelation_of_noise_is_found(make_ring, see, body, kept):
    rng = np.random.default_rng(2)
    rig = make_ring(6)
    xyz = np.concatenate([body, body[::-1]])[:, :4]
    shape = (6, *xyz.shape[:2], 2)
    mixed = np.sqrt(0.7) * lasting(rng, shape, kept) + np.sqrt(0.3) * rng.standard_normal(shape)
    _, persistence = found(rig, filmed(see, rig, xyz, mixed))
    for lag in (1, 3, 10):
        mean = np.mean([rho(persistence, k, lag / 100) for k in range(4)])
        assert mean == pytest.approx(0.7 * kept**lag, abs=0.08)


def test_what_lasts_throughout_is_told_from_what_fades(make_ring, see, body):
    rng = np.random.default_rng(3)
    rig = make_ring(6)
    shape = (6, *body.shape[:2], 2)
    noise = np.sqrt(0.5) * rng.standard_normal(shape)
    noise += np.sqrt(0.5) * rng.standard_normal((6, 1, *shape[2:]))
    _, persistence = found(rig, filmed(see, rig, body, noise))
    late = np.mean([rho(persistence, k, 0.9) for k in range(12)])
    # Each camera's residuals count in their own standard deviations: the mean of x / (x + 1) over
    # x chi-squared with one degree of freedom.
    assert late == pytest.approx(0.345, abs=0.1)
    early = np.mean([rho(persistence, k, 0.02) for k in range(12)])
    assert early - late < 0.08


def test_an_error_of_the_calibration_is_not_counted_again(make_ring, see, body):
    rng = np.random.default_rng(4)
    rig = make_ring(5)
    size = np.tile([3e-4, 3e-4, 3e-4, 5e-4, 5e-4, 5e-4, *[0.0] * 8], 5)
    rig = replace(rig, cov=np.diag(size**2))
    counted, not_known = [], []
    for _ in range(4):
        true = rig.perturbed(rig.draw(rng, 1)[0])
        aligned = filmed(see, true, body, 0.5 * rng.standard_normal((5, *body.shape[:2], 2)))
        counted.append(found(rig, aligned)[1].of_all())
        blind = replace(rig, cov=np.full(rig.cov.shape, np.nan))
        not_known.append(found(blind, aligned)[1].of_all())
    assert np.mean(not_known) > 0.1
    assert np.mean(counted) < 0.3 * np.mean(not_known)


def test_draws_last_as_long_as_the_noise(make_ring, see, body):
    rng = np.random.default_rng(5)
    rig = make_ring(6)
    shape = (6, *body.shape[:2], 2)
    _, persistence = found(rig, filmed(see, rig, body, lasting(rng, shape, 0.9)))
    t = np.arange(300) / 100
    drawn = persistence.draw(np.random.default_rng(6), t, 0, 400)
    assert drawn.std() == pytest.approx(1, abs=0.03)
    for lag in (1, 5, 20):
        told = (drawn[:, lag:] * drawn[:, :-lag]).mean()
        assert told == pytest.approx(rho(persistence, 0, lag / 100), abs=0.05)
    again = persistence.draw(np.random.default_rng(6), t, 0, 400)
    assert np.array_equal(drawn, again)
