"""The lens of one camera: its model by held-out error, its views by what they add."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from calibration.lens import calibrate_lens, pick_views
from calibration.views import Views
from lab.camera import Camera
from lab.pose import Pose
from tests.calibration.synthetic import BOARD, SIZE

NOISE = 0.3


def views_of(lens, count, rng):
    """A board before one camera, tilted and near and far, the corners in the image kept."""
    camera = Camera("cam0", SIZE, "brown5", np.array(lens), Pose.identity())
    corners, found = BOARD.corners_m(), []
    while len(found) < count:
        turn = Rotation.from_rotvec([*rng.uniform(-0.7, 0.7, 2), rng.uniform(-3, 3)]).as_matrix()
        depth = rng.uniform(0.7, 2.5)
        middle = depth * np.array([*rng.uniform([-0.6, -0.35], [0.6, 0.35]), 1.0])
        xy = camera.project(Pose(turn, middle - turn @ corners.mean(0)).transform(corners))
        inside = ((xy > 0) & (xy < np.array(SIZE))).all(-1)
        if inside.sum() >= 12:
            found.append(np.where(inside[:, None], xy + rng.normal(0, NOISE, xy.shape), np.nan))
    xy = np.array(found)
    return Views(np.arange(count), xy, np.isfinite(xy[..., 0]).astype(float))


@pytest.mark.parametrize(
    ("lens", "model"),
    [
        ([1400, 1400, 960, 540, -0.1, 0, 0, 0, 0], "f cx cy k1"),
        ([1400, 1400, 950, 545, -0.3, 0.15, 0, 0, 0], "f cx cy k1 k2"),
        ([1400, 1450, 960, 540, -0.25, 0.1, 4e-3, -4e-3, 0], "fx fy cx cy k1 k2 p1 p2"),
    ],
)
def test_the_model_is_the_smallest_that_predicts_unseen_views(lens, model):
    found = calibrate_lens(
        "cam0", SIZE, views_of(lens, 50, np.random.default_rng(2)), BOARD.corners_m()
    )
    assert found.model == model
    # In-sample error alone would always choose the largest model; held-out error does not gain.
    best = min(found.held_out_px.values())
    assert found.held_out_px[model] <= best / 0.98
    assert found.held_out_px[model] == pytest.approx(NOISE, rel=0.15)
    smaller = list(found.held_out_px.values())[: list(found.held_out_px).index(model)]
    assert all(0.98 * worse > best for worse in smaller)
    sigmas = np.sqrt(np.diag(found.cov))
    free = sigmas > 0
    error = (found.camera.intrinsics - np.array(lens))[free] / sigmas[free]
    assert np.abs(error).max() < 4


def recording():
    """Ninety-six dull views of the image's middle, square on and at one depth, and four others."""
    rng = np.random.default_rng(0)
    count, corners = 100, 6
    xy = np.full((count, corners, 2), 0.5) * SIZE + rng.uniform(-40, 40, (count, corners, 2))
    tilt, depth = rng.uniform(-0.02, 0.02, (count, 2)), rng.uniform(1.99, 2.01, count)
    xy[17] = np.array([60, 60]) + rng.uniform(0, 30, (corners, 2))
    xy[40] = np.array([1850, 1000]) + rng.uniform(0, 30, (corners, 2))
    tilt[63], depth[88] = (0.6, 0.0), 0.7
    return xy, tilt, depth


def test_views_that_add_coverage_tilt_and_depth_are_picked_first():
    xy, tilt, depth = recording()
    seen = np.ones(xy.shape[:2], bool)
    picked = np.flatnonzero(pick_views(xy, seen, SIZE, tilt, depth, 10))
    assert {17, 40, 63} <= set(picked)
    assert len(picked) == 10
    # Every tenth view, as before, would have had one of the four.
    assert len({17, 40, 63, 88} & set(range(0, 100, 10))) == 1
    again = np.flatnonzero(pick_views(xy, seen, SIZE, tilt, depth, 10))
    assert (picked == again).all()


def test_all_depths_are_picked():
    xy, tilt, depth = recording()
    depth = np.linspace(1, 4, 100)
    seen = np.ones(xy.shape[:2], bool)
    picked = pick_views(xy, seen, SIZE, tilt, depth, 12)
    quarters = np.bincount((np.flatnonzero(picked) // 25), minlength=4)
    assert quarters.min() >= 2
    assert pick_views(xy, seen, SIZE, tilt, depth, 500).all()
