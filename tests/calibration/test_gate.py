"""The gate: what is wrong with a calibration is said, and what is right is let through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.board import Board
from calibration.board_shape import board_shape, deformations
from calibration.bundle import adjust
from calibration.covariances import covariance
from calibration.floor import still_view
from calibration.floor_misfit import floor_misfit
from calibration.gate import (
    board_reasons,
    notes_of,
    scale_reasons,
    shape_reasons,
    start_reasons,
    step_reasons,
)
from calibration.known_length import KnownLength, scale_of
from calibration.lens import basis
from calibration.lens_gate import lens_words
from calibration.rig_calibration import calibrate
from calibration.solve import solve
from calibration.starts import Starts, try_starts
from calibration.thresholds import thresholds
from calibration.views import group_views
from lab.errors import LabError
from simulation.board_path import floor_pose
from simulation.board_wave import film_corners, waved
from simulation.room import ring
from tests.calibration.synthetic import board_poses, scene
from tests.calibration.synthetic import ring as plain_ring

BOARD = Board(columns=7, rows=5, square_m=0.1, marker_m=0.075, dictionary="DICT_4X4_100")
VOLUME = ((-0.8, 0.8), (-0.7, 0.7), (0.5, 1.5))
T = np.arange(0, 32, 0.2)
NOISE = 0.2
LIMITS = thresholds()["refuse"]


def film(cameras, t, poses, seed):
    rng = np.random.default_rng(seed)
    return {
        c.name: film_corners(
            c, t, poses, BOARD.corners_m(), BOARD.corner_names, noise_px=NOISE, rng=rng
        )
        for c in cameras
    }


@pytest.fixture(scope="module")
def good():
    room = ring(
        3, radius_m=3.0, height_m=1.4, target=(0, 0, 0.92), focal_px=880.0, spread_deg=110.0
    )
    poses = waved(T, VOLUME, BOARD.size_m, np.random.default_rng(1))
    sizes = {c.name: c.size_px for c in room.cameras}
    return room, poses, film(room.cameras, T, poses, 2), sizes


@pytest.fixture(scope="module")
def calibrated(good):
    room, _, seen, sizes = good
    lying = film(room.cameras, np.arange(5) / 5, [floor_pose(BOARD.size_m)] * 5, 3)
    diagonal = 1e3 * np.linalg.norm(BOARD.corners_m()[0] - BOARD.corners_m()[-1])
    length = KnownLength.from_words(f"c000 c023 {diagonal:.2f}", BOARD)
    return calibrate(seen, sizes, BOARD, floor=lying, lengths=[length])


def test_a_good_rig_is_accepted_with_its_figures(calibrated):
    quality = calibrated.quality
    assert quality.accepted, quality.reasons
    assert quality.figures["starts_agreeing"] == quality.figures["starts"] == 4
    assert quality.figures["spread_over_starts_mm"] < 0.05
    ratio, sigma = (quality.figures[f"known_length_ratio{s}"] for s in ("", "_sigma"))
    assert abs(ratio - 1) < 4 * sigma < 0.01
    for own in quality.cameras.values():
        assert own["lens_refined"] == 1
        assert own["depth_ratio"] > 1.2
    assert any(r.startswith("lenses: cam01, cam02, cam03 refined") for r in quality.reasons)


def test_a_wrong_square_shows_against_a_known_length_alone(good):
    _, _, seen, sizes = good
    wrong = replace(BOARD, square_m=0.101)
    true = np.linalg.norm(BOARD.corners_m()[0] - BOARD.corners_m()[-1])
    length = KnownLength("c000", "c023", float(true))
    rig = calibrate(seen, sizes, wrong, lengths=[length])
    assert rig.quality.figures["known_length_ratio"] == pytest.approx(1.01, abs=0.002)
    said = [r for r in rig.quality.reasons if "was the board's square measured right" in r]
    assert said
    assert not rig.quality.accepted
    without, notes = scale_reasons((), LIMITS)
    assert without == ()
    assert "nothing has checked it" in notes[0]


def test_a_length_never_seen_is_a_reason():
    points = np.full((9, len(BOARD.corner_names), 3), np.nan)
    checks = scale_of(points, BOARD, [KnownLength("c000", "c001", 0.1)])
    refused, _ = scale_reasons(checks, LIMITS)
    assert "not seen often enough" in refused[0]


@pytest.mark.parametrize(
    "text", ["c000 c023", "c000 c999 12", "a b c", "c000 c000 100", "c0 c1 -5"]
)
def test_a_known_length_in_bad_words_is_refused(text):
    with pytest.raises(LabError, match="corner"):
        KnownLength.from_words(text, BOARD)


def test_a_camera_knocked_while_filming_is_named(good):
    room, poses, seen, sizes = good
    delta = np.zeros(15)
    delta[:6] = [0.0, 0.003, 0.0, 0.008, 0.0, 0.0]
    moved = room.cameras[1].perturbed(delta)
    later = film([moved], T, poses, 4)[moved.name]
    before = T < 17
    xy = np.where(before[:, None, None], seen[moved.name].xy_px, later.xy_px)
    knocked = {**seen, moved.name: replace(later, xy_px=xy)}
    solution = solve(group_views(knocked, BOARD), sizes, BOARD)
    step = solution.step
    assert step is not None
    assert step.camera == "cam02"
    assert abs(step.t - 17) < 2.5
    assert solution.timed is None
    assert "cam02 moved" in step_reasons(step, LIMITS)[0]
    assert step_reasons(None, LIMITS) == ()


@pytest.mark.parametrize("bow_mm", [(0.0, 0.0), (4.0, -2.5)])
def test_a_bowed_and_stretched_board_is_measured(good, bow_mm):
    room, poses, _, sizes = good
    shapes = deformations(BOARD.corners_m())
    stretch = 0.005 if any(bow_mm) else 0.0
    by = 1e-3 * bow_mm[0] * shapes[0] + 1e-3 * bow_mm[1] * shapes[1] + stretch * shapes[2]
    rng = np.random.default_rng(8)
    seen = {
        c.name: film_corners(
            c, T, poses, BOARD.corners_m(), BOARD.corner_names, noise_px=NOISE, rng=rng,
            bend=lambda corners: corners + by,
        )
        for c in room.cameras
    }  # fmt: skip
    solution = solve(group_views(seen, BOARD), sizes, BOARD)
    shape = board_shape(solution.network, solution.lenses)
    assert shape is not None
    for found, sigma, true in zip(shape.bow_mm, shape.bow_sigma_mm, bow_mm, strict=True):
        assert sigma < 0.3
        assert abs(found - true) < 4 * sigma + 0.08 * abs(true)
    assert abs(shape.stretch - stretch) < 4 * shape.stretch_sigma + 0.08 * stretch
    refused, _ = shape_reasons(shape, LIMITS)
    assert bool(refused) == any(bow_mm)
    assert not refused or "bowed by" in refused[0]


def test_the_spread_over_starts_is_a_reason_beyond_its_limit(good):
    _, _, seen, sizes = good
    solution = solve(group_views(seen, BOARD), sizes, BOARD)
    assert solution.step is None
    # A solution that is none: every start ends elsewhere, at a better fit.
    camera = solution.network.cameras[1]
    away = camera.perturbed(np.concatenate([[0, 0, 0, 0.02, 0, 0], np.zeros(9)]))
    cameras = (solution.network.cameras[0], away, *solution.network.cameras[2:])
    wrong = replace(solution, network=replace(solution.network, cameras=cameras))
    starts = try_starts(wrong, 1.0)
    assert starts.agreeing == 0
    assert starts.better
    assert starts.spread_mm > 10
    assert "further starts end up to" in start_reasons(starts, LIMITS)[0]
    assert "only 1 of 4" in start_reasons(Starts(4, 1, 0.0, False), LIMITS)[0]
    assert start_reasons(Starts(2, 0, float("nan"), False, timed=True), LIMITS) == ()


def test_a_lens_with_little_depth_is_held_with_its_covariance(good):
    room, _, seen, sizes = good
    # One camera sees the board far away, in the middle of its image only.
    name = room.cameras[2].name
    xy = seen[name].xy_px.copy()
    middle = np.array(room.cameras[2].size_px) / 2
    with np.errstate(invalid="ignore"):
        outside = (np.abs(xy - middle) > [110, 80]).any(-1)
    xy[outside] = np.nan
    narrow = {**seen, name: replace(seen[name], xy_px=xy)}
    solution = solve(group_views(narrow, BOARD), sizes, BOARD)
    uses = [use.use for use in solution.uses]
    assert uses[:2] == ["refined", "refined"]
    assert uses[2] in ("held", "smallest")
    kept = solution.lenses[2].camera.intrinsics
    assert (uses[2] == "held") == np.array_equal(solution.network.cameras[2].intrinsics, kept)
    assert f"{name} " in lens_words(dict(zip(room.names, solution.uses, strict=True)))
    # The diagonal of the rig's covariance holds the lens's own, not zero.
    assert np.diag(solution.covariance())[30 + 6] > 0


def test_a_held_lens_carries_its_error_into_everything_else():
    """The covariance's change with C is what a held lens in error does to the adjusted cameras."""
    rng = np.random.default_rng(3)
    shown = scene(plain_ring(3, 2.0), board_poses(20, rng))
    free = basis("f cx cy k1")
    network = shown.network(shown.sightings, 0.2, free)
    held = replace(network, bases=(free, free, np.zeros((9, 0))))
    step = np.array([0.5, -0.3, 0.2, 0.0005])
    ends = []
    for sign in (1, -1):
        cameras = list(held.cameras)
        cameras[2] = replace(cameras[2], intrinsics=cameras[2].intrinsics + sign * free @ step)
        ends.append(adjust(replace(held, cameras=tuple(cameras))).cameras)
    moved = []
    for plus, minus in zip(*ends, strict=True):
        change = plus.cam_from_lab @ minus.cam_from_lab.inverse()
        moved.append([*change.rotvec(), *change.translation, *(plus.intrinsics - minus.intrinsics)])
    by_step = np.concatenate(moved) / 2
    known = covariance(held, {2: (free, np.outer(step, step))}) - covariance(held)
    scale = np.sqrt(np.diag(known)) + 1e-9
    np.testing.assert_allclose(
        known / np.outer(scale, scale), np.outer(by_step / scale, by_step / scale), atol=2e-3
    )


@pytest.mark.parametrize(
    ("offset_s", "said"), [(0.001, "which agree"), (0.012, "do not share a shutter")]
)
def test_cameras_lack_a_common_shutter_only_where_a_time_is_surely_off(offset_s, said):
    figures = {"asynchrony": 5.0, "jitter_mm": 0.0}
    own = {"coverage": 0.9, "time_offset_sigma_s": 0.001}
    cameras = {
        "cam01": own | {"time_offset_s": 0.0},
        "cam02": own | {"time_offset_s": offset_s},
    }
    (note,) = notes_of(figures, cameras, {"asynchrony": 2.0, "coverage": 0.4})
    assert said in note


def test_a_hard_knock_is_found_where_the_plain_solution_is_bent_far_off(good):
    room, poses, seen, sizes = good
    delta = np.zeros(15)
    delta[:6] = [0.008, -0.009, 0.004, 0.02, -0.02, 0.01]
    moved = room.cameras[1].perturbed(delta)
    later = film([moved], T, poses, 4)[moved.name]
    xy = np.where((T < 22)[:, None, None], seen[moved.name].xy_px, later.xy_px)
    knocked = {**seen, moved.name: replace(later, xy_px=xy)}
    solution = solve(group_views(knocked, BOARD), sizes, BOARD)
    assert solution.step is not None
    assert solution.step.camera == "cam02"
    assert abs(solution.step.t - 22) < 1.5
    assert solution.timed is None


def test_two_cameras_exchanged_on_the_floor_are_named(good):
    room, _, seen, sizes = good
    lying = film(room.cameras, np.arange(5) / 5, [floor_pose(BOARD.size_m)] * 5, 3)
    moving = solve(group_views(seen, BOARD), sizes, BOARD, shutter="common")

    def misfit(floor):
        views = tuple(still_view(floor[n], BOARD) for n in room.names)
        return floor_misfit(moving, views)

    assert misfit(lying) == ""
    a, b = lying["cam01"], lying["cam03"]
    swapped = lying | {"cam01": replace(b, camera="cam01"), "cam03": replace(a, camera="cam03")}
    assert misfit(swapped).startswith("cam01 and cam03 are exchanged in the floor recording")
    # A camera that moved since is something else.
    moved = {
        **lying,
        "cam02": replace(lying["cam02"], xy_px=lying["cam02"].xy_px + np.array([40.0, -25.0])),
    }
    assert "does not fit the rig" in misfit(moved)
    rig = calibrate(seen, sizes, BOARD, floor=swapped)
    assert not rig.quality.accepted
    assert "are exchanged in the floor recording" in rig.quality.reasons[0]


def test_a_board_of_which_a_part_is_never_seen_is_another_one():
    """The film of a 5 x 4 board, solved with the file of a 5 x 7: half of its corners exist."""
    limits = thresholds()["refuse"]
    half = np.tile(np.arange(24) < 12, (30, 1))
    half[::2, :6] = False  # no view has to see it all
    (reason,) = board_reasons(half, limits)
    assert "12 of the board's 24 corners were seen in none of 30 views" in reason
    assert board_reasons(half[:19], limits) == ()
    assert board_reasons(np.tile(np.arange(24) < 20, (300, 1)), limits) == ()
