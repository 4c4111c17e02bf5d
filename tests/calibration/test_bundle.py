from dataclasses import replace

import numpy as np
import pytest

from calibration import bundle
from calibration.bundle import adjust
from calibration.covariances import covariance
from calibration.lens import LENSES, basis
from calibration.network import moved_by
from calibration.normals import normal_equations, residuals_px, view_normals
from calibration.solve import solve
from calibration.start import homographies
from lab.errors import LabError
from tests.calibration.synthetic import BOARD, board_poses, largest_difference, ring, scene

FULL = "fx fy cx cy k1 k2 p1 p2 k3"
SMALL = "f cx cy k1"
MODELS = {f"cam{i}": SMALL for i in range(8)}


def small_network(noise=0.3, lens=FULL, cameras=3, poses=12):
    rng = np.random.default_rng(5)
    shown = scene(ring(cameras, 2.0), board_poses(poses, rng))
    return shown.network(shown.noisy(noise, rng), max(noise, 0.3), basis(lens))


def gradient_of(network):
    normals = normal_equations(network)
    return np.concatenate([normals.camera_gradient, normals.board_gradient.ravel()])


def moved(network, step):
    size = network.free_slices()[-1].stop
    return moved_by(network, step[:size], step[size:].reshape(-1, 6))


def test_the_gradient_is_the_slope_of_the_cost():
    network = small_network()
    gradient = gradient_of(network)
    for i in np.random.default_rng(0).choice(len(gradient), 40, replace=False):
        step = np.zeros(len(gradient))
        step[i] = 1e-6
        up, down = (normal_equations(moved(network, s)).cost for s in (step, -step))
        # The cost is the sum of squares, the gradient J'r with r = observed - predicted.
        assert gradient[i] == pytest.approx(-(up - down) / 4e-6, rel=2e-4, abs=0.5)


def test_compiled_products_are_those_of_the_camera():
    network = small_network(lens=FULL)
    for c, camera in enumerate(network.cameras):
        compiled = view_normals(network, c)
        as_brown8 = replace(
            camera, model="brown8", intrinsics=np.concatenate([camera.intrinsics, np.zeros(3)])
        )
        other = replace(
            network,
            cameras=tuple(as_brown8 if i == c else x for i, x in enumerate(network.cameras)),
            bases=tuple(
                np.vstack([b, np.zeros((3, b.shape[1]))]) if i == c else b
                for i, b in enumerate(network.bases)
            ),
        )
        plain = view_normals(other, c)
        scale = np.sqrt(np.einsum("vii->vi", plain.products))
        apart = (compiled.products - plain.products) / (scale[:, :, None] * scale[:, None] + 1e-9)
        assert np.abs(apart).max() < 1e-11
        np.testing.assert_allclose(compiled.residuals_px, plain.residuals_px, atol=1e-9)


@pytest.mark.parametrize("lens", [FULL, SMALL])
def test_compiled_and_plain_adjustment_end_alike(lens, monkeypatch):
    network = small_network(lens=lens)
    fast = adjust(network)
    monkeypatch.setattr(bundle, "laid_out", lambda *task: None)
    slow = adjust(network)
    spread = np.sqrt(np.diag(covariance(fast)))
    row = 0
    for a, b in zip(fast.cameras, slow.cameras, strict=True):
        away = np.concatenate(
            [
                a.cam_from_lab.translation - b.cam_from_lab.translation,
                a.intrinsics - b.intrinsics,
            ]
        )
        own = np.concatenate([spread[row + 3 : row + 6], spread[row + 6 : row + 15]])
        assert (np.abs(away) <= 1e-3 * own + 1e-12).all()
        row += 15


@pytest.mark.parametrize("lens", list(LENSES))
def test_without_noise_the_truth_comes_out(lens):
    shown = scene(ring(4), board_poses(30, np.random.default_rng(1)))
    solution = solve(shown.sightings, shown.sizes, BOARD, dict.fromkeys(shown.sizes, lens))
    turn, shift = largest_difference(solution.network.cameras, shown.cameras)
    assert turn < 1e-9
    assert shift < 1e-9
    for found, true in zip(solution.network.cameras, shown.cameras, strict=True):
        np.testing.assert_allclose(found.intrinsics[:4], true.intrinsics[:4], atol=1e-5)


def test_a_chain_of_cameras_is_enough():
    """Each camera shares views with its neighbours alone."""
    saw = np.zeros((5, 50), bool)
    for pose in range(50):
        saw[pose % 4 : pose % 4 + 2, pose] = True
    shown = scene(ring(5, 2.0), board_poses(50, np.random.default_rng(2)), saw)
    solution = solve(shown.sightings, shown.sizes, BOARD, MODELS)
    assert max(largest_difference(solution.network.cameras, shown.cameras)) < 1e-9


def test_cameras_that_face_each_other_are_no_special_case():
    shown = scene(ring(2), board_poses(40, np.random.default_rng(3)))
    solution = solve(shown.sightings, shown.sizes, BOARD, MODELS)
    assert max(largest_difference(solution.network.cameras, shown.cameras)) < 1e-9


def test_a_camera_without_a_shared_view_is_named():
    saw = np.ones((3, 40), bool)
    saw[2, :20], saw[:2, 20:] = False, False
    shown = scene(ring(3, 2.0), board_poses(40, np.random.default_rng(4)), saw)
    with pytest.raises(LabError, match="cam2 shared no view"):
        solve(shown.sightings, shown.sizes, BOARD, MODELS)


def test_wrong_corners_are_taken_out():
    rng = np.random.default_rng(6)
    shown = scene(ring(4), board_poses(40, rng))
    sightings = shown.noisy(0.2, rng)
    for views in sightings.views:
        wrong = rng.random(views.weight.shape) < 0.03
        views.xy_px[wrong] += rng.normal(0, 40, (int(wrong.sum()), 2))
    clean = solve(shown.noisy(0.2, np.random.default_rng(6)), shown.sizes, BOARD, MODELS)
    found = solve(sightings, shown.sizes, BOARD, MODELS)
    place = np.sqrt(np.diag(covariance(clean.network))[15 + 3 : 15 + 6]).max()
    assert largest_difference(found.network.cameras, shown.cameras)[1] < 10 * place
    assert found.network.sigma_px == pytest.approx(np.full(4, 0.2), rel=0.1)


def test_the_same_input_gives_the_same_bytes():
    rng = np.random.default_rng(7)
    shown = scene(ring(4), board_poses(30, rng))
    sightings = shown.noisy(0.3, rng)
    first, second = (solve(sightings, shown.sizes, BOARD, MODELS).network for _ in range(2))
    for a, b in zip(first.cameras, second.cameras, strict=True):
        assert a.intrinsics.tobytes() == b.intrinsics.tobytes()
        assert a.cam_from_lab.translation.tobytes() == b.cam_from_lab.translation.tobytes()
    assert covariance(first).tobytes() == covariance(second).tobytes()


@pytest.mark.slow
def test_the_predicted_covariance_is_the_scatter_of_repeated_runs():
    rng = np.random.default_rng(8)
    shown = scene(ring(3, 2.0), board_poses(25, rng))
    network = shown.network(shown.sightings, 0.3, basis(SMALL))
    cov = covariance(network)
    free = np.diag(cov) > 0
    errors = []
    for _ in range(200):
        found = adjust(replace(network, views=shown.noisy(0.3, rng).views), 1e-9)
        parts = []
        for a, b in zip(found.cameras, network.cameras, strict=True):
            change = a.cam_from_lab @ b.cam_from_lab.inverse()
            parts += [change.rotvec()]
            turned = change.rotation @ b.cam_from_lab.translation
            parts += [a.cam_from_lab.translation - turned, a.intrinsics - b.intrinsics]
        errors.append(np.concatenate(parts))
    scaled = np.array(errors)[:, free] / np.sqrt(np.diag(cov)[free])
    # 200 runs: the standard error of a variance is 10 %.
    assert np.abs(scaled.var(0).mean() - 1) < 0.1
    assert (np.abs((scaled**2).mean(0) - 1) < 0.45).all()
    sd = np.sqrt(np.diag(cov)[free])
    values, vectors = np.linalg.eigh(cov[np.ix_(free, free)] / np.outer(sd, sd))
    known = values > 1e-9 * values[-1]  # fx and fy move together
    whitened = (scaled @ vectors[:, known]) ** 2 / values[known]
    assert whitened.mean() == pytest.approx(1, abs=0.05)


def test_residuals_are_those_of_the_cameras_and_missing_behind_them():
    rng = np.random.default_rng(2)
    shown = scene(ring(2), board_poses(6, rng))
    network = shown.network(shown.noisy(0.3, rng), 0.3, basis("f cx cy k1"))
    # One board stands behind a camera.
    behind = network.translations.copy()
    behind[0] += 20 * (network.cameras[0].centre - behind[0])
    network = replace(network, translations=behind)
    for c, (camera, views) in enumerate(zip(network.cameras, network.views, strict=True)):
        turns, shifts = network.rotations[views.pose], network.translations[views.pose]
        points = network.corners_m @ np.swapaxes(turns, 1, 2) + shifts[:, None]
        expected = views.xy_px - camera.project(points)
        np.testing.assert_allclose(residuals_px(network, c), expected, atol=1e-9)
    assert np.isnan(residuals_px(network, 0)).any()


def test_a_camera_that_saw_no_board_has_no_homography():
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], float)
    assert homographies(corners, np.zeros((0, 4, 2)), np.zeros((0, 4))).shape == (0, 3, 3)
