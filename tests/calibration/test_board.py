import cv2
import numpy as np
import pytest

from calibration.board import Board
from calibration.board_toml import write_measured
from lab.errors import LabError

OWN = """# our board
[board]
columns = 5
rows = 7
square_mm = 55.0   # as printed
marker_mm = 41.25
dictionary = "DICT_4X4_1000"
"""


def test_the_measured_square_is_typed_back_in_and_the_rest_stays(tmp_path):
    path = tmp_path / "b.toml"
    path.write_text(OWN)
    board = write_measured(path, 385.7, 7)
    assert board.square_m == pytest.approx(0.0551, rel=1e-12)
    assert board.marker_m / board.square_m == pytest.approx(0.75)
    assert board.print_square_m == 0.055
    assert Board.from_toml(path) == board
    again = write_measured(path, 55.2)
    assert again.square_m == pytest.approx(0.0552)
    text = path.read_text()
    assert text.count("measured_square_mm") == 1
    assert text.replace("measured_square_mm = 55.2\n", "") == OWN


def test_a_measured_square_in_caliscopes_layout(tmp_path):
    path = tmp_path / "b.toml"
    path.write_text(
        'columns = 4\nrows = 5\nboard_height = 11.0\nboard_width = 8.5\nunits = "inch"\n'
        'dictionary = "DICT_4X4_1000"\naruco_scale = 0.75\n'
    )
    assert write_measured(path, 54.0).square_m == pytest.approx(0.054)
    board = Board.from_toml(path)
    assert (board.square_m, board.print_square_m) == pytest.approx((0.054, 8.5 * 0.0254 / 4))


@pytest.mark.parametrize(("length", "squares"), [(70.0, 1), (55.0, 3), (55.0, 9), (5.5, 1)])
def test_a_length_that_cannot_be_of_this_board_is_refused(tmp_path, length, squares):
    path = tmp_path / "b.toml"
    path.write_text(OWN)
    with pytest.raises(LabError):
        write_measured(path, length, squares)
    assert path.read_text() == OWN


def test_a_mirrored_print_is_the_mirror_image_with_its_corners_mirrored():
    plain = Board(5, 4, 0.05, 0.0375)
    mirrored = Board(5, 4, 0.05, 0.0375, mirrored=True)
    assert (mirrored.image(24) == plain.image(24)[:, ::-1]).all()
    x, wanted = mirrored.corners_m()[:, 0], 0.25 - plain.corners_m()[:, 0]
    assert np.allclose(x, wanted)


def test_a_thick_two_sided_board_has_its_back_corners_behind_the_front_ones():
    board = Board(5, 4, 0.05, 0.0375, two_sided=True, thickness_m=0.006)
    corners = board.corners_m()
    assert len(corners) == len(board.corner_names) == 24
    assert np.allclose(corners[12:] - corners[:12], [0, 0, 0.006])
    assert len(Board(5, 4, 0.05, 0.0375, two_sided=True).corner_names) == 12


@pytest.mark.parametrize("legacy", [False, True])
def test_our_corners_are_those_of_opencv(legacy):
    board = Board(4, 6, 0.05, 0.0375, legacy=legacy)
    assert np.allclose(board.corners_m(), board.pattern().getChessboardCorners(), atol=1e-7)
    ids = cv2.aruco.CharucoDetector(board.pattern()).detectBoard(
        cv2.copyMakeBorder(board.image(40), 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255)
    )[1]
    assert len(ids) == 15
