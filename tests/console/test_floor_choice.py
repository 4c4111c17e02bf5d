"""What the page Calibrate is told of up and heading, as the verb takes it."""

import numpy as np
import pytest

from calibration.plumb import read_plumb
from console.floor_choice import (
    BEFORE_LINE,
    INCLINE,
    PLUMB,
    PLUMB_FILE,
    UpChoice,
    plumb_verb,
    solve_words,
)
from console.lab_folder import RIG_FILE
from lab.errors import LabError

LINES = {"cam01": ((812.0, 95.5), (818.5, 940.0)), "cam03": ((1033.0, 120.0), (1029.0, 965.5))}


def test_each_choice_is_told_to_the_verb_of_the_command_line(tmp_path):
    board = tmp_path / "board.toml"
    assert UpChoice().sigma_deg == 0.2  # as gaitlab calibrate takes it by itself
    level = solve_words(UpChoice(heading="-x", sigma_deg=0.3))
    assert level == ("--heading=-x", "--level-sigma-deg", "0.3")
    incline = solve_words(UpChoice(by=INCLINE, incline_deg=(-1.5, 0.2)))
    assert incline[-3:] == ("--inclinometer-deg", "-1.5", "0.2")
    choice = UpChoice(by=PLUMB, lines_px=LINES, line_sigma_px=2.5)
    assert solve_words(choice) == ("--heading=+x",)
    plumb = plumb_verb(tmp_path, board, choice)
    assert plumb[plumb.index("--plumb") + 1] == str(tmp_path / PLUMB_FILE)
    # Where the line is refused there is no rig at all, and none whose up is the floor's.
    assert plumb[2] == str(tmp_path / BEFORE_LINE)
    assert plumb[-1] == str(tmp_path / RIG_FILE) != plumb[2]
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
        plumb_verb(tmp_path, tmp_path / "board.toml", choice)
    assert not (tmp_path / PLUMB_FILE).exists()
