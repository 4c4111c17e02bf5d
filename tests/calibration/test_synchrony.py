"""Views that disagree: by chance, by what a lens lacks, or as their cameras are out of step."""

from dataclasses import replace

import numpy as np
import pytest

from calibration.bundle import adjust
from calibration.lens import basis
from calibration.normals import normal_equations, view_normals
from calibration.solve import solve
from calibration.synchrony import chi_squared, estimate_jitter
from lab.pose import Pose
from tests.calibration.synthetic import BOARD, LENS, board_poses, looking_at, ring, scene

NOISE = 0.05
FREE = basis("fx fy cx cy k1 k2 p1 p2")


def room(lens):
    """Four cameras 3 m away, their lenses decentred as real ones are."""
    angles = np.radians([0, 50, 100, 150])
    places = 3 * np.stack([np.cos(angles), np.sin(angles), 0.5 + 0 * angles], axis=1)
    return tuple(
        looking_at(f"cam{i}", p, np.array([0, 0, 1.0]), lens) for i, p in enumerate(places)
    )


def marginal(network, jitter):
    """Minus twice the logarithm of the restricted likelihood, by brute force."""
    network = adjust(replace(network, jitter=jitter))
    normals = normal_equations(network)
    size = len(normals.cameras)
    every = np.zeros((size + 6 * len(normals.boards),) * 2)
    every[:size, :size] = normals.cameras
    every[:size, size:] = normals.ties.reshape(size, -1)
    every[size:, :size] = every[:size, size:].T
    for b, board in enumerate(normals.boards):
        at = slice(size + 6 * b, size + 6 * b + 6)
        every[at, at] = board
    scale = 1 / np.sqrt(np.diag(every))
    total = normals.cost + np.linalg.slogdet(every * scale[:, None] * scale)[1]
    total -= 2 * np.log(scale).sum()
    variance = np.diag(np.repeat(np.square(jitter), 3))
    plain = replace(network, jitter=(0.0, 0.0))
    for c in range(len(network.cameras)):
        view = view_normals(plain, c)
        turned = np.swapaxes(view.centring, 1, 2) @ view.products[:, :6, :6] @ view.centring
        total += np.linalg.slogdet(np.eye(6) + turned @ variance)[1].sum()
    return total


@pytest.mark.parametrize("shift_m", [1e-4, 2e-3])
def test_jitter_is_that_of_the_largest_likelihood_with_lenses_free(shift_m):
    """A lens that is not known well moves boards about in its view; that is no jitter."""
    rng = np.random.default_rng(4)
    shown = scene(room(LENS), board_poses(30, rng))
    views = []
    for camera, own in zip(shown.cameras, shown.sightings.views, strict=True):
        xy = []
        for b in own.pose:
            delta = np.concatenate([rng.normal(0, 3 * shift_m, 3), rng.normal(0, shift_m, 3)])
            centre = shown.poses[b].transform(shown.corners_m.mean(0))
            moved = Pose.identity().perturbed(delta)
            corners = shown.poses[b].transform(shown.corners_m) - centre
            xy.append(camera.project(moved.transform(corners) + centre))
        xy = np.array(xy) + rng.normal(0, NOISE, np.shape(xy))
        views.append(replace(own, xy_px=xy))
    sightings = replace(shown.sightings, views=tuple(views))
    network = estimate_jitter(shown.network(sightings, NOISE, FREE))
    assert network.jitter[1] == pytest.approx(shift_m, rel=0.25)
    best = marginal(network, network.jitter)
    for turn, shift in ((2.0, 1.0), (0.5, 1.0), (1.0, 2.0), (1.0, 0.5)):
        other = network.jitter[0] * turn, network.jitter[1] * shift
        assert marginal(network, other) > best


def test_cameras_ask_together_for_the_lens_that_their_own_views_do_not_show():
    lens = LENS + np.array([0, 0, 0, 0, 0, 0.02, 2e-3, -1.5e-3, 0])
    rng = np.random.default_rng(5)
    shown = scene(room(lens), board_poses(40, rng))
    sightings = shown.noisy(0.02, rng)
    solution = solve(sightings, shown.sizes, BOARD)
    small = dict.fromkeys(sightings.names, "f cx cy k1 k2")
    without = solve(sightings, shown.sizes, BOARD, small, shutter="common")
    assert without.asynchrony > 2 > solution.asynchrony
    assert {own.model for own in solution.lenses} == {"fx fy cx cy k1 k2 p1 p2"}
    assert solution.timed is None
    total, freedom = chi_squared(solution.network)
    assert total / freedom == pytest.approx(1, abs=0.25)


def test_cameras_in_step_with_small_lenses_keep_them():
    rng = np.random.default_rng(6)
    shown = scene(ring(3, 1.6), board_poses(30, rng))
    solution = solve(shown.noisy(0.2, rng), shown.sizes, BOARD)
    assert {own.model for own in solution.lenses} == {"f cx cy k1"}
    assert solution.network.jitter == (0.0, 0.0)
