"""Rooms see what they are for; views are what the cameras project, with the stated chance."""

import numpy as np
import pytest

from lab.points import Points3D
from simulation.room import look_at, ring, treadmill_room, walkway_room
from simulation.views import observe, seen_pixels
from simulation.walker import simulate

CLEAN = {"noise_px": 0.0, "dropout": 0.0, "gaps": 0.0, "outliers": 0.0}


@pytest.fixture(scope="module")
def runner():
    return simulate("run", speed_m_s=3.0, treadmill=True, duration_s=4.0, seed=1)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_camera_has_its_target_on_the_axis_and_stands_upright():
    pose = look_at(np.array([3.0, -2.0, 1.5]), np.array([0.0, 0.0, 1.0]))
    seen = pose.transform([[0.0, 0.0, 1.0], [0.0, 0.0, 1.2], [3.0, -2.0, 1.5]])
    np.testing.assert_allclose(seen[0, :2], 0, atol=1e-12)
    assert seen[0, 2] > 3
    assert seen[1, 1] < 0  # higher in the room is higher in the image
    assert abs(seen[1, 0]) < 1e-12
    np.testing.assert_allclose(seen[2], 0, atol=1e-12)
    with pytest.raises(ValueError, match="vertical"):
        look_at(np.zeros(3), np.array([0, 0, 1.0]))


@pytest.mark.parametrize("n", [4, 6, 8])
def test_a_runner_is_whole_in_every_camera_of_the_treadmill_room(runner, n):
    points = runner.points(np.linspace(0, 4, 200))
    for camera in treadmill_room(n, seed=n).cameras:
        assert np.isfinite(seen_pixels(camera, points)).all()


@pytest.mark.parametrize("n", [4, 8])
@pytest.mark.parametrize("heading", [1, -1])
def test_a_walker_is_seen_by_three_cameras_along_the_walkway(n, heading):
    walker = simulate(
        "walk", speed_m_s=1.25, treadmill=False, duration_s=4.8, seed=1, heading=heading
    )
    points = walker.points(np.linspace(0, 4.8, 150))
    whole = [
        np.isfinite(seen_pixels(c, points)).all((1, 2)) for c in walkway_room(n, seed=n).cameras
    ]
    assert np.sum(whole, axis=0).min() >= 3
    strikes = [e for e in walker.events if e.kind == "foot_strike"]
    assert len(strikes) >= 8  # four strides or more


def test_rings_are_repeatable_and_arcs_have_ends():
    one, two = treadmill_room(4, seed=3), treadmill_room(4, seed=3)
    assert one.sha256 == two.sha256 != treadmill_room(4, seed=4).sha256
    assert one.has_covariance
    arc = ring(3, radius_m=4, height_m=1.5, target=(0, 0, 1), spread_deg=90, focal_px=900, jitter=0)
    azimuths = [np.degrees(np.arctan2(c.centre[1], c.centre[0])) for c in arc.cameras]
    np.testing.assert_allclose(azimuths, [-135, -90, -45], atol=1e-9)
    with pytest.raises(ValueError, match="coefficients"):
        ring(2, radius_m=4, height_m=1, target=(0, 0, 1), focal_px=900, model="brown4")


def test_without_chance_a_view_is_the_projection(runner):
    rig = treadmill_room(4)
    views = observe(runner, rig, 100.0, 1.0, rng=rng(), **CLEAN)
    assert [v.camera for v in views] == list(rig.names)
    for view, camera in zip(views, rig.cameras, strict=True):
        np.testing.assert_array_equal(view.t, np.arange(101) / 100)
        np.testing.assert_allclose(view.xy_px, camera.project(runner.points(view.t)))
        np.testing.assert_array_equal(view.cov_px, np.zeros(view.cov_px.shape))


def test_the_same_seed_gives_the_same_views(runner):
    rig = treadmill_room(2)
    one, two = (observe(runner, rig, 50.0, 2.0, noise_px=1.5, rng=rng(4)) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        assert a.xy_px.tobytes() == b.xy_px.tobytes()
        assert a.score.tobytes() == b.score.tobytes()


def test_noise_gaps_and_outliers_come_in_the_asked_share(runner):
    rig = treadmill_room(4)
    truth = observe(runner, rig, 200.0, 4.0, rng=rng(), **CLEAN)
    noisy = observe(runner, rig, 200.0, 4.0, rng=rng(1), **CLEAN | {"noise_px": 2.0})
    error = np.concatenate([(a.xy_px - b.xy_px).ravel() for a, b in zip(noisy, truth, strict=True)])
    assert error.std() == pytest.approx(2.0, rel=0.02)
    assert abs(error.mean()) < 0.02
    np.testing.assert_allclose(noisy[0].cov_px[3, 4], 4.0 * np.eye(2))
    lost = observe(runner, rig, 200.0, 4.0, rng=rng(2), **CLEAN | {"dropout": 0.1})
    share = np.mean([np.isnan(v.xy_px[..., 0]).mean() for v in lost])
    assert share == pytest.approx(0.1, abs=0.01)
    assert all((np.isnan(v.score) == np.isnan(v.xy_px[..., 0])).all() for v in lost)
    wrong = observe(runner, rig, 200.0, 4.0, rng=rng(3), **CLEAN | {"outliers": 0.08})
    off = np.concatenate(
        [np.linalg.norm(a.xy_px - b.xy_px, axis=-1) for a, b in zip(wrong, truth, strict=True)]
    )
    assert (off > 1e-6).mean() == pytest.approx(0.08, abs=0.01)
    assert off.max() < 150 * np.sqrt(2)
    bursts = observe(runner, rig, 200.0, 4.0, rng=rng(5), **CLEAN | {"gaps": 0.5})
    gone = np.isnan(bursts[0].xy_px[..., 0])
    begins = (np.diff(gone.astype(int), axis=0) == 1).sum() + gone[0].sum()
    assert gone.sum() / begins > 8  # frames in a burst, on average


def test_some_outliers_stand_on_the_joint_of_the_other_side(runner):
    rig = treadmill_room(1)
    (truth,) = observe(runner, rig, 100.0, 4.0, rng=rng(), **CLEAN)
    (wrong,) = observe(runner, rig, 100.0, 4.0, rng=rng(3), **CLEAN | {"outliers": 0.2})
    left, right = (truth.names.index(f"{s}_knee") for s in ("left", "right"))
    swapped = (wrong.xy_px[:, left] == truth.xy_px[:, right]).all(-1).mean()
    assert 0.05 < swapped < 0.16


def test_phases_shift_the_frames_of_a_camera(runner):
    rig = treadmill_room(2)
    views = observe(runner, rig, 100.0, 1.0, rng=rng(), phases={"cam02": 0.004}, **CLEAN)
    np.testing.assert_allclose(views[1].t - views[0].t, 0.004)
    np.testing.assert_allclose(
        views[1].xy_px, rig.cameras[1].project(runner.points(views[0].t + 0.004))
    )
    with pytest.raises(ValueError, match="phases"):
        observe(runner, rig, 100.0, 1.0, rng=rng(), phases={"cam9": 0.1}, **CLEAN)


def test_points_are_seen_at_their_own_times_by_name(runner):
    rig = treadmill_room(1)
    points = runner.record(50.0)
    (view,) = observe(points, rig, rng=rng(), names=["nose", "left_heel"], **CLEAN)
    assert view.names == ("nose", "left_heel")
    np.testing.assert_allclose(view.xy_px[:, 1], rig.cameras[0].project(points.point("left_heel")))
    with pytest.raises(ValueError, match="own times"):
        observe(points, rig, 100.0, rng=rng(), **CLEAN)


def test_points_outside_or_behind_are_missing_and_unknown_noise_is_nan():
    camera = treadmill_room(1).cameras[0]
    out = camera.centre + 2.0 * np.array([0, 0, 1.0])
    behind = 2 * camera.centre - np.array([0, 0, 0.9])
    assert np.isnan(seen_pixels(camera, np.stack([out, behind]))).all()
    # Beyond where this strong lens turns back, the polynomial alone would put a point in the image.
    strong = ring(
        1, radius_m=4, height_m=1, target=(0, 0, 1), focal_px=500, coefficients=(-0.4, 0, 0, 0, 0)
    ).cameras[0]
    folded = strong.cam_from_lab.inverse().transform([[1.45, 0.0, 1.0], [0.4, 0.0, 1.0]])
    assert (strong.project(folded)[:, 0] < 1279).all()
    np.testing.assert_array_equal(np.isnan(seen_pixels(strong, folded))[:, 0], [True, False])
    points = Points3D(("nose",), [0.0], [[[0, 0, 1.0]]], np.zeros((1, 1, 3, 3)))
    (view,) = observe(points, treadmill_room(1), rng=rng(), noise_known=False, **CLEAN)
    assert np.isnan(view.cov_px).all()
    assert np.isfinite(view.xy_px).all()
