"""Pictures: the skeleton where it belongs, the face gone."""

import numpy as np
import pytest

from report.stills import Still, crop_to_person, draw_skeleton

LEFT, RIGHT = (200, 69, 27), (22, 104, 168)
NAMES = ("left_hip", "right_hip", "left_knee", "right_knee", "left_shoulder", "right_shoulder")
BONES = (("left_hip", "left_knee"), ("right_hip", "right_knee"))
BODY = np.array(
    [
        [0, 0.15, 0.9],
        [0, -0.15, 0.9],
        [0, 0.15, 0.5],
        [0, -0.15, 0.5],
        [0, 0.2, 1.4],
        [0, -0.2, 1.4],
    ]
)


@pytest.fixture(scope="module")
def camera(make_trial):
    return make_trial().rig.cameras[0]


@pytest.fixture
def picture():
    return np.random.default_rng(1).integers(0, 255, (720, 1280, 3), dtype=np.uint8)


def near(image, xy, colour, reach=3):
    x, y = np.rint(xy).astype(int)
    patch = image[y - reach : y + reach + 1, x - reach : x + reach + 1].astype(int)
    return (np.abs(patch - colour).sum(axis=-1) < 30).any()


def test_bones_in_the_colour_of_their_side(camera, picture):
    before = picture.copy()
    drawn = draw_skeleton(picture, camera, BODY, NAMES, BONES)
    np.testing.assert_array_equal(picture, before)
    middle_left = camera.project((BODY[0] + BODY[2]) / 2)
    middle_right = camera.project((BODY[1] + BODY[3]) / 2)
    assert near(drawn, middle_left, LEFT)
    assert near(drawn, middle_right, RIGHT)
    assert not near(drawn, middle_left, RIGHT)


def test_pelvic_line_reaches_beyond_the_hips(camera, picture):
    drawn = draw_skeleton(picture, camera, BODY, NAMES, ())
    assert near(drawn, camera.project(np.array([0, 0.25, 0.9])), LEFT)
    assert near(drawn, camera.project(np.array([0, -0.25, 0.9])), RIGHT)


def roughness(image, xy, reach):
    x, y = np.rint(xy).astype(int)
    patch = image[y - reach : y + reach, x - reach : x + reach].astype(float)
    return np.abs(np.diff(patch, axis=1)).mean()


@pytest.mark.parametrize("with_face", [True, False])
def test_the_face_is_blurred_with_and_without_face_points(camera, picture, with_face):
    names, body, head = NAMES, BODY, np.array([0, 0, 1.67])
    if with_face:
        names = (*NAMES, "nose", "left_ear")
        body = np.vstack([BODY, [[0.1, 0, 1.65], [0, 0.07, 1.67]]])
    drawn = draw_skeleton(picture, camera, body, names, ())
    assert roughness(drawn, camera.project(head), 15) < 0.2 * roughness(
        picture, camera.project(head), 15
    )
    thigh = np.array([0, 0.15, 0.58])
    assert roughness(drawn, camera.project(thigh), 8) > 50


def test_whoever_else_is_in_the_room_is_blurred(camera, picture):
    drawn = draw_skeleton(picture, camera, BODY, NAMES, ())
    for other in (np.array([100, 300]), np.array([1180, 300]), np.array([640, 700])):
        assert roughness(drawn, other, 18) < 0.2 * roughness(picture, other, 18)


def test_where_nobody_knows_the_head_nothing_shows(camera, picture):
    body = np.full_like(BODY, np.nan)
    drawn = draw_skeleton(picture, camera, body, NAMES, BONES)
    assert roughness(drawn, np.array([640, 360]), 300) < 5


def test_crop_holds_the_person(camera, picture):
    crop = crop_to_person(picture, camera, BODY)
    assert crop.shape[0] > crop.shape[1]
    spread = np.ptp(camera.project(BODY), axis=0)
    assert crop.shape[1] > spread[0]
    assert crop.shape[0] > spread[1]
    whole = crop_to_person(picture, camera, np.full_like(BODY, np.nan))
    assert whole.shape == picture.shape


def test_shapes_are_checked(camera, picture):
    with pytest.raises(ValueError, match="expected shape"):
        draw_skeleton(picture, camera, BODY[:2], NAMES, ())
    with pytest.raises(ValueError, match="uint8"):
        Still("cam01", 0.0, picture.astype(float), "x")
