from dataclasses import replace

import numpy as np

from calibration.bundle import covariance
from calibration.free_points import triangulate
from calibration.gate import pelvis_reasons
from calibration.lens import basis
from calibration.sigma_map import point_covariances, sigma_map, volume_grid
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
