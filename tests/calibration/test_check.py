from dataclasses import replace

import numpy as np
import pytest

from calibration.check import check_views
from calibration.covariances import covariance
from calibration.lens import basis
from lab.errors import LabError
from lab.rig import Rig, RigQuality
from tests.calibration.synthetic import board_poses, ring, scene

NOISE = 0.2
SMALL = "f cx cy k1"


def stored_rig(seed, cameras=4):
    """A rig as calibrated from noisy views, in the frame of its first camera, and the truth."""
    rng = np.random.default_rng([1, seed])
    shown = scene(ring(cameras), board_poses(40, rng))
    network = shown.network(shown.noisy(NOISE, rng), NOISE, basis(SMALL))
    cov = covariance(network)
    quality = RigQuality(True, (), {}, {})
    rig = Rig(shown.cameras, cov, quality, "", "")
    return rig.perturbed(rig.draw(rng, 1)[0]), shown.cameras


def seen_anew(cameras, seed, poses=12):
    rng = np.random.default_rng([2, seed])
    shown = scene(cameras, board_poses(poses, rng))
    return shown.noisy(NOISE, rng), shown.corners_m


def bumped(cameras, camera, shift_m, turn_rad):
    delta = np.zeros(15)
    delta[:6] = [turn_rad, -turn_rad, 0, shift_m, 0, shift_m]
    return tuple(c.perturbed(delta) if i == camera else c for i, c in enumerate(cameras))


def test_a_rig_that_stands_raises_alarms_as_rarely_as_it_says():
    p_values = []
    for seed in range(10):
        rig, cameras = stored_rig(seed)
        result = check_views(rig, *seen_anew(cameras, seed))
        p_values.append(result.p_value)
        if not result.moved:
            assert result.rig is rig
    # Uniform on 0..1: mean 0.5 with a standard error of 0.09.
    assert abs(np.mean(p_values) - 0.5) < 0.3
    assert np.mean(np.array(p_values) < 0.01) <= 0.1


@pytest.mark.parametrize(
    ("shift_m", "turn_rad"), [(0.02, 0.005), (0.1, 0.05), (0.4, 0.3)], ids=["cm", "dm", "far"]
)
@pytest.mark.parametrize("camera", [0, 2])
def test_the_camera_that_moved_is_named_and_solved_anew(camera, shift_m, turn_rad):
    rig, cameras = stored_rig(7)
    moved = bumped(cameras, camera, shift_m, turn_rad)
    result = check_views(rig, *seen_anew(moved, 7))
    assert result.moved == (f"cam{camera}",)
    assert result.p_value < 1e-6
    assert result.p_left > 1e-3
    own = result.cameras[camera]
    true = 1e3 * np.linalg.norm(moved[camera].centre - cameras[camera].centre)
    assert own.shift_mm == pytest.approx(true, abs=4 * own.shift_sigma_mm + 2)
    found = result.rig.cameras[camera]
    assert np.linalg.norm(found.centre - moved[camera].centre) < 0.01
    for c, kept in enumerate(result.rig.cameras):
        assert (kept is rig.cameras[c]) == (c != camera)
    assert np.linalg.eigvalsh(result.rig.cov).min() > -1e-9 * np.abs(result.rig.cov).max()


def test_a_board_that_one_camera_saw_alone_says_nothing():
    rig, cameras = stored_rig(3)
    sightings, corners = seen_anew(cameras, 3)
    none = [v.only(np.zeros(len(v), bool)) for v in sightings.views[1:]]
    with pytest.raises(LabError, match="no two cameras"):
        check_views(rig, replace(sightings, views=(sightings.views[0], *none)), corners)


def test_without_a_covariance_the_stored_rig_counts_as_exact():
    rig, cameras = stored_rig(5)
    exact = replace(rig, cameras=cameras, cov=np.full_like(rig.cov, np.nan))
    assert check_views(exact, *seen_anew(cameras, 5)).p_value > 1e-3
