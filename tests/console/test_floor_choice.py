"""What the page Calibrate is told of up and heading, as the verb takes it."""

import numpy as np
import pytest

from calibration.plumb import read_plumb
from console.floor_choice import INCLINE, PLUMB, PLUMB_FILE, UpChoice, floor_verb
from lab.errors import LabError

LINES = {"cam01": ((812.0, 95.5), (818.5, 940.0)), "cam03": ((1033.0, 120.0), (1029.0, 965.5))}


def test_what_a_calibration_takes_by_itself_needs_no_verb():
    assert UpChoice().usual
    assert not UpChoice(heading="-x").usual
    assert not UpChoice(sigma_deg=0.1).usual
    assert UpChoice().sigma_deg == 0.2  # as gaitlab calibrate takes it by itself


def test_each_choice_is_the_verb_of_the_command_line(tmp_path):
    board = tmp_path / "board.toml"
    level = floor_verb(tmp_path, board, UpChoice(heading="-x", sigma_deg=0.3))
    assert "--heading=-x" in level
    assert level[level.index("--level-sigma-deg") + 1] == "0.3"
    assert "--level" in level
    incline = floor_verb(tmp_path, board, UpChoice(by=INCLINE, incline_deg=(-1.5, 0.2)))
    at = incline.index("--inclinometer-deg")
    assert incline[at + 1 : at + 3] == ("-1.5", "0.2")
    assert "--level" not in incline
    plumb = floor_verb(tmp_path, board, UpChoice(by=PLUMB, lines_px=LINES, line_sigma_px=2.5))
    assert plumb[plumb.index("--plumb") + 1] == str(tmp_path / PLUMB_FILE)
    read = read_plumb(tmp_path / PLUMB_FILE)
    assert read.sigma_px == 2.5
    assert np.allclose(read.points_px["cam03"], LINES["cam03"])


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (UpChoice(by=INCLINE), "the incline is not given"),
        (UpChoice(by=INCLINE, incline_deg=(60.0, 0.0)), "the incline is not given"),
        (UpChoice(by=PLUMB, lines_px={"cam01": LINES["cam01"]}), "marked in 1 pictures"),
        (UpChoice(sigma_deg=0.0), "between 0 and 45"),
    ],
)
def test_a_choice_that_says_too_little_is_refused(tmp_path, choice, said):
    with pytest.raises(LabError, match=said):
        floor_verb(tmp_path, tmp_path / "board.toml", choice)
    assert not (tmp_path / PLUMB_FILE).exists()
