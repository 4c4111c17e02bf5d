from dataclasses import replace

import numpy as np

from calibration.covariances import covariance
from calibration.free_points import triangulate
from calibration.gate import pelvis_reasons
from calibration.lens import basis
from calibration.pelvis import with_pelvis
from calibration.sigma_map import looked_at, point_covariances, room_slices, sigma_map, volume_grid
from lab.rig import Rig, RigQuality
from tests.calibration.synthetic import board_poses, ring, scene

GRID = volume_grid(np.array([-0.5, -0.5, 0.4]), np.array([0.5, 0.5, 1.4]), 0.5)


def known_rig():
    shown = scene(ring(4), board_poses(30, np.random.default_rng(1)))
    cov = covariance(shown.network(shown.sightings, 0.3, basis("f cx cy k1")))
    return Rig(shown.cameras, cov, RigQuality(True, (), {}, {}), "", "")


def test_the_map_is_the_scatter_of_points_under_draws_of_the_rig():
    rig = known_rig()
    rng = np.random.default_rng(2)
    pixels = np.stack([c.project(GRID) for c in rig.cameras])
    white = []
    for noise in (0.0, 1.0):
        cov = point_covariances(rig, GRID, noise)
        for draw in rig.draw(rng, 150):
            seen = pixels + noise * rng.standard_normal(pixels.shape)
            away = triangulate(rig.perturbed(draw).cameras, seen) - GRID
            white.append((away * np.linalg.solve(cov, away[..., None])[..., 0]).sum(1).mean() / 3)
    # 300 draws of many parameters each: the standard error of the mean is 3 %.
    assert abs(np.mean(white) - 1) < 0.12


def test_a_point_that_one_camera_sees_is_not_known():
    rig = known_rig()
    far = np.array([[0.0, 0.0, 1.0], [40.0, 0.0, 1.0]])
    sigma = sigma_map(rig, far)
    assert 0 < sigma[0] < 0.01
    assert np.isnan(sigma[1])
    unknown = replace(rig, cov=np.full_like(rig.cov, np.nan))
    assert np.isnan(sigma_map(unknown, far)).all()


def test_the_pelvis_is_gated():
    limits = {"pelvis_mm": 15.0}
    assert pelvis_reasons({"pelvis_sigma_mm": 3.0}, limits) == ()
    assert "placed to 22.0 mm" in pelvis_reasons({"pelvis_sigma_mm": 22.0}, limits)[0]
    assert "fewer than two" in pelvis_reasons({"pelvis_sigma_mm": float("nan")}, limits)[0]


def test_a_slice_holds_the_map_in_the_middle_of_its_cells():
    rig = known_rig()
    level, upright = room_slices(rig, floor=True)
    assert (level.axes, level.at_m) == ((0, 1), 1.0)
    assert upright.axes == (0, 2)
    assert upright.low_m[1] == 0
    for one in (level, upright):
        row, column = np.argwhere(np.isfinite(one.sigma_m))[-1]
        point = np.zeros(3)
        point[list(one.axes)] = one.low_m + (np.array([column, row]) + 0.5) * one.step_m
        point[3 - sum(one.axes)] = one.at_m
        assert sigma_map(rig, point[None])[0] == one.sigma_m[row, column]
    centres = np.stack([camera.centre for camera in rig.cameras])[:, :2]
    high = level.low_m + level.step_m * np.array(level.sigma_m.shape)[::-1]
    assert (centres >= level.low_m - 1e-9).all()
    assert (centres <= high + 1e-9).all()
    assert len(room_slices(rig, floor=False)) == 1
    assert room_slices(replace(rig, cov=np.full_like(rig.cov, np.nan)), floor=True) == ()


def test_a_rig_laid_anew_has_its_pelvis_where_the_cameras_look():
    rig = known_rig()
    over = looked_at(rig)
    over[2] = 1.0
    figures = {"volume_sigma_median_mm": 9.0, "rmse_px": 0.3}
    rig = replace(rig, quality=replace(rig.quality, figures=figures))
    laid = with_pelvis(rig, None, floor=True).quality
    assert laid.accepted
    assert laid.figures["pelvis_sigma_mm"] == 1e3 * sigma_map(rig, over[None])[0]
    assert "volume_sigma_median_mm" not in laid.figures
    loose = with_pelvis(replace(rig, cov=1e4 * rig.cov), None, floor=True).quality
    assert not loose.accepted
    assert "at the pelvis" in loose.reasons[0]
    foreign = replace(rig, cov=np.full_like(rig.cov, np.nan))
    assert with_pelvis(foreign, None, floor=True) is foreign
