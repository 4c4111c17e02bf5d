import json
import shutil
import subprocess

import cv2
import numpy as np
import pytest
from pypdf import PdfReader

from calibration.board import Board
from calibration.board_print import board_pages, identity, lay_out, write_board_pdf
from calibration.board_toml import read_board
from console.cli import main
from lab.errors import LabError

PPI = 254  # 10 pixels a mm, so that a page of whole mm is rasterised without rounding


def corners_on(page: np.ndarray, board: Board, ppi: float = PPI) -> tuple[np.ndarray, np.ndarray]:
    """Ids and places (n, 2) in mm of the corners on a page image."""
    page = 255 - page if board.inverted else page
    page = page[:, ::-1] if board.mirrored else page
    xy, ids = cv2.aruco.CharucoDetector(board.pattern()).detectBoard(np.ascontiguousarray(page))[:2]
    xy = np.asarray(xy, float).reshape(-1, 2)
    image, start = np.ascontiguousarray(page), np.float32(xy)[:, None].copy()
    refined = cv2.cornerSubPix(image, start, (9, 9), (-1, -1), (3, 60, 1e-4))
    xy = refined[:, 0].astype(float)
    if board.mirrored:
        xy[:, 0] = page.shape[1] - 1 - xy[:, 0]
    return np.ravel(ids), (xy + 0.5) / ppi * 25.4


def assert_true_to_scale(ids, mm, board):
    wanted = 1e3 * board.corners_m()[ids, :2] * board.print_square_m / board.square_m
    moved, target = wanted - wanted.mean(0), mm - mm.mean(0)
    affine = np.linalg.lstsq(moved, target, rcond=None)[0]
    assert np.abs(affine - np.eye(2)).max() < 1e-3
    assert np.abs(moved - target).max() < 0.1


BOARDS = [
    Board(5, 7, 0.035, 0.02625),
    Board(5, 7, 0.0352, 0.0264, nominal_m=0.035),
    Board(4, 6, 0.03, 0.021, "DICT_5X5_100", legacy=True),
    Board(4, 5, 0.04, 0.03, inverted=True),
    Board(5, 4, 0.04, 0.03, mirrored=True),
]


@pytest.mark.parametrize("board", BOARDS)
def test_the_page_read_back_is_true_to_a_thousandth(board):
    (page,) = board_pages(board, PPI)
    image = cv2.imdecode(np.frombuffer(page, np.uint8), cv2.IMREAD_GRAYSCALE)
    ids, mm = corners_on(image, board)
    assert len(ids) == board.corners_per_side
    assert_true_to_scale(ids, mm, board)
    (sheet,) = lay_out(board)
    edge = round(10 * (sheet.margin + sheet.foot - 4))
    words, _, _ = cv2.QRCodeDetector().detectAndDecode(image[-edge:, :edge])
    assert words == identity(board)


@pytest.mark.skipif(not shutil.which("pdftoppm"), reason="no pdftoppm on this machine")
def test_the_pdf_itself_read_back_is_true_to_a_thousandth(tmp_path):
    board = BOARDS[0]
    write_board_pdf(board, tmp_path / "b.pdf")
    command = ["pdftoppm", "-r", str(PPI), "-png", "-singlefile", "b.pdf", "b"]
    subprocess.run(command, cwd=tmp_path, check=True)
    ids, mm = corners_on(cv2.imread(str(tmp_path / "b.png"), cv2.IMREAD_GRAYSCALE), board)
    assert len(ids) == board.corners_per_side
    assert_true_to_scale(ids, mm, board)


def test_tiles_cover_the_board_once_and_no_corner_lies_on_a_seam():
    board = Board(5, 7, 0.055, 0.04125)
    sheets = lay_out(board, "a4")
    assert len(sheets) > 1
    area = sum((s.part[2] - s.part[0]) * (s.part[3] - s.part[1]) for s in sheets)
    assert area == pytest.approx(275 * 385)
    inner = {v for s in sheets for v in s.part} - {0, 275, 385}
    assert inner
    assert all((v / 55) % 1 == pytest.approx(0.5) for v in inner)
    # Cut out at 10 px a mm and laid side by side, the tiles are the board again.
    whole = np.full((4050, 2950), 255, np.uint8)
    for sheet, page in zip(sheets, board_pages(board, PPI, paper="a4"), strict=True):
        image = cv2.imdecode(np.frombuffer(page, np.uint8), cv2.IMREAD_GRAYSCALE)
        left, top, right, bottom = (round(10 * v) for v in sheet.part)
        x = round(5 * (sheet.page[0] - (sheet.part[2] - sheet.part[0])))
        free = sheet.page[1] - sheet.foot
        y = round(5 * (free - (sheet.part[3] - sheet.part[1])))
        piece = image[y : y + bottom - top, x : x + right - left]
        whole[100 + top : 100 + bottom, 100 + left : 100 + right] = piece
        assert sheet.place
    # As a camera sees them: a hairline between two tiles is far below a pixel.
    whole = cv2.resize(whole, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    ids, mm = corners_on(whole, board, PPI / 4)
    assert len(ids) == 24
    assert_true_to_scale(ids, mm, board)


def test_the_smallest_sheet_is_taken_and_a_page_is_as_large_as_it_says(tmp_path):
    board = Board(5, 7, 0.055, 0.04125)
    (sheet,) = write_board_pdf(board, tmp_path / "a.pdf")
    assert sheet.page == (297.0, 420.0)
    box = PdfReader(tmp_path / "a.pdf").pages[0].mediabox
    points = [float(box.width), float(box.height)]
    assert points == pytest.approx([297 / 25.4 * 72, 420 / 25.4 * 72], abs=0.01)
    write_board_pdf(board, tmp_path / "b.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_a_two_sided_board_has_a_mirrored_second_page():
    board = Board(5, 7, 0.03, 0.02, two_sided=True, thickness_m=0.005)
    front, back = (
        cv2.imdecode(np.frombuffer(p, np.uint8), cv2.IMREAD_GRAYSCALE)
        for p in board_pages(board, PPI)
    )
    detect = cv2.aruco.CharucoDetector(board.pattern()).detectBoard
    assert len(detect(front)[1]) == 24
    assert len(detect(np.ascontiguousarray(back[:, ::-1]))[1]) == 24


def test_too_large_a_board_and_an_unknown_paper_are_refused():
    with pytest.raises(LabError, match="A0"):
        lay_out(Board(5, 7, 0.3, 0.2))
    with pytest.raises(LabError, match="no paper"):
        lay_out(BOARDS[0], "b5")


def test_the_verb_prints_and_takes_the_measured_square(tmp_path, capsys):
    file = tmp_path / "mine.toml"
    file.write_text(identity(BOARDS[0]))
    assert main(["board", str(file), "-o", str(tmp_path / "b.pdf"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pages"][0]["page_mm"] == [210.0, 297.0]
    assert main(["board", str(file), "--measured-mm", "245.7", "--squares", "7"]) == 0
    assert "+0.29 %" in capsys.readouterr().out
    assert read_board(file).square_m == pytest.approx(0.0351)
    assert main(["board", str(file)]) == 2
