"""The dressed walker: segments, plates, wand and images hold what their descriptions say."""

from dataclasses import replace

import numpy as np
import pytest

from lab.plates import WAND, read_plates
from simulation.dress import Dressed, dress
from simulation.person_images import PersonFilm
from simulation.room import ring
from simulation.segments import segment_frames
from simulation.walker import simulate, standing
from simulation.wand import LANDMARKS, point_at_landmarks, true_landmarks

PLATES = read_plates("gait-ring")
CAMERA = ring(
    1, radius_m=2.5, height_m=1.2, target=(0, 0, 0.95), size_px=(240, 240), focal_px=300.0
).cameras[0]


@pytest.fixture(scope="module")
def runner():
    return simulate("run", speed_m_s=3.0, treadmill=True, duration_s=1.0, seed=1)


def test_segments_are_rotations_and_their_joints_hang_together(runner):
    t = np.linspace(0, 1, 21)
    frames, xyz = segment_frames(runner, t), runner.points(t)
    for axes, _ in frames.values():
        assert np.allclose(axes @ axes.swapaxes(1, 2), np.eye(3), atol=1e-12)
        assert np.allclose(np.linalg.det(axes), 1)
    for side in ("left", "right"):
        thigh, hip = frames[f"{side}_thigh"]
        shank, knee = frames[f"{side}_shank"]
        assert np.allclose(hip - runner.body.thigh * thigh[..., 2], knee, atol=1e-9)
        ankle = xyz[:, runner.names.index(f"{side}_ankle")]
        assert np.allclose(knee - runner.body.shank * shank[..., 2], ankle, atol=1e-9)
        # Both turn about the same hinge.
        assert np.allclose(thigh[..., 1], shank[..., 1], atol=1e-6)


def test_plates_ride_on_their_segments_where_the_file_says(runner):
    worn = dress(runner, PLATES, np.random.default_rng(0), slip_m=0.0, slip_rad=0.0)
    t = np.array([0.2, 0.7])
    frames, poses = segment_frames(runner, t), worn.plate_poses(t)
    scale = runner.body.height / 1.75
    for plate in PLATES.plates:
        if plate.segment == WAND:
            assert plate.name not in poses
            continue
        axes, origin = frames[plate.segment]
        rotation, centre = poses[plate.name]
        assert np.allclose(centre, origin + axes @ (scale * plate.at))
        # A plate's z leads into the body.
        outward = np.array(
            [
                np.cos(plate.tilt) * np.cos(plate.facing),
                np.cos(plate.tilt) * np.sin(plate.facing),
                np.sin(plate.tilt),
            ]
        )
        assert np.allclose(-rotation[..., 2], axes @ outward)
    slipped = dress(runner, PLATES, np.random.default_rng(5)).plate_poses(t)
    again = dress(runner, PLATES, np.random.default_rng(5)).plate_poses(t)
    shifts = [np.linalg.norm(slipped[n][1][0] - poses[n][1][0]) for n in poses]
    assert 0.002 < np.median(shifts) < 0.05
    assert all(np.array_equal(slipped[n][0], again[n][0]) for n in poses)


def test_the_wand_holds_its_tip_on_each_landmark_and_is_away_between():
    person = standing(duration_s=10.0)
    wand = point_at_landmarks(
        person, PLATES, np.random.default_rng(2), begin=0.3, each=0.5, hold=0.3, sigma=0.002
    )
    assert len(wand.begins) == len(LANDMARKS)
    off = []
    for begin, name in zip(wand.begins, LANDMARKS, strict=True):
        t = begin + np.array([0.05, 0.25, 0.4])
        rotation, origin = wand(t)
        assert np.isnan(origin[2]).all()
        tip = origin[:2] + rotation[:2] @ PLATES.wand_tip
        off.append(tip - true_landmarks(person, t)[name][:2])
    off = np.array(off)
    assert np.allclose(off[:, 0], off[:, 1])
    assert 0.001 < off.std() < 0.003


def test_a_long_exposure_is_the_mean_of_short_ones(runner):
    worn = dress(runner, PLATES, np.random.default_rng(0))

    def film(exposure_s):
        rng = np.random.default_rng(1)
        return PersonFilm(worn, CAMERA, exposure_s=exposure_s, noise=0.0, rng=rng)

    t, long = 0.35, 0.016
    blurred = film(long)(t).astype(float)
    parts = t + long * ((np.arange(8) + 0.5) / 8 - 0.5)
    mean = np.mean([image.astype(float) for image in film(long / 8).shoot(parts)], axis=0)
    sharp = film(1e-5)(t).astype(float)
    moved = np.abs(sharp - mean) > 8
    assert moved.sum() > 200
    assert np.sqrt(np.mean((blurred - mean)[moved] ** 2)) < 0.35 * np.sqrt(
        np.mean((sharp - mean)[moved] ** 2)
    )


def test_a_batch_of_images_is_that_of_single_ones(runner):
    worn = dress(runner, PLATES, np.random.default_rng(0))
    t = np.array([0.2, 0.21])

    def film():
        return PersonFilm(worn, CAMERA, exposure_s=1e-3, rng=np.random.default_rng(1))

    one = film()
    singly = [one(x) for x in t]
    assert all(np.array_equal(a, b) for a, b in zip(film().shoot(t), singly, strict=True))


def test_limbs_and_plates_in_front_hide_what_is_behind(runner):
    rng = np.random.default_rng(0)
    worn = dress(runner, PLATES, rng)
    film = PersonFilm(worn, CAMERA, exposure_s=1e-5, noise=0.0, rng=np.random.default_rng(1))
    scene = worn.scene(np.full(16, 0.35))
    bare = replace(scene, tag_axes=np.full_like(scene.tag_axes, np.nan),
                   tag_centres=np.full_like(scene.tag_centres, np.nan))  # fmt: skip
    towards = scene.tag_centres[0] - CAMERA.centre
    facing = (scene.tag_axes[0, :, :, 2] * towards).sum(-1) > 0.5
    k = int(np.flatnonzero(facing)[np.argmin(np.linalg.norm(towards[facing], axis=1))])
    # The same tag once more, 0.3 m nearer and turned away: its back hides the front.
    centres, axes = bare.tag_centres.copy(), bare.tag_axes.copy()
    centres[:, k], axes[:, k] = scene.tag_centres[:, k], scene.tag_axes[:, k]
    other = (k + 1) % centres.shape[1]
    nearer = scene.tag_centres[:, k] - 0.3 * towards[k] / np.linalg.norm(towards[k])
    x, y = np.rint(CAMERA.project(scene.tag_centres[0, k])).astype(int)
    patch = np.s_[y - 2 : y + 3, x - 2 : x + 3]
    alone = film._expose(replace(bare, tag_axes=axes.copy(), tag_centres=centres.copy()))
    centres[:, other], axes[:, other] = nearer, scene.tag_axes[:, k] * [1.0, -1.0, -1.0]
    covered = film._expose(replace(bare, tag_axes=axes, tag_centres=centres))
    assert alone[patch].std() > 0 or abs(float(alone[patch].mean()) - 90) > 20
    assert np.abs(covered[patch].astype(float) - 90).max() <= 2


def test_the_wand_is_drawn_only_while_it_is_there():
    person = standing(duration_s=3.0)
    wand = point_at_landmarks(
        person, PLATES, np.random.default_rng(2), begin=0.3, each=0.1, hold=0.05, sigma=0.0
    )
    worn = dress(person, PLATES, np.random.default_rng(0))
    dressed = Dressed(person, PLATES, worn.segment_from_plate, wand)
    numbers = [t.number for t in PLATES.tags]
    first = numbers.index(PLATES.of_segment(WAND)[0].tags[0].number)
    there, away = (dressed.scene(np.array([x])).tag_centres[0, first] for x in (0.32, 0.37))
    assert np.isfinite(there).all()
    assert np.isnan(away).all()
