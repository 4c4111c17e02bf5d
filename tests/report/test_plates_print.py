"""The printed plates, measured in the pages themselves."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from console.cli import main
from lab.errors import LabError
from lab.plates import read_plates
from reconstruct.detect.tag_plates import TagPlates
from report.body_figure import figure_svg
from report.plates_print import cut_pieces, lay_out, plates_pages

PLATES = read_plates("gait-ring")
PPI = 60.0


@pytest.fixture(scope="module")
def pages():
    made = plates_pages(PLATES, PPI, paper="a3")
    return [cv2.imdecode(np.frombuffer(p, np.uint8), cv2.IMREAD_GRAYSCALE) for p in made]


def test_every_tag_is_printed_once_and_true_to_scale(pages):
    detector = TagPlates(PLATES)
    _, placed = lay_out(cut_pieces(PLATES), "a3")
    # The first page is the figure, all of which fits on it.
    assert len(pages) == 1 + len(placed)
    found = {}
    for page in pages[1:]:
        columns, fits = detector.find(page)
        assert fits is not None
        for column, corners in zip(columns, fits.corners_px, strict=True):
            tag = PLATES.tags[column]
            assert tag.number not in found
            sides = np.linalg.norm(np.roll(corners, -1, 0) - corners, axis=1)
            found[tag.number] = np.median(sides)
            # To the pixel that a page as an image has.
            assert found[tag.number] * 25.4 / PPI == pytest.approx(1e3 * tag.side, abs=0.45)
            # Upright as the plates file has it.
            assert corners[1, 0] > corners[0, 0]
            assert corners[3, 1] > corners[0, 1]
    assert sorted(found) == sorted(tag.number for tag in PLATES.tags)


def test_two_tags_of_a_plate_stand_as_far_apart_as_the_plates_file_says(pages):
    detector = TagPlates(PLATES)
    plate = PLATES.plates[0]
    for page in pages[1:]:
        columns, fits = detector.find(page)
        numbers = [PLATES.tags[c].number for c in columns]
        if plate.tags[0].number not in numbers:
            continue
        middles = [fits.corners_px[numbers.index(t.number)].mean(0) for t in plate.tags]
        apart = np.linalg.norm(middles[1] - middles[0]) * 25.4 / PPI
        assert apart == pytest.approx(108.0, rel=1e-3)
        return
    pytest.fail("the plate is on no page")


def test_the_figure_shows_every_plate_of_the_left_and_of_the_middle():
    svg = figure_svg(PLATES)
    worn = [i for i, p in enumerate(PLATES.plates, 1) if p.segment != "wand"]
    seen = [i for i in worn if f">{i}</text>" in svg]
    missing = {PLATES.plates[i - 1].name for i in worn if i not in seen}
    assert missing <= {"pelvis_right", "right_foot_outside"}


def test_papers_and_pieces_that_do_not_fit_are_named(tmp_path, capsys):
    with pytest.raises(LabError, match="no paper called 'a9'"):
        lay_out(cut_pieces(PLATES), "a9")
    wide = replace(PLATES, plates=(replace(PLATES.plates[0], name="wide"),), margin_bits=20.0)
    with pytest.raises(LabError, match=r"wide .* does not fit on a4"):
        lay_out(cut_pieces(wide), "a4")
    assert main(["plates", "nobody", "-o", str(tmp_path / "p.pdf")]) == 2
    assert "nobody" in capsys.readouterr().err
    assert not (tmp_path / "p.pdf").exists()
