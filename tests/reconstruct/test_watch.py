"""A camera that has turned since the calibration is found from what is seen of a body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reconstruct.triangulate import triangulate
from reconstruct.watch import watch_rig

# rad, m, px, 1: of a good calibration.
SIZES = [2e-4] * 3 + [4e-4] * 3 + [0.3] * 4 + [0.0] * 4


def trial(make_ring, see, body, seed, turn=(0.0, 0.0, 0.0)):
    rng = np.random.default_rng(seed)
    rig = make_ring(5)
    rig = replace(rig, cov=np.diag(np.tile(SIZES, 5) ** 2))
    delta = rig.draw(rng, 1)[0]
    delta[rig.parameter_slices()[2].start + np.arange(3)] += turn
    seen = see(rig.perturbed(delta), body[::4], 1.0)
    seen = replace(seen, xy_px=seen.xy_px + rng.normal(0, 1, seen.xy_px.shape))
    return rig, seen, triangulate(rig, seen)


def test_a_rig_as_calibrated_raises_no_alarm_and_its_statistic_is_chi_squared(make_ring, see, body):
    statistics = []
    for seed in range(25):
        watch = watch_rig(*trial(make_ring, see, body, seed))
        assert watch.moved == ""
        statistics.extend(watch.statistic)
    # The five statistics of a trial hang together: they count as two at most.
    assert abs(np.mean(statistics) - 3) < 4 * np.sqrt(6 / 50)


@pytest.mark.parametrize("degrees", [0.3, 1.5])
def test_a_turned_camera_is_named_and_its_turn_is_right(make_ring, see, body, degrees):
    turn = np.deg2rad(degrees) * np.array([0.48, -0.6, 0.64])
    rig, seen, result = trial(make_ring, see, body, 53, turn)
    watch = watch_rig(rig, seen, result)
    assert watch.moved == "cam03"
    assert np.abs(watch.turn[2] - turn).max() < 5 * watch.sigma[2] + 0.02 * np.deg2rad(degrees)
    # Without the shift it says the points lie nearer to the truth.
    shift = watch.shift(rig, result.rig_sensitivity(rig))
    off = np.nanmean((result.points.xyz - body[::4]) ** 2)
    if degrees < 0.5:
        assert np.nanmean((result.points.xyz - shift - body[::4]) ** 2) < off


def test_without_covariance_or_a_third_camera_nothing_is_said(make_ring, see, body):
    rig, seen, result = trial(make_ring, see, body, 1)
    unknown = replace(rig, cov=np.full(rig.cov.shape, np.nan))
    assert watch_rig(unknown, seen, result) is None
