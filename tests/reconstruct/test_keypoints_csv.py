"""Keypoint tables: what they hold, and what is wrong with those that are damaged."""

from __future__ import annotations

import numpy as np
import pytest

from lab.errors import FileError, LabError
from reconstruct.detect.keypoints_csv import read_keypoints

HEAD = "t,name,x_px,y_px,score\n"
GOOD = HEAD + (
    "0.00,left_hip,10.5,20.25,0.9\n"
    "0.00,right_hip,11,21,0.8\n"
    "0.00,left_pinky,1,2,0.5\n"
    "0.02,right_hip,12,22,\n"
    "0.04,left_hip,,,0.1\n"
    "0.04,right_hip,13,23,0.7\n"
)


def read(tmp_path, text, **options):
    path = tmp_path / "cam01.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_keypoints(path, "cam01", **options)


def test_values_and_gaps(tmp_path):
    points = read(tmp_path, GOOD, skeleton="blazepose33")
    assert points.camera == "cam01"
    assert points.names == ("left_hip", "right_hip")
    assert points.t.tolist() == [0.0, 0.02, 0.04]
    assert points.xy_px[0].tolist() == [[10.5, 20.25], [11, 21]]
    assert np.isnan(points.xy_px[1:, 0]).all()
    assert points.xy_px[2, 1].tolist() == [13, 23]
    assert np.isnan(points.score[1, 1])
    assert np.isnan(points.cov_px).all()


def test_any_order_of_lines_columns_and_line_ends(tmp_path):
    lines = GOOD.splitlines()
    shuffled = "\r\n".join([lines[0], *reversed(lines[1:])])
    first, second = read(tmp_path, GOOD), read(tmp_path, "\ufeff" + shuffled)
    assert first.names == second.names
    assert np.array_equal(first.xy_px, second.xy_px, equal_nan=True)
    cells = [line.split(",") for line in lines]
    turned = "\n".join(",".join([c[4], c[2], "x", c[1], c[3], c[0]]) for c in cells)
    third = read(tmp_path, turned)
    assert np.array_equal(first.xy_px, third.xy_px, equal_nan=True)


def test_zero_zero_zero_is_not_seen(tmp_path):
    text = HEAD + "0,left_hip,0,0,0\n0,right_hip,0,0,0.5\n"
    points = read(tmp_path, text)
    assert np.isnan(points.xy_px[0, 0]).all()
    assert points.xy_px[0, 1].tolist() == [0, 0]


def test_names_of_another_detector(tmp_path):
    text = HEAD + "".join(f"0,{n},1,2,0.5\n" for n in ("LHip", "RHip", "LBigToe", "Hip", "Neck"))
    assert read(tmp_path, text).names == ("neck", "left_hip", "right_hip", "left_foot_index")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (HEAD, "nothing after the header"),
        ("t,name,x_px,score\n0,left_hip,1,1\n", "line 1: the column y_px is missing"),
        (GOOD + "0.06,left_hip,1,2,x\n", "line 8, score: 'x' is not a number"),
        (GOOD + "0.06,left_hip,1e,2,1\n", "line 8, x_px: '1e' is not a number"),
        (GOOD + "0.06,left_hip,1", "line 8 has 3 columns, expected 5"),
        (GOOD + "\n0.06,left_hip,1,2,1,7\n", "line 9 has 6 columns, expected 5"),
        (GOOD + "0.00,right_hip,1,2,1\n", "line 8 holds a point that this frame has already"),
        (GOOD + ",right_hip,1,2,1\n", "line 8 has no time"),
        (GOOD + "0.1,,1,2,1\n", "line 8 has no name"),
        (GOOD + "0.1,nose,inf,2,1\n", "line 8 has an infinite x_px"),
        (HEAD + "0,paw,1,2,1\n0,tail,1,2,1\n", "belong to no skeleton known here: paw, tail"),
        (b"\x00\x01\xff\xfe\x00t,n", "not text"),
    ],
)
def test_damage_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(FileError, match=r"^cam01\.csv") as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert caught.value.remedy


def test_a_missing_file(tmp_path):
    with pytest.raises(FileError, match="no such file"):
        read_keypoints(tmp_path / "none.csv", "cam01")


def test_a_skeleton_that_does_not_fit(tmp_path):
    with pytest.raises(FileError, match="no name in it belongs to the skeleton halpe26"):
        read(tmp_path, GOOD, skeleton="halpe26")
    with pytest.raises(LabError, match="no skeleton called 'cat'"):
        read(tmp_path, GOOD, skeleton="cat")
