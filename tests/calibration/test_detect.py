from dataclasses import replace

import av
import cv2
import numpy as np
import pytest

from calibration import detect, find_board
from calibration.board import Board
from calibration.detect import detect_video, detect_videos
from calibration.find_board import detect_board
from calibration.mistakes import refuse_mirrored
from lab.camera import Camera
from lab.errors import LabError
from lab.points import Keypoints2D
from lab.pose import Pose
from simulation.images import render_plane

SIZE = (640, 480)
CAMERA = Camera(
    "cam1", SIZE, "brown5", np.array([700, 702, 322, 238, -0.1, 0.02, 5e-4, -3e-4, 0]),
    Pose.identity(),
)  # fmt: skip
BOARD = Board(5, 4, 0.06, 0.045)


def held(board, turn, distance=0.8):
    """Poses of the board about its middle, `distance` m in front of the camera."""
    middle = np.array([*board.size_m, 0]) / 2
    pose = Pose.from_rotvec(turn, np.zeros(3))
    return Pose(pose.rotation, np.array([0.01, -0.02, distance]) - pose.rotation @ middle)


def views(board, count=4, **how):
    rng = np.random.default_rng(3)
    poses = [held(board, rng.normal(0, 0.35, 3)) for _ in range(count)]
    texture = board.image(60)
    return poses, [
        render_plane(texture, board.size_m, p, CAMERA, noise=2.0, rng=rng, **how) for p in poses
    ]


def film(path, images):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "gray"
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="gray")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


@pytest.mark.parametrize("how", [{}, {"blur_px": 1.5}, {"motion_px": (4.0, 1.0)}])
def test_corners_are_no_worse_than_opencvs_plain_detection(how):
    ours, plain, many, few = [], [], 0, 0
    detector = cv2.aruco.CharucoDetector(BOARD.pattern())
    for pose, image in zip(*views(BOARD, **how), strict=True):
        truth = CAMERA.project(pose.transform(BOARD.corners_m()))
        ids, xy = detect_board(image, BOARD)
        ours.append(xy - truth[ids])
        corners, found = detector.detectBoard(image)[:2]
        many += len(ids)
        if found is not None:
            plain.append(np.reshape(corners, (-1, 2)) - truth[np.ravel(found)])
            few += len(plain[-1])
    assert min(many, few) > 20
    assert np.sqrt(np.mean(np.concatenate(ours) ** 2)) <= 1.02 * np.sqrt(
        np.mean(np.concatenate(plain) ** 2)
    )


def test_corners_seen_at_a_slant_are_twice_as_good_as_plain_ones():
    rng = np.random.default_rng(8)
    texture, detector = BOARD.image(60), cv2.aruco.CharucoDetector(BOARD.pattern())
    ours, plain = [], []
    for angle in np.radians([52, 56, 60, 63]):
        pose = held(BOARD, [angle * np.cos(9 * angle), angle * np.sin(9 * angle), 0.0], 0.5)
        image = render_plane(texture, BOARD.size_m, pose, CAMERA, noise=2.0, rng=rng)
        truth = CAMERA.project(pose.transform(BOARD.corners_m()))
        ids, xy = detect_board(image, BOARD)
        ours.append(xy - truth[ids])
        corners, found = detector.detectBoard(image)[:2]
        plain.append(np.reshape(corners, (-1, 2)) - truth[np.ravel(found)])
    assert min(len(np.concatenate(ours)), len(np.concatenate(plain))) >= 40
    rms = [np.sqrt(np.mean(np.concatenate(e) ** 2)) for e in (ours, plain)]
    assert rms[0] < 0.6 * rms[1]
    assert rms[0] < 0.04


@pytest.mark.parametrize("noise", [10.0, 20.0])
def test_the_covariance_of_a_corner_is_its_error(monkeypatch, noise):
    monkeypatch.setattr(find_board, "FLOOR_PX", 0.0)  # nothing but the image's noise is rendered
    rng, finder, squared = np.random.default_rng(9), find_board.BoardFinder(BOARD), []
    texture = BOARD.image(60)
    for _ in range(12):
        pose = held(BOARD, rng.normal(0, 0.35, 3))
        image = render_plane(texture, BOARD.size_m, pose, CAMERA, noise=noise, rng=rng)
        truth = CAMERA.project(pose.transform(BOARD.corners_m()))
        for k, xy, cov in zip(*finder.find(image), strict=True):
            squared.append((xy - truth[k]) @ np.linalg.solve(cov, xy - truth[k]) / 2)
    assert len(squared) > 120
    assert 0.5 < np.mean(squared) < 2.0


def test_few_corners_that_fit_the_board_are_kept_and_a_wrong_one_is_not():
    finder = find_board.BoardFinder(BOARD)
    corners = CAMERA.project(held(BOARD, [0.3, -0.2, 0.1]).transform(BOARD.corners_m()))
    rng = np.random.default_rng(0)
    # Two rows of three, of which the minimal sets are nearly degenerate, with real noise.
    for ids in ([0, 1, 2, 4, 5, 6], [1, 4, 7, 9, 10], [0, 4, 8, 9, 10, 11]):
        ids = np.array(ids)
        xy = corners[ids] + rng.normal(0, 0.3, (len(ids), 2))
        assert finder._fits_the_board(ids, xy).all()
    ids = np.arange(12)
    xy = corners + rng.normal(0, 0.3, corners.shape)
    xy[5] += [9.0, -7.0]
    assert finder._fits_the_board(ids, xy).tolist() == [k != 5 for k in range(12)]


@pytest.mark.parametrize(
    "board",
    [
        Board(5, 4, 0.06, 0.045),
        Board(5, 7, 0.06, 0.045, "DICT_5X5_250"),
        Board(12, 9, 0.06, 0.045, "DICT_6X6_1000"),
        Board(4, 6, 0.06, 0.045, legacy=True),
    ],
)
def test_the_boards_own_markers_are_told_apart_with_what_is_corrected(board):
    pattern, correct = find_board.own_markers(board)
    own = pattern.getDictionary()
    count = board.columns * board.rows // 2
    assert len(own.bytesList) == count == len(pattern.getIds())
    for i in range(count):
        bits = cv2.aruco.Dictionary.getBitsFromByteList(own.bytesList[i : i + 1], own.markerSize)
        least = min(own.getDistanceToId(bits, j) for j in range(count) if j != i)
        assert least > 2 * correct
    assert 0 <= correct <= 3
    assert (pattern.generateImage((480, 480)) == board.pattern().generateImage((480, 480))).all()


MISTAKES = {
    "legacy = true": Board(5, 4, 0.06, 0.045, legacy=True),
    "inverted = true": Board(5, 4, 0.06, 0.045, inverted=True),
    "columns = 4, rows = 5": Board(4, 5, 0.06, 0.045),
    'dictionary = "DICT_5X5_1000"': Board(5, 4, 0.06, 0.045, "DICT_5X5_1000"),
}


@pytest.mark.parametrize("change", MISTAKES)
def test_a_board_not_found_is_tried_otherwise_and_what_matched_is_said(tmp_path, change):
    filmed = MISTAKES[change]
    path = film(tmp_path / "cam1.mkv", views(filmed, 1)[1])
    fault = detect._nothing_found(path, BOARD, "cam1", None)
    assert change in fault.what
    assert "cam1" in fault.where


def test_a_video_without_a_board_says_so(tmp_path):
    path = film(tmp_path / "cam1.mkv", [np.full(SIZE[::-1], 128, np.uint8)] * 2)
    with pytest.raises(LabError, match="no frame shows"):
        detect_video(path, BOARD, camera="cam1")


def test_a_mirrored_video_is_named_and_a_two_sided_board_is_not(tmp_path):
    right = film(tmp_path / "cam1.mkv", views(BOARD)[1])
    wrong = film(tmp_path / "cam2.mkv", [i[:, ::-1] for i in views(BOARD)[1]])
    seen = {n: detect_video(p, BOARD, camera=n) for n, p in (("cam1", right), ("cam2", wrong))}
    with pytest.raises(LabError, match="mirror") as fault:
        refuse_mirrored(seen, BOARD, "calibration videos")
    assert fault.value.what.startswith("cam2:")
    refuse_mirrored({"cam1": seen["cam1"]}, BOARD, "")
    refuse_mirrored(seen, replace(BOARD, two_sided=True), "")
    # Printed mirrored and said so: seen as it should be, and a plain one then as mirrored.
    mirrored = replace(BOARD, mirrored=True)
    refuse_mirrored({"cam2": detect_video(wrong, mirrored, camera="cam2")}, mirrored, "")
    with pytest.raises(LabError, match="mirror"):
        refuse_mirrored({"cam1": detect_video(right, mirrored, camera="cam1")}, mirrored, "")


def test_several_videos_are_refused_or_flipped_in_one_place(tmp_path):
    right = film(tmp_path / "cam1.mkv", views(BOARD)[1])
    wrong = film(tmp_path / "cam2.mkv", [i[:, ::-1] for i in views(BOARD)[1]])
    with pytest.raises(LabError, match="cam2: the board is seen as its mirror image"):
        detect_videos({"cam1": right, "cam2": wrong}, BOARD)
    seen = detect_videos({"cam1": right, "cam2": wrong}, BOARD, mirrored="flip")
    # Flipped back, the mirrored video shows what the plain one does.
    off = np.linalg.norm(seen["cam1"].xy_px - seen["cam2"].xy_px, axis=-1)
    both = np.isfinite(off)
    assert both.sum() > 0.9 * np.isfinite(seen["cam1"].xy_px[..., 0]).sum()
    assert np.median(off[both]) < 0.05
    cov = seen["cam2"].cov_px[both]
    assert np.median(np.abs(cov - seen["cam1"].cov_px[both])) < 0.1 * np.median(cov[:, 0, 0])


def test_a_mirrored_print_is_found_where_it_is():
    board = replace(BOARD, mirrored=True)
    for pose, image in zip(*views(board), strict=True):
        ids, xy = detect_board(image, board)
        truth = CAMERA.project(pose.transform(board.corners_m()))
        assert len(ids) > 6
        # A corner on the wrong side would be off by tens of pixels.
        assert np.abs(xy - truth[ids]).max() < 1.5


def test_the_back_of_a_thick_board_has_corners_of_its_own():
    board = replace(BOARD, two_sided=True, thickness_m=0.01)
    # Seen from behind: turned about its y axis, the back drawn as who stands there sees it.
    width = board.size_m[0]
    back = Pose(np.diag([-1.0, 1, -1]), np.array([width, 0, board.thickness_m]))
    pose = held(board, np.array([0.1, np.pi - 0.3, 0.05]))
    image = render_plane(board.image(60, back=True), board.size_m, pose @ back, CAMERA)
    ids, xy = detect_board(image, board)
    truth = CAMERA.project(pose.transform(board.corners_m()))
    assert len(ids) > 6
    assert (ids >= 12).all()
    assert np.abs(xy - truth[ids]).max() < 1.5


def test_corners_are_found_once_for_the_same_video_board_and_frames(tmp_path, monkeypatch):
    path = film(tmp_path / "cam1.mkv", views(BOARD)[1])
    cache = tmp_path / "cache"
    first = detect_video(path, BOARD, camera="cam1", cache=cache)
    finds = []
    real = detect._find_all
    monkeypatch.setattr(detect, "_find_all", lambda *a: finds.append(1) or real(*a))

    def again(board=BOARD, **how) -> Keypoints2D:
        return detect_video(path, board, camera="cam1", cache=cache, **how)

    kept = again()
    assert not finds
    assert np.array_equal(kept.xy_px, first.xy_px, equal_nan=True)
    assert np.array_equal(kept.cov_px, first.cov_px, equal_nan=True)
    assert (kept.t == first.t).all()
    again(replace(BOARD, square_m=0.061, marker_m=0.061 * 0.75))  # moves no pixel
    assert not finds
    few = again(times={"cam1": {1: 5.0, 3: 6.0}})
    assert (len(finds), few.t.tolist()) == (1, [5.0, 6.0])
    assert again(times={"cam1": {1: 7.0, 3: 8.0}}).t.tolist() == [7.0, 8.0]
    assert len(finds) == 1
    again(replace(BOARD, two_sided=True, thickness_m=0.01))
    assert len(finds) == 2
    for file in cache.iterdir():
        file.write_bytes(file.read_bytes()[:200])
    again()
    assert len(finds) == 3
    film(path, views(BOARD, 3)[1])
    assert len(again().t) == 3
    assert len(finds) == 4
    detect_video(path, BOARD, camera="cam1")
    assert len(finds) == 5


WIDE = (1280, 720)
WIDE_CAMERA = Camera(
    "cam1", WIDE, "brown5", np.array([900, 900, 640, 360, 0, 0, 0, 0, 0.0]), Pose.identity()
)


def wide(distances, shift_m=0.0):
    texture, rng = BOARD.image(60), np.random.default_rng(4)
    return [
        render_plane(
            texture, BOARD.size_m,
            Pose.from_rotvec([0, 0, 0], [shift_m, 0, 0]) @ held(BOARD, [0.2, 0.1, 0.1], distance),
            WIDE_CAMERA, noise=2.0, rng=rng,
        )
        for distance in distances
    ]  # fmt: skip


def test_a_small_board_is_found_in_wide_images_that_show_it_at_full_size_only():
    finder, images = find_board.BoardFinder(BOARD), wide([2.2, 2.3, 2.3])
    assert all(len(finder._find_at(i, None, 2)[0]) == 0 for i in images)
    assert [len(ids) for ids, _, _ in finder.find_each(images)] == [12, 12, 12]
    assert len(finder.find(images[0])[0]) == 12


def test_a_part_of_the_board_is_looked_at_closer():
    finder = find_board.BoardFinder(BOARD)
    [image] = wide([1.8])
    half, full = finder._find_at(image, None, 2), finder._find_at(image, None, 1)
    assert 0 < len(half[0]) < len(full[0])
    assert len(finder.find(image)[0]) == len(full[0])


def test_corners_found_at_half_size_are_where_they_are():
    finder = find_board.BoardFinder(BOARD)
    [image] = wide([1.0])
    half, full = finder._find_at(image, None, 2), finder._find_at(image, None, 1)
    assert half[0].tolist() == full[0].tolist() == list(range(12))
    assert np.abs(half[1] - full[1]).max() < 0.02


@pytest.mark.parametrize("form", ["gray", "yuv420p", "rgb24"])
def test_the_grey_image_of_a_frame_is_what_was_filmed(form):
    image = views(BOARD, 1)[1][0]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="gray")
    found = detect._gray(frame.reformat(format=form))
    assert found.shape == image.shape
    # Video levels run from 16 to 235.
    levels = 16 + image * (219 / 255) if form == "yuv420p" else image
    assert np.abs(found - levels.astype(float)).max() <= 2
