"""The floor, gravity and the incline between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from calibration.floor import place_floor
from calibration.plumb import PlumbLine, find_up, read_plumb
from lab.errors import FileError, LabError
from lab.points import Keypoints2D
from lab.pose import Pose
from lab.rig import Rig, RigQuality
from tests.calibration.synthetic import BOARD, ring

INCLINE, ACROSS = np.radians(5.0), np.radians(-1.0)
CLICK_PX = 0.7
CORNER_PX = 0.2


def board_on_the_belt() -> Pose:
    """lab_from_board: x along the belt uphill, the print up, near the origin."""
    x = np.array([np.cos(INCLINE), 0, np.sin(INCLINE)])
    side = np.array([0, np.cos(ACROSS), np.sin(ACROSS)])
    normal = np.cross(x, side) / np.linalg.norm(np.cross(x, side))
    return Pose(np.stack([x, np.cross(-normal, x), -normal], axis=1), [-0.3, 0.2, 0.0])


def scene(count=3, turn=None):
    """A rig, its cameras turned as a whole into a frame of no meaning, and what they saw."""
    cameras = ring(count, arc_rad=np.radians(200))
    size = 15 * count
    rig = Rig(cameras, np.full((size, size), np.nan), RigQuality(True, (), {}, {}), "", "")
    board = board_on_the_belt()
    corners = {c.name: c.project(board.transform(BOARD.corners_m())) for c in cameras}
    line = np.array([[0.2, 0.1, 2.0], [0.2, 0.1, 0.6]])
    ends = {c.name: c.project(line) for c in cameras}
    some = turn or Pose.from_rotvec([0.5, -1.1, 0.7], [1, 2, 3])
    moved = tuple(replace(c, cam_from_lab=c.cam_from_lab @ some) for c in cameras)
    return replace(rig, cameras=moved), corners, ends


def keypoints(corners):
    shape = (1, len(BOARD.corner_names))
    return {
        name: Keypoints2D(
            name, BOARD.corner_names, np.zeros(1), xy[None], np.full((*shape, 2, 2), np.nan),
            np.full(shape, np.nan),
        )
        for name, xy in corners.items()
    }  # fmt: skip


def place(rig, corners, ends, click_px=CLICK_PX, **how):
    plumb = PlumbLine(ends, click_px)
    return place_floor(rig, keypoints(corners), BOARD, gravity_sigma_rad=0.0, plumb=plumb, **how)


def test_a_plumb_line_tells_up_and_the_belt_its_incline():
    rig, corners, ends = scene()
    placed = place(rig, corners, ends)
    # The true lab frame, its origin at the board's corner, and x along the board laid level.
    origin = board_on_the_belt().translation
    for camera, true in zip(placed.cameras, ring(3, arc_rad=np.radians(200)), strict=True):
        assert_allclose(camera.centre, true.centre - origin, atol=1e-6)
        assert_allclose(camera.cam_from_lab.rotation, true.cam_from_lab.rotation, atol=1e-6)
    figures = placed.quality.figures
    assert figures["belt_incline_rad"] == pytest.approx(INCLINE, abs=1e-6)
    assert figures["belt_cross_slope_rad"] == pytest.approx(ACROSS, abs=1e-6)
    assert 1e-4 < figures["gravity_sigma_rad"] < 5e-3
    assert any("rises by +5.00 +- " in r for r in placed.quality.reasons)
    assert any("up is from a plumb line" in r for r in placed.quality.reasons)


def test_an_inclinometer_gives_the_same_incline_in_every_heading():
    rig, corners, _ = scene()
    slopes = (INCLINE, -np.arcsin(np.sin(ACROSS) * np.cos(INCLINE)))
    for heading, (along, across) in {
        "+x": (INCLINE, ACROSS), "-x": (-INCLINE, -ACROSS),
    }.items():  # fmt: skip
        placed = place_floor(
            rig, keypoints(corners), BOARD, level=slopes, gravity_sigma_rad=1e-3, heading=heading
        )
        assert placed.quality.figures["belt_incline_rad"] == pytest.approx(along, abs=2e-4)
        assert placed.quality.figures["belt_cross_slope_rad"] == pytest.approx(across, abs=2e-4)
    level = place_floor(rig, keypoints(corners), BOARD, gravity_sigma_rad=1e-3)
    assert "belt_incline_rad" not in level.quality.figures


def test_the_frame_the_rig_came_in_does_not_matter():
    some = Pose(Rotation.from_rotvec([2.0, 0.3, -1]).as_matrix(), [5, -3, 0.4])
    one, other = place(*scene()), place(*scene(turn=some))
    for a, b in zip(one.cameras, other.cameras, strict=True):
        assert_allclose(a.cam_from_lab.rotation, b.cam_from_lab.rotation, atol=1e-6)
        assert_allclose(a.centre, b.centre, atol=1e-6)


@pytest.mark.parametrize("click_px", [CLICK_PX, 0.03], ids=["points", "rig"])
def test_the_covariance_is_the_scatter_of_repeated_runs(click_px):
    rng = np.random.default_rng(5)
    rig, corners, ends = scene()
    size = len(rig.cov)
    each = np.tile([3e-4] * 3 + [5e-4] * 3 + [1.0] * 4 + [1e-4] * 5, 3)
    mix = np.eye(size) + 0.3 * rng.normal(size=(size, size)) / np.sqrt(size)
    root = np.diag(each) @ mix
    rig = replace(rig, cov=root @ root.T)
    truth = place(rig, corners, ends)
    squared, tilts, sigmas = [], [], []
    for _ in range(16):
        delta = root @ rng.normal(size=size)
        noisy = place(
            rig.perturbed(delta),
            {n: xy + rng.normal(0, CORNER_PX, xy.shape) for n, xy in corners.items()},
            {n: xy + rng.normal(0, click_px, xy.shape) for n, xy in ends.items()},
            click_px,
        )
        error = []
        for a, b in zip(noisy.cameras, truth.cameras, strict=True):
            turn = a.cam_from_lab.rotation @ b.cam_from_lab.rotation.T
            w = Rotation.from_matrix(turn).as_rotvec()
            error += [*w, *(a.cam_from_lab.translation - turn @ b.cam_from_lab.translation)]
            error += [*(a.intrinsics - b.intrinsics)]
        error = np.array(error)
        squared.append(error @ np.linalg.solve(noisy.cov, error))
        tilts.append(noisy.quality.figures["belt_incline_rad"] - INCLINE)
        sigmas.append(noisy.quality.figures["belt_incline_sigma_rad"])
    # chi-squared of 45: mean 45 with a standard error of 2.4 over 16 runs.
    assert abs(np.mean(squared) - size) < 4 * np.sqrt(2 * size / 16)
    # The incline's own scatter, 18 % standard error. Cautious where the rig is the larger error:
    # the floor corners' noise is taken from a fit that the rig's error widens.
    least = 0.5 if click_px == CLICK_PX else 0.25
    assert least < np.sqrt(np.mean(np.square(np.array(tilts) / sigmas))) < 1.6


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda e: {"cam0": e["cam0"]}, "two are needed"),
        (lambda e: {n: xy[::-1] for n, xy in e.items()}, "print down|exchanged"),
        (lambda e: {**e, "cam1": e["cam1"][::-1]}, "exchanged"),
        (lambda e: {**e, "cam9": e["cam1"]}, "no camera cam9"),
        (
            lambda e: {**e, "cam1": e["cam1"] + [[25, 0], [0, 0]]},
            "times what their errors explain|exchanged",
        ),
    ],
)
def test_a_line_that_cannot_be_is_refused(spoil, message):
    rig, corners, ends = scene()
    with pytest.raises(LabError, match=message):
        place(rig, corners, spoil(ends))


def test_cameras_on_one_side_do_not_tell_up():
    cameras = ring(40, arc_rad=np.radians(80))[:2]
    rig = Rig(cameras, np.full((30, 30), np.nan), RigQuality(True, (), {}, {}), "", "")
    line = np.array([[0.2, 0.1, 1.4], [0.2, 0.1, 1.1]])
    ends = {c.name: c.project(line) for c in cameras}
    with pytest.raises(LabError, match="nearly the same side"):
        find_up(rig, PlumbLine(ends, 2.0))


GOOD = "sigma_px = 0.8\n[cameras.cam0]\ntop = [10, 20.5]\nbottom = [12, 700]\n"


def test_the_points_are_read(tmp_path):
    path = tmp_path / "plumb.toml"
    path.write_text(GOOD)
    plumb = read_plumb(path)
    assert plumb.sigma_px == 0.8
    assert_allclose(plumb.points_px["cam0"], [[10, 20.5], [12, 700]])
    for bad in (
        GOOD.replace("0.8", "0"), GOOD.replace("20.5", '"a"'), GOOD.replace("700", "30"),
        GOOD.replace("top", "tip"), "sigma_px = 1", "[", GOOD.replace("10, ", ""),
    ):  # fmt: skip
        path.write_text(bad)
        with pytest.raises(FileError):
            read_plumb(path)
    with pytest.raises(FileError, match="cannot be read"):
        read_plumb(tmp_path / "none.toml")


def test_a_board_that_was_not_filmed_cannot_be_placed_and_says_so():
    """Its corners stand elsewhere on the print than the file says: nothing places it."""
    rig, corners, _ = scene()
    rng = np.random.default_rng(0)
    for xy in corners.values():
        xy[:] = rng.permutation(xy)
    with pytest.raises(LabError, match="cannot be placed"):
        place_floor(rig, keypoints(corners), BOARD, gravity_sigma_rad=0.0)
