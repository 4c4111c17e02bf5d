"""A rolling shutter, and views that no other camera's are near."""

from dataclasses import replace

import numpy as np
import pytest

from calibration import continuous as timed_model
from calibration.gate import notes_of
from calibration.normals import view_normals
from calibration.offsets import continuous
from calibration.solve import solve
from calibration.timed_network import Strengths
from calibration.timed_system import system
from calibration.views import group_views
from lab.points import Keypoints2D
from tests.calibration.synthetic import BOARD, SIZE, ring
from tests.calibration.test_offsets import CORNERS, OFFSETS, filmed, sizes, waved

READOUTS = (0.020, 0.012, 0.0)
NOISE = 0.2
MODELS = {f"cam{i}": "f cx cy k1" for i in range(3)}


def rolled(seconds=4.0, rate_hz=15.0, noise_px=NOISE, seed=0):
    """The board in a hand, each row seen at its own time, to the last digit."""
    rng = np.random.default_rng(seed)
    cameras = ring(3, 1.6)
    stamps, observations = np.arange(0, seconds, 1 / rate_hz), {}
    for camera, offset, readout in zip(cameras, OFFSETS, READOUTS, strict=True):
        xy = np.full((len(stamps), len(CORNERS), 2), np.nan)
        for i, stamp in enumerate(stamps):
            late = np.zeros(len(CORNERS))
            for _ in range(8):  # the row says when, and when says the row
                when = stamp + offset + late
                poses = [waved(t).transform(c) for t, c in zip(when, CORNERS, strict=True)]
                xy[i] = camera.project(np.array(poses))
                late = readout * (xy[i, :, 1] / SIZE[1] - 0.5)
        outside = ((xy < 5) | (xy > np.array(SIZE) - 5)).any((1, 2))
        xy = xy + rng.normal(0, noise_px, xy.shape)
        xy[outside] = np.nan
        unknown, cov = np.full(xy.shape[:2], np.nan), np.full((*xy.shape, 2), np.nan)
        observations[camera.name] = Keypoints2D(
            camera.name, BOARD.corner_names, stamps, xy, cov, unknown
        )
    return cameras, observations


@pytest.fixture(scope="module")
def film():
    return rolled()


def test_the_rows_read_out_time_is_found_with_its_sigma(film):
    cameras, observations = film
    sightings = group_views(observations, BOARD)
    rolling = solve(sightings, sizes(cameras), BOARD, MODELS, shutter="rolling")
    for (found, sigmas), true in ((rolling.readouts(), READOUTS), (rolling.offsets(), OFFSETS)):
        assert (sigmas < 2e-3).all()
        assert (np.abs(found - true) <= 4 * sigmas).all()
    assert (rolling.readouts()[1] > 0).all()
    # What is left is the corners' noise, and without the read-out it is more.
    assert rms(rolling) < 1.1 * NOISE
    at_once = solve(sightings, sizes(cameras), BOARD, MODELS, shutter="own")
    assert rms(at_once) > 1.5 * NOISE
    assert np.isnan(at_once.readouts()[0]).all()
    assert np.isfinite(rolling.covariance()).all()


def rms(solution):
    """Of the residuals, per axis, px."""
    network = solution.network
    every = [
        view_normals(network, c).residuals_px[v.weight > 0] for c, v in enumerate(network.views)
    ]
    return np.sqrt(np.mean(np.concatenate(every) ** 2))


def test_the_read_out_is_said():
    own = {"coverage": 0.9, "readout_s": 0.0121, "readout_sigma_s": 0.0002}
    (note,) = notes_of({"asynchrony": 1.0}, {"cam0": own}, {"asynchrony": 2.0, "coverage": 0.4})
    assert "in cam0 12.1 ± 0.4 ms" in note


def test_the_gradient_by_the_read_out_is_the_slope_of_the_cost(film):
    cameras, observations = film
    sightings = group_views(observations, BOARD)
    network = solve(sightings, sizes(cameras), BOARD, MODELS, shutter="common").network
    timed = continuous(network, sightings.t, rolling=True)
    timed = replace(timed, strengths=Strengths(0.5, 2.0, 1e-9, 1e-9), readouts=np.array(READOUTS))
    normals = system(timed)
    size = len(normals.camera_gradient)
    # The first camera's pose is the gauge of place, and its time the gauge of time.
    places = [
        s.stop - 1 - int(free) for s, free in zip(normals.slices, timed.free_offset, strict=True)
    ]
    for place in places:
        step = np.zeros(size)
        step[place] = 1e-6
        none = np.zeros(len(normals.band_gradient))
        costs = [system(timed_model._moved(timed, s, none)).cost for s in (step, -step)]
        slope = -(costs[0] - costs[1]) / 4e-6
        assert normals.camera_gradient[place] == pytest.approx(slope, rel=1e-3)


def test_what_is_stated_of_the_shutter_is_kept_to():
    cameras, observations = filmed(seconds=4.0)
    sightings = group_views(observations, BOARD)
    common = solve(sightings, sizes(cameras), BOARD, MODELS, shutter="common")
    assert common.timed is None
    assert common.network.jitter[1] > 1e-3
    _, together = filmed(offsets=(0.0, 0.0, 0.0), seconds=4.0)
    own = solve(group_views(together, BOARD), sizes(cameras), BOARD, MODELS, shutter="own")
    offsets, sigmas = own.offsets()
    assert (np.abs(offsets) <= 4 * sigmas).all()


def test_a_view_that_no_other_camera_was_near_has_no_say_in_the_times():
    cameras, observations = filmed(seconds=4.0)
    first, second = observations["cam0"], observations["cam1"]
    # One camera alone sees the board come, long before the others; its stamp is of no use.
    early = replace(
        first,
        t=np.concatenate([[first.t[0] - 3.0], first.t]),
        xy_px=np.concatenate([first.xy_px[20:21], first.xy_px]),
        cov_px=np.concatenate([first.cov_px[:1], first.cov_px]),
        score=np.concatenate([first.score[:1], first.score]),
    )
    sightings = group_views(observations | {"cam0": early}, BOARD)
    network = solve(sightings, sizes(cameras), BOARD, MODELS, shutter="common").network
    timed = continuous(network, sightings.t)
    assert np.isfinite(network.views[0].t).all()
    assert np.isnan(timed.network.views[0].t).sum() == 1
    assert np.isfinite(timed.network.views[1].t).all()
    assert len(second.t) >= len(timed.network.views[1])
