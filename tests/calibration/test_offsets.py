from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from calibration import continuous as timed_model
from calibration.motion import at_instants, bending, through
from calibration.offsets import continuous
from calibration.rig_calibration import calibrate
from calibration.solve import solve
from calibration.timed_network import Strengths
from calibration.timed_system import system
from calibration.views import group_views
from lab.points import Keypoints2D
from lab.pose import Pose
from tests.calibration.synthetic import BOARD, SIZE, largest_difference, ring

OFFSETS = (0.0, -0.06, 0.035)
CORNERS = BOARD.corners_m()
CENTRE = CORNERS.mean(0)


def waved(t):
    """The board in a hand: some decimetres and tenths of a turn, at about half a hertz."""
    turn = [0.5 * np.sin(2.9 * t), 0.45 * np.cos(2.1 * t + 1), 1.3 * np.sin(1.3 * t)]
    rotation = Rotation.from_rotvec(turn).as_matrix() @ np.diag([1.0, -1.0, -1.0])
    rotation = Rotation.from_rotvec([0.0, 1.2, 0.0]).as_matrix() @ rotation
    place = np.array([0.4 * np.sin(1.7 * t), 0.35 * np.cos(2.3 * t), 1 + 0.2 * np.sin(1.1 * t)])
    return Pose(rotation, place - rotation @ CENTRE)


def filmed(offsets=OFFSETS, seconds=8.0, rate_hz=15.0, noise_px=0.2, seed=0):
    rng = np.random.default_rng(seed)
    cameras = ring(3, 1.6)
    observations = {}
    for camera, offset in zip(cameras, offsets, strict=True):
        stamps = np.arange(0, seconds, 1 / rate_hz)
        xy = np.stack([camera.project(waved(t + offset).transform(CORNERS)) for t in stamps])
        outside = ((xy < 5) | (xy > np.array(SIZE) - 5)).any((1, 2))
        xy = xy + rng.normal(0, noise_px, xy.shape)
        xy[outside] = np.nan
        unknown = np.full(xy.shape[:2], np.nan)
        cov = np.full((*xy.shape, 2), np.nan)
        observations[camera.name] = Keypoints2D(
            camera.name, BOARD.corner_names, stamps, xy, cov, unknown
        )
    return cameras, observations


def sizes(cameras):
    return {c.name: c.size_px for c in cameras}


def test_offsets_are_found_and_stored_with_their_sigma():
    cameras, observations = filmed()
    rig = calibrate(observations, sizes(cameras), BOARD)
    for name, true in zip(rig.names[1:], OFFSETS[1:], strict=True):
        own = rig.quality.cameras[name]
        assert 0 < own["time_offset_sigma_s"] < 2e-3
        assert abs(own["time_offset_s"] - true) < 4 * own["time_offset_sigma_s"]
    assert rig.quality.cameras["cam0"]["time_offset_s"] == 0.0
    assert any("do not share a shutter" in reason for reason in rig.quality.reasons)
    assert rig.quality.figures["held_out_distance_rmse_mm"] < 1.0
    # Without the offsets the cameras stand centimetres off; with them, millimetres.
    assert largest_difference(rig.cameras, cameras)[1] < 0.008


def test_cameras_with_a_common_shutter_get_no_offsets():
    cameras, observations = filmed(offsets=(0.0, 0.0, 0.0))
    rig = calibrate(observations, sizes(cameras), BOARD)
    assert all("time_offset_s" not in own for own in rig.quality.cameras.values())


@pytest.fixture(scope="module")
def timed():
    cameras, observations = filmed(seconds=3.0)
    sightings = group_views(observations, BOARD)
    models = {c.name: "f cx cy k1" for c in cameras}
    discrete = solve(sightings, sizes(cameras), BOARD, models)
    start = continuous(replace(discrete.timed.network), sightings.t)
    return replace(start, strengths=Strengths(0.5, 2.0, 0.004, 4e-4))


def test_the_gradient_of_the_timed_network_is_the_slope_of_its_cost(timed):
    """Without wobble and uncertain stamps, whose weights change with where the board is."""
    timed = replace(timed, strengths=Strengths(0.5, 2.0, 1e-9, 1e-9))
    normals = system(timed)
    gradient = np.concatenate([normals.camera_gradient, normals.band_gradient])
    size = len(normals.camera_gradient)
    chosen = np.random.default_rng(0).choice(len(gradient), 40, replace=False)
    offsets = [
        s.stop - 1 for s, free in zip(normals.slices, timed.free_offset, strict=True) if free
    ]
    for i in [*chosen, *offsets]:
        step = np.zeros(len(gradient))
        step[i] = 1e-6
        moved = [timed_model._moved(timed, s[:size], s[size:]) for s in (step, -step)]
        costs = [system(m).cost for m in moved]
        slope = -(costs[0] - costs[1]) / 4e-6
        assert gradient[i] == pytest.approx(slope, rel=1e-3, abs=1.0 + 1e-6 * normals.cost)


def test_the_motion_goes_where_its_derivatives_say():
    rng = np.random.default_rng(0)
    t = np.arange(20) * 0.3
    turns = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.2, (20, 3)), 0)).as_matrix()
    motion = through(t, turns, rng.normal(size=(20, 3)), 0.1, 0.5)
    when, small = rng.uniform(0, 5.5, 7), 1e-6
    now = at_instants(motion, when)
    step = rng.normal(size=(len(motion.centres), 6))
    by_control = np.einsum("vkij,vkj->vi", now.by_control, step[now.first[:, None] + np.arange(4)])
    for after, before, predicted in (
        (at_instants(motion, when + small), at_instants(motion, when - small), now.velocity),
        (
            at_instants(motion.moved(small * step), when),
            at_instants(motion.moved(-small * step), when),
            by_control,
        ),
    ):
        turned = after.rotations @ np.swapaxes(before.rotations, 1, 2)
        turn = Rotation.from_matrix(turned).as_rotvec() / (2 * small)
        np.testing.assert_allclose(turn, predicted[:, :3], atol=1e-7)
        shift = (after.centres - before.centres) / (2 * small)
        np.testing.assert_allclose(shift, predicted[:, 3:], atol=1e-7)


def test_bending_is_the_integral_of_the_squared_second_derivative():
    rng = np.random.default_rng(1)
    values, step = rng.normal(size=9), 0.2
    diagonals = bending(9, step)
    energy = sum(
        (1 if j == 0 else 2) * diagonals[j, k] * values[k] * values[k + j]
        for j in range(4)
        for k in range(9 - j)
    )
    motion = through(
        np.array([0.0, 1.0]), np.tile(np.eye(3), (2, 1, 1)), np.zeros((2, 3)), step, 0.0
    )
    motion = replace(
        motion, quaternions=np.tile([0, 0, 0, 1.0], (9, 1)), centres=np.stack([values] * 3, axis=1)
    )
    t = np.arange(0, 6 * step, 1e-4)
    slope = at_instants(motion, t).velocity[:, 3]
    bent = np.diff(slope) / 1e-4
    assert energy == pytest.approx(float((bent**2).sum() * 1e-4), rel=1e-3)
