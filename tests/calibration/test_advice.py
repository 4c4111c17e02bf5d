"""What to film next follows from what was not seen."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.advice import Advice, advise, film_next
from calibration.covariances import covariance
from calibration.evidence import board_views
from calibration.lens import basis
from calibration.solution import Solution
from lab.board_views import CameraViews
from lab.rig import Rig, RigQuality
from tests.calibration.synthetic import board_poses, ring, scene

WIDTH, HEIGHT = 1920, 1080


def _views(camera: str, columns=(0, 9), rows=(0, 9), tilt_deg=30.0, depth_m=(1.0, 3.0), poses=60):
    """Corners in the middle of cells of a 9 x 9 grid, one view a corner, tilted and at depths."""
    x, y = np.meshgrid(np.arange(*columns), np.arange(*rows))
    cells = (np.column_stack([x.ravel(), y.ravel()]) + 0.5) / 9
    xy = np.tile(cells * [WIDTH, HEIGHT], (1 + poses // len(cells), 1))[: max(poses, len(cells))]
    count = len(xy)
    return CameraViews(
        camera, xy, np.zeros_like(xy), np.arange(count, dtype=float),
        np.arange(count, dtype=float), np.linspace(*depth_m, count),
        np.full(count, np.radians(tilt_deg)),
    )  # fmt: skip


def _rig(count: int) -> Rig:
    cameras = ring(count)
    size = 15 * count
    return Rig(cameras, np.full((size, size), np.nan), RigQuality(True, (), {}, {}), "", "")


def _said(*views: CameraViews) -> dict[str, str]:
    return {item.camera: item.text for item in advise(_rig(len(views)), views)}


def test_who_has_seen_enough_is_told_nothing():
    assert _said(_views("cam0"), _views("cam1")) == {}


@pytest.mark.parametrize(
    ("columns", "rows", "place", "absent"),
    [
        ((3, 9), (0, 9), "left third", "right"),
        ((0, 6), (0, 9), "right third", "left"),
        ((0, 9), (3, 9), "upper third", "lower"),
        ((0, 9), (0, 6), "lower third", "upper"),
    ],
)
def test_the_side_that_was_not_seen_is_named(columns, rows, place, absent):
    said = _said(_views("cam0", columns, rows), _views("cam1"))
    assert set(said) == {"cam0"}
    assert f"the {place} of what cam0 sees" in said["cam0"]
    assert absent not in said["cam0"]
    assert "closer" not in said["cam0"]
    assert "tilted" not in said["cam0"]


def test_a_corner_of_the_image_is_named_alone():
    whole = _views("cam0", poses=81)
    low_left = (whole.xy_px[:, 0] < WIDTH / 3) & (whole.xy_px[:, 1] > HEIGHT * 2 / 3)
    own = CameraViews(
        "cam0", whole.xy_px[~low_left], whole.residual_px[~low_left],
        np.arange((~low_left).sum(), dtype=float), whole.pose[~low_left], whole.depth_m[~low_left],
        whole.tilt_rad[~low_left],
    )  # fmt: skip
    said = _said(own, _views("cam1", poses=81))
    assert said == {"cam0": "Bring the board to the lower left of what cam0 sees"}


def test_a_board_held_flat_or_far_away_is_said():
    said = _said(_views("cam0", tilt_deg=5.0), _views("cam1", depth_m=(3.0, 3.3)))
    assert said["cam0"].startswith("Show cam0 the board tilted by 30 to 45 degrees")
    assert said["cam1"] == "Show cam1 the board closer"


def test_a_camera_that_shares_nothing_is_told_with_whom():
    alone = _views("cam2")
    moved = CameraViews(
        "cam2", alone.xy_px, alone.residual_px, alone.view, alone.pose + 1000, alone.depth_m,
        alone.tilt_rad,
    )  # fmt: skip
    said = _said(_views("cam0"), _views("cam1"), moved)
    assert set(said) == {"cam2"}
    assert "see it at once" in said["cam2"]


def test_the_neediest_camera_comes_first():
    poor = _views("cam1", (0, 3), (0, 3), tilt_deg=3.0, depth_m=(3.0, 3.1))
    found = advise(_rig(2), (_views("cam0", (3, 9)), poor))
    assert [item.camera for item in found] == ["cam1", "cam0"]


def test_cameras_that_need_the_same_are_told_together():
    same = [_views(f"cam{i}", (3, 9)) for i in range(2)]
    flat = _views("cam2", tilt_deg=3.0)
    steep = [Advice(f"cam{i}", f"Show cam{i} the board tilted", 1.0) for i in (3, 4)]
    advice = advise(_rig(3), (*same, flat))
    said = film_next((*advice, *steep))
    assert sum("cam0 and cam1: bring the board to the left third" in text for text in said) == 1
    assert "In the images of cam3 and cam4: show the board tilted" in said
    alone = next(item.text for item in advice if item.camera == "cam2")
    assert alone in said
    assert len(said) == 3


def test_the_evidence_is_the_networks_own():
    rng = np.random.default_rng(1)
    known = scene(ring(3), board_poses(20, rng))
    network = known.network(known.noisy(0.3, rng), 0.3, basis("f cx cy k1"))
    solution = Solution(network, known.sightings, (), (), np.zeros(3), 1.0)
    assert covariance(network).shape == (45, 45)
    corners = known.corners_m
    for camera, seen, views in zip(
        known.cameras, board_views(solution), network.views, strict=True
    ):
        assert len(seen.view) == views.xy_px[..., 0].size
        assert np.sqrt(np.mean(seen.residual_px**2)) == pytest.approx(0.3, rel=0.1)
        for v, pose in enumerate(views.pose):
            board = known.poses[pose]
            predicted = camera.project(board.transform(corners))
            own = seen.view == v
            np.testing.assert_allclose(
                seen.xy_px[own] - seen.residual_px[own], predicted, atol=1e-6
            )
            middle = board.transform(corners.mean(0))
            assert seen.depth_m[v] == pytest.approx(camera.cam_from_lab.transform(middle)[2])
            sight = (middle - camera.centre) / np.linalg.norm(middle - camera.centre)
            assert np.cos(seen.tilt_rad[v]) == pytest.approx(abs(sight @ board.rotation[:, 2]))
