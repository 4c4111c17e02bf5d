"""A board that is bent is measured and solved for: the rig comes out as with a flat one."""

from dataclasses import replace

import numpy as np
import pytest

from calibration.bent_board import solve_with_shape
from calibration.board_shape import deformations
from calibration.bundle import adjust
from calibration.gate import shape_reasons
from calibration.normals import view_normals
from calibration.solve import solve
from calibration.thresholds import thresholds
from calibration.views import group_views
from simulation.board_wave import film_corners
from tests.calibration.synthetic import largest_difference
from tests.calibration.test_gate import BOARD, NOISE, T, good

_ = good  # the fixture of three cameras and a board waved before them
PLAN = BOARD.corners_m()


def solved(good, bow_mm, with_shape=True):
    room, poses, _, sizes = good
    shapes = deformations(PLAN)
    rng = np.random.default_rng(8)
    seen = {
        c.name: film_corners(
            c, T, poses, PLAN, BOARD.corner_names, noise_px=NOISE, rng=rng,
            bend=lambda corners: corners + 1e-3 * np.tensordot(bow_mm, shapes[:2], axes=1),
        )
        for c in room.cameras
    }  # fmt: skip
    sightings = group_views(seen, BOARD)
    if not with_shape:
        return solve(sightings, sizes, BOARD), None
    return solve_with_shape(lambda corners: solve(sightings, sizes, BOARD, corners_m=corners), PLAN)


def rms(solution):
    network = solution.network
    every = [
        view_normals(network, c).residuals_px[v.weight > 0] for c, v in enumerate(network.views)
    ]
    return np.sqrt(np.mean(np.concatenate(every) ** 2))


def test_a_bent_board_is_solved_for(good):
    cameras = good[0].cameras
    flat, none = solved(good, (0.0, 0.0))
    assert none is None
    bent, shape = solved(good, (1.8, -1.2))
    assert shape is not None
    for found, sigma, true in zip(shape.bow_mm, shape.bow_sigma_mm, (1.8, -1.2), strict=True):
        assert abs(found - true) < 4 * sigma < 0.5
    assert shape.stretch == 0.0
    assert rms(bent) == pytest.approx(rms(flat), rel=0.01)
    # The same noise: what the bend did to the cameras is gone.
    unknowing, _ = solved(good, (1.8, -1.2), with_shape=False)
    assert rms(unknowing) > 1.15 * rms(flat)
    turn, shift = largest_difference(bent.network.cameras, flat.network.cameras)
    turn_without, shift_without = largest_difference(
        unknowing.network.cameras, flat.network.cameras
    )
    assert turn < 0.1 * turn_without
    assert shift < 0.1 * shift_without
    refused, (note,) = shape_reasons(shape, thresholds()["refuse"], solved_for=True)
    assert refused == ()
    assert "solved for" in note
    assert len(cameras) == 3


def test_the_doubt_of_the_shape_is_in_the_covariance(good):
    bent, shape = solved(good, (1.8, -1.2))
    assert shape is not None
    assert len(bent.doubts_m) == 2
    # Together the doubts are the covariance of the bows.
    middle = bent.doubts_m[..., 2].reshape(2, -1)
    at = np.argmax(np.abs(deformations(PLAN)[0, :, 2]))
    by_bow = deformations(PLAN)[:2, at, 2]
    assert middle[:, at] @ middle[:, at] == pytest.approx(by_bow @ shape.cov[:2, :2] @ by_bow)
    known = replace(bent, doubts_m=np.zeros((0, 0, 3))).covariance()
    added = bent.covariance() - known
    assert np.linalg.eigvalsh(added)[0] > -1e-9 * np.abs(added).max()
    # What a doubt does to the rig is what solving on that board does.
    for doubt, move in zip(bent.doubts_m, bent._by_shape(), strict=True):
        moved = adjust(replace(bent.network, corners_m=bent.network.corners_m + doubt))
        for c, (a, b) in enumerate(zip(moved.cameras, bent.network.cameras, strict=True)):
            # A turn w and a shift d of the pose move its translation t by w x t + d.
            turn, shift = move[15 * c : 15 * c + 3], move[15 * c + 3 : 15 * c + 6]
            wanted = np.cross(turn, b.cam_from_lab.translation) + shift
            found = a.cam_from_lab.translation - b.cam_from_lab.translation
            assert np.abs(found - wanted).max() < 0.02 * max(np.abs(wanted).max(), 1e-5)
            assert a.intrinsics[0] - b.intrinsics[0] == pytest.approx(move[15 * c + 6], rel=0.05)
