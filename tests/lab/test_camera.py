from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lab.camera import Camera, intrinsics_names
from lab.lens_model import MODELS
from lab.pose import Pose


def points_in_view(n: int = 200) -> np.ndarray:
    """Points (n, 3) m in a person's space about the origin of the lab."""
    return np.random.default_rng(1).uniform([-0.8, -0.9, -0.2], [0.8, 0.9, 2.0], (n, 3))


@pytest.mark.parametrize("model", MODELS)
def test_project_equals_opencv(cameras, model):
    camera = cameras[model]
    points = points_in_view()
    pose = camera.cam_from_lab
    if model == "fisheye":
        expected, _ = cv2.fisheye.projectPoints(
            points[:, None], pose.rotvec(), pose.translation, camera.matrix, camera.coefficients
        )
    else:
        expected, _ = cv2.projectPoints(
            points, pose.rotvec(), pose.translation, camera.matrix, camera.coefficients
        )
    assert_allclose(camera.project(points), expected.reshape(-1, 2), atol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_a_ray_goes_through_the_point_that_was_projected(cameras, model):
    camera = cameras[model]
    points = points_in_view()
    rays = camera.ray(camera.project(points))
    assert rays.converged.all()
    assert_allclose(np.linalg.norm(rays.direction, axis=-1), 1, atol=1e-12)
    from_centre = points - rays.origin
    assert_allclose(np.cross(rays.direction, from_centre), 0, atol=1e-9)
    assert (np.sum(rays.direction * from_centre, -1) > 0).all()
    assert_allclose(camera.cam_from_lab.transform(rays.origin), 0, atol=1e-12)


def slopes(function, at: np.ndarray) -> np.ndarray:
    """Slopes of a function (P,) -> (..., 2) at `at`, stacked last, by a fourth-order difference."""
    columns = []
    for i in range(len(at)):
        step = np.zeros(len(at))
        step[i] = 1e-3 * max(1.0, abs(at[i]))
        near = function(at + step) - function(at - step)
        far = function(at + 2 * step) - function(at - 2 * step)
        columns.append((8 * near - far) / (12 * step[i]))
    return np.stack(columns, axis=-1)


def assert_slopes(analytic: np.ndarray, numeric: np.ndarray) -> None:
    scale = np.abs(numeric).max(axis=(0, 1))
    assert_allclose(analytic / scale, numeric / scale, rtol=0, atol=2e-8)


@pytest.mark.parametrize("model", MODELS)
def test_jacobians_equal_finite_differences(cameras, model):
    camera = cameras[model]
    # The optical axis itself has its own branch in the fisheye.
    axis = camera.cam_from_lab.inverse().transform([[0, 0, 3.0], [1e-5, -1e-5, 3.0]])
    points = np.concatenate([points_in_view(40), axis])
    projection = camera.project_with_jacobians(points)
    assert_allclose(projection.xy_px, camera.project(points), atol=1e-10)
    assert_slopes(projection.by_point, slopes(lambda d: camera.project(points + d), np.zeros(3)))
    still = np.zeros(len(camera.intrinsics))
    assert_slopes(
        projection.by_pose,
        slopes(lambda d: camera.perturbed([*d, *still]).project(points), np.zeros(6)),
    )
    assert_slopes(
        projection.by_intrinsics,
        slopes(lambda k: replace(camera, intrinsics=k).project(points), camera.intrinsics.copy()),
    )


@pytest.mark.parametrize("model", MODELS)
def test_points_behind_are_nan(cameras, model):
    camera = replace(cameras[model], cam_from_lab=Pose.identity())
    behind = [[0.1, 0.1, -2], [0.1, 0.1, 0]]
    assert np.isnan(camera.project(behind)).all()
    projection = camera.project_with_jacobians(behind)
    for part in (projection.xy_px, projection.by_point, projection.by_pose):
        assert np.isnan(part).all()


def test_a_ray_beyond_the_fold_of_a_barrel_is_reported():
    camera = Camera(
        "a", (1280, 720), "brown4", [900, 900, 640, 360, -0.4, 0, 0, 0], Pose.identity()
    )
    # r + k1 r^3 has its largest value 2 / (3 sqrt(-3 k1)) where the lens folds.
    farthest = 900 * 2 / (3 * np.sqrt(1.2))
    rays = camera.ray([[640 + 0.99 * farthest, 360], [640 + 1.01 * farthest, 360], [np.nan, 360]])
    assert rays.converged.tolist() == [True, False, False]
    assert np.isfinite(rays.direction[0]).all()
    assert np.isnan(rays.direction[1:]).all()


def test_intrinsics_have_names():
    assert intrinsics_names("brown5") == ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3")


def test_matrix_and_centre(cameras):
    camera = cameras["brown4"]
    assert_allclose(camera.matrix @ [0, 0, 1], [655.2, 349.1, 1])
    in_lab = camera.cam_from_lab.inverse().transform([0, 0, 2.0])
    assert_allclose(camera.project(in_lab), [655.2, 349.1])
    assert_allclose(camera.centre, camera.ray([0, 0]).origin)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "name"),
        ({"model": "pinhole"}, "model"),
        ({"size_px": (0, 720)}, "size_px"),
        ({"intrinsics": np.ones(7)}, "intrinsics"),
        ({"intrinsics": [-900, 900, 0, 0, 0, 0, 0, 0]}, "focal length"),
        ({"intrinsics": [900, 900, np.nan, 0, 0, 0, 0, 0]}, "not finite"),
    ],
)
def test_refuses(cameras, change, message):
    with pytest.raises(ValueError, match=message):
        replace(cameras["brown4"], **change)
