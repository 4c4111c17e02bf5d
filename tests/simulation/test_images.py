"""A rendered print lies where the camera projects it, to a few hundredths of a pixel."""

import cv2
import numpy as np
import pytest

from lab.pose import Pose
from simulation.board_path import board_path, floor_pose, reads
from simulation.images import render_plane
from simulation.room import look_at, ring, treadmill_room

SIZE = (0.7, 0.5)
SQUARE = 0.1


@pytest.fixture(scope="module")
def chess():
    fields = np.add.outer(np.arange(5), np.arange(7)) % 2
    return np.kron((fields * 220 + 20).astype(np.uint8), np.ones((120, 120), np.uint8))


def corners():
    x, y = np.meshgrid(SQUARE * np.arange(1, 7), SQUARE * np.arange(1, 5))
    return np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=-1)


def held_before(camera, distance, tilt=(0.0, 0.0), turn=0.0, at=(0.0, 0.0)):
    """lab_from_plane of a print on the camera's axis (plus `at` m sideways), facing it."""
    cam_from_plane = Pose.from_rotvec([tilt[0], tilt[1], turn], [0, 0, 0])
    middle = cam_from_plane.rotation @ np.array([SIZE[0] / 2, SIZE[1] / 2, 0])
    moved = Pose(cam_from_plane.rotation, np.array([at[0], at[1], distance]) - middle)
    return camera.cam_from_lab.inverse() @ moved


def corner_errors(image, camera, pose):
    truth = camera.project(pose.transform(corners()))
    inside = ((truth > 10) & (truth < np.array(camera.size_px) - 11)).all(1)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-4)
    start = truth[inside].astype(np.float32).reshape(-1, 1, 2)
    found = cv2.cornerSubPix(image, start.copy(), (4, 4), (-1, -1), stop)
    return found.reshape(-1, 2) - truth[inside]


def test_corners_are_found_where_they_are_projected(chess):
    rig = treadmill_room(4)
    poses = board_path(
        10, ((-0.6, 0.6), (-0.5, 0.5), (0.4, 1.6)), rig.cameras, SIZE, np.random.default_rng(1)
    )
    errors = [
        corner_errors(render_plane(chess, SIZE, pose, camera), camera, pose)
        for pose in [*poses, floor_pose(SIZE)]
        for camera in rig.cameras
        if reads(camera, pose, SIZE)
    ]
    errors = np.concatenate(errors)
    assert len(errors) > 400
    assert np.linalg.norm(errors, axis=1).mean() < 0.05
    assert np.abs(errors.mean(axis=0)).max() < 0.01


@pytest.mark.parametrize("distance", [0.8, 1.5, 4.0])
def test_no_pixel_is_shifted_near_or_far(chess, distance):
    camera = treadmill_room(1).cameras[0]
    pose = held_before(camera, distance, tilt=(0.4, 0.3), turn=0.2)
    errors = corner_errors(render_plane(chess, SIZE, pose, camera), camera, pose)
    assert np.abs(errors.mean(axis=0)).max() < 0.02


def test_a_ramp_has_the_grey_of_the_place_seen():
    # Grey is linear in x on the print, so each pixel tells where on the print it looks.
    ramp = np.tile(np.linspace(20, 235, 2000), (64, 1)).astype(np.uint8)
    camera = treadmill_room(1).cameras[0]
    pose = held_before(camera, 1.2, tilt=(0.3, -0.4), turn=0.3)
    image = render_plane(ramp, SIZE, pose, camera, blur_px=0.0).astype(float)
    middle = camera.project(pose.transform([SIZE[0] / 2, SIZE[1] / 2, 0.0]))
    u, v = np.meshgrid(*(np.arange(int(m) - 60, int(m) + 60) for m in middle))
    rays = camera.ray(np.stack([u, v], axis=-1).astype(float))
    normal = pose.rotation[:, 2]
    reach = ((pose.translation - rays.origin) @ normal) / (rays.direction @ normal)
    met = rays.origin + reach[..., None] * rays.direction
    x = pose.inverse().transform(met)[..., 0]
    # np.uint8 cuts the ramp's fractions off: half a grey level less on average.
    expected = 20 + 215 * (x / SIZE[0] * 2000 - 0.5) / 1999 - 0.5
    difference = image[v, u] - expected
    per_pixel = 215 / SIZE[0] * 1.2 / 880  # grey levels a pixel, about
    assert abs(difference.mean()) < 0.1 * per_pixel + 0.05
    assert np.abs(difference).max() < 1.6


def test_partial_view_other_side_and_out_of_sight(chess):
    camera = treadmill_room(1).cameras[0]
    empty = render_plane(chess, SIZE, held_before(camera, -2.0), camera)
    assert (empty == 110).all()
    aside = held_before(camera, 1.5, at=(1.05, 0.0))
    image = render_plane(chess, SIZE, aside, camera)
    assert (image[:, -1] != 110).any()
    assert (image[:, :300] == 110).all()
    partly = corner_errors(image, camera, aside)
    assert 4 <= len(partly) < 24
    assert np.abs(partly).max() < 0.15
    behind = held_before(camera, 1.5, tilt=(0.0, np.pi - 0.2))
    back = render_plane(chess, SIZE, behind, camera)
    seen = back[back != 110]
    assert len(seen) > 10000
    assert (seen == 205).mean() > 0.95


def test_blur_noise_and_background(chess):
    camera = treadmill_room(1).cameras[0]
    pose = held_before(camera, 1.5)
    sharp = render_plane(chess, SIZE, pose, camera, blur_px=0.0).astype(float)
    soft = render_plane(chess, SIZE, pose, camera, blur_px=2.0).astype(float)
    moved = render_plane(chess, SIZE, pose, camera, blur_px=0.0, motion_px=(8.0, 0.0)).astype(float)

    def slope(image, axis):
        return np.abs(np.diff(image, axis=axis)).max()

    assert slope(soft, 0) < 0.5 * slope(sharp, 0)
    assert slope(moved, 1) < 0.5 * slope(sharp, 1)
    assert slope(moved, 0) > 0.9 * slope(sharp, 0)
    error = corner_errors(soft.astype(np.uint8), camera, pose)
    assert np.abs(error.mean(axis=0)).max() < 0.02
    dark = np.tile(np.arange(1280, dtype=np.float64) / 16, (720, 1)).astype(np.uint8)
    over = render_plane(chess, SIZE, pose, camera, background=dark)
    np.testing.assert_array_equal(over[:50], dark[:50])
    one, two = (
        render_plane(chess, SIZE, pose, camera, noise=3.0, rng=np.random.default_rng(5))
        for _ in range(2)
    )
    assert one.tobytes() == two.tobytes()
    assert (one[:100].astype(float) - 110).std() == pytest.approx(3.0, rel=0.03)
    with pytest.raises(ValueError, match="rng"):
        render_plane(chess, SIZE, pose, camera, noise=1.0)
    with pytest.raises(ValueError, match="uint8"):
        render_plane(chess.astype(float), SIZE, pose, camera)


def test_the_board_is_shown_to_two_cameras_through_the_volume_and_lies_face_up():
    rig = treadmill_room(6)
    volume = ((-0.8, 0.8), (-0.5, 0.5), (0.3, 1.7))
    poses, again = (
        board_path(40, volume, rig.cameras, SIZE, np.random.default_rng(2)) for _ in range(2)
    )
    readers = np.array([sum(reads(c, p, SIZE) for c in rig.cameras) for p in poses])
    assert (readers >= 2).mean() > 0.9
    assert all(sum(reads(c, p, SIZE) for p in poses) >= 6 for c in rig.cameras)
    middles = np.array([p.transform([SIZE[0] / 2, SIZE[1] / 2, 0]) for p in poses])
    low, high = np.array(volume).T
    assert (middles >= low - 1e-9).all()
    assert (middles <= high + 1e-9).all()
    assert (np.ptp(middles, axis=0) > 0.6 * (high - low)).all()
    np.testing.assert_array_equal(poses[7].rotation, again[7].rotation)
    floor = floor_pose(SIZE, (0.2, 0.1), turn=0.3)
    np.testing.assert_allclose(
        floor.transform([SIZE[0] / 2, SIZE[1] / 2, 0]), [0.2, 0.1, 0], atol=1e-12
    )
    np.testing.assert_allclose(floor.rotation[:, 2], [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(floor.rotation[:, 0], [np.cos(0.3), np.sin(0.3), 0], atol=1e-12)
    above = ring(4, radius_m=2, height_m=2.2, target=(0, 0, 0), focal_px=900)
    assert all(reads(c, floor, SIZE) for c in above.cameras)
    assert look_at(np.array([1.0, 0, 1]), np.zeros(3)).rotation.shape == (3, 3)
