"""3D markers from C3D, TRC and CSV: right numbers and times, and refusals that say what to do."""

from __future__ import annotations

import csv
import math
import struct
from pathlib import Path

import ezc3d
import numpy as np
import pytest

from lab.errors import FileError, LabError
from reconstruct.detect.markers import read_markers

C3D = {
    "walk_straight_plusY": "HC002D06.c3d",
    "walk_straight_minusY": "HC036A10.c3d",
    "walk_turn45": "HC036A23.c3d",
    "stairs_minusX": "Movement_trial.c3d",
}
NAMES = ("LASI", "RASI", "C7")
CSV_TEXT = "t,a_x,a_y,a_z,b_x,b_y,b_z\n0.00,1,2,3,4,5,6\n0.01,1,2,3,,,\n0.02,0,0,0,4,5,6\n"
TRC_TEXT = (
    "PathFileType\t4\t(X/Y/Z)\twalk.trc\n"
    "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\t"
    "OrigNumFrames\n"
    "100\t100\t2\t2\tmm\t100\t1\t2\n"
    "Frame#\tTime\ta\t\t\tb\t\t\n"
    "\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n"
    "\n"
    "1\t0.00\t1\t2\t3\t4\t5\t6\n"
    "2\t0.01\t1\t2\t3\t\t\t\n"
)


def write_c3d(path: Path, xyz: np.ndarray, names=NAMES, **point) -> Path:
    """Write points (T, K, 3) with ezc3d; keyword arguments become parameters of POINT."""
    c3d = ezc3d.c3d()
    c3d["header"]["points"]["first_frame"] = 9
    c3d["parameters"]["POINT"]["LABELS"]["value"] = list(names)
    c3d["parameters"]["POINT"]["RATE"]["value"] = [100.0]
    for key, value in {"UNITS": "mm", **point}.items():
        c3d.add_parameter("POINT", key, value)
    data = np.ones((4, *xyz.shape[1::-1]))
    data[:3] = np.transpose(xyz, (2, 1, 0))
    c3d["data"]["points"] = data
    c3d.write(str(path))
    return path


@pytest.fixture
def xyz() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 500, (5, 3, 3))


@pytest.mark.parametrize("trial", C3D)
def test_a_c3d_says_what_the_table_beside_it_says(data, trial):
    folder = data / "gait" / trial
    read = read_markers(folder / C3D[trial])
    table = read_markers(folder / "markers.csv", unit="mm", up="z", forward="x")
    # The table's times are written to 1e-5 s.
    np.testing.assert_allclose(read.points.t, table.points.t, atol=6e-6)
    content = ezc3d.c3d(str(folder / C3D[trial]))["header"]["points"]
    first = content["first_frame"] + np.arange(len(read.points.t))
    np.testing.assert_allclose(read.points.t, first / content["frame_rate"], atol=1e-9)
    for name in table.points.names:
        np.testing.assert_allclose(
            read.points.point(name), table.points.point(name), atol=2e-6, err_msg=name
        )
    assert np.isnan(read.points.cov).all()
    assert not [n for n in read.points.names if n.startswith("*") or "Angles" in n]


@pytest.mark.parametrize("trial", C3D)
def test_stored_events_stand_on_the_clock_of_the_markers(data, trial):
    read = read_markers(data / "gait" / trial / C3D[trial])
    with (data / "gait" / trial / "events.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = sorted(
        (
            float(row["time_s"]),
            {"L": "left", "R": "right"}[row["side"]],
            row["event"].lower().replace(" ", "_"),
        )
        for row in rows
    )
    assert [(e.side, e.kind) for e in read.events] == [(s, k) for _, s, k in expected]
    np.testing.assert_allclose([e.t for e in read.events], [t for t, _, _ in expected], atol=1e-6)
    assert all(math.isnan(e.sigma) and e.source == C3D[trial] for e in read.events)


def test_the_body_s_measures_come_under_the_keys_of_the_trial(data):
    folder = data / "gait" / "walk_straight_minusY"
    subject = read_markers(folder / C3D["walk_straight_minusY"]).subject
    assert subject["leg_length_left_mm"] == 700.0
    assert subject["leg_length_right_mm"] == 710.0
    assert subject["inter_asis_distance_mm"] == 163.0
    assert subject["asis_trochanter_right_mm"] == pytest.approx(42.888)
    assert subject["thigh_rotation_right_rad"] == pytest.approx(math.radians(10))
    assert subject["height_m"] == pytest.approx(1.34)
    # The file says 10 mm across, the model in it was made with a radius of 7.
    assert "marker_radius_mm" not in subject


@pytest.mark.parametrize(
    "trial", ["run_overground/run.trc", "run_treadmill_3mps/hamner01_run300.trc"]
)
def test_a_trc_says_what_the_table_beside_it_says(data, trial):
    path = data / "gait" / trial
    read = read_markers(path, up="y", forward="+x").points
    table = read_markers(path.parent / "markers.csv", unit="mm", up="y", forward="+x").points
    assert set(read.names) == set(table.names)
    for name in table.names:
        np.testing.assert_allclose(read.point(name), table.point(name), atol=2e-6, err_msg=name)
    np.testing.assert_allclose(read.t, table.t, atol=6e-4)
    assert 0.8 < np.nanmean(read.point("LASI")[:, 2]) < 1.3
    assert (read.point("LASI")[:, 1] > read.point("RASI")[:, 1]).mean() > 0.95


@pytest.mark.parametrize(
    ("up", "forward", "lab"),
    [
        ("z", "x", [1, 2, 3]),
        ("+z", "+y", [2, -1, 3]),
        ("Z", "-y", [-2, 1, 3]),
        ("y", "x", [1, -3, 2]),
        ("-x", "z", [3, 2, -1]),
    ],
)
def test_axes_are_turned_into_the_lab_s(tmp_path, up, forward, lab):
    path = tmp_path / "walk.csv"
    path.write_text(CSV_TEXT)
    points = read_markers(path, unit="m", up=up, forward=forward).points
    np.testing.assert_allclose(points.point("a")[0], lab)
    mm = read_markers(path, unit="mm", up=up, forward=forward).points
    np.testing.assert_allclose(mm.point("a")[0], np.array(lab) / 1000)


def test_blanks_and_zeros_are_missing(tmp_path):
    path = tmp_path / "walk.csv"
    path.write_text(CSV_TEXT)
    points = read_markers(path, unit="m", up="z", forward="x").points
    assert np.isnan(points.xyz[1, 1]).all()
    assert np.isnan(points.xyz[2, 0]).all()
    assert np.isfinite(points.xyz[0]).all()
    path = tmp_path / "walk.trc"
    path.write_text(TRC_TEXT)
    points = read_markers(path, up="z", forward="x").points
    assert np.isnan(points.xyz[1, 1]).all()
    np.testing.assert_allclose(points.point("b")[0], [0.004, 0.005, 0.006])


def test_a_written_c3d_is_read_back(tmp_path, xyz):
    xyz[2, 1] = 0.0
    read = read_markers(write_c3d(tmp_path / "a.c3d", xyz)).points
    assert read.names == NAMES
    np.testing.assert_allclose(read.t, (9 + np.arange(5)) / 100)
    assert np.isnan(read.xyz[2, 1]).all()
    expected = np.where((xyz == 0).all(-1, keepdims=True), np.nan, xyz / 1000)
    np.testing.assert_allclose(read.xyz, expected, atol=1e-6)


def test_a_c3d_s_own_axes_are_used_and_can_be_overridden(tmp_path, xyz):
    path = write_c3d(tmp_path / "a.c3d", xyz, X_SCREEN="+Z", Y_SCREEN="+Y")
    x, y, z = np.moveaxis(xyz / 1000, -1, 0)
    np.testing.assert_allclose(read_markers(path).points.xyz, np.stack([z, x, y], -1), atol=1e-6)
    turned = read_markers(path, up="z", forward="x").points.xyz
    np.testing.assert_allclose(turned, xyz / 1000, atol=1e-6)


def test_prefixes_go_and_two_subjects_are_refused(tmp_path, xyz):
    path = write_c3d(tmp_path / "a.c3d", xyz, names=("P1:LASI", "P1:RASI", "*7"))
    assert read_markers(path).points.names == ("LASI", "RASI")
    path = write_c3d(tmp_path / "b.c3d", xyz, names=("P1:LASI", "P2:LASI", "C7"))
    with pytest.raises(LabError, match="stand twice: LASI"):
        read_markers(path)
    path = write_c3d(tmp_path / "c.c3d", xyz, names=("*1", "*2", "*3"))
    with pytest.raises(FileError, match="no labelled markers"):
        read_markers(path)


def test_what_the_file_does_not_say_is_asked_for(tmp_path, xyz):
    path = tmp_path / "walk.csv"
    path.write_text(CSV_TEXT)
    with pytest.raises(LabError, match=r"Give unit = .* under \[markers\] in trial.toml"):
        read_markers(path, up="z", forward="x")
    with pytest.raises(LabError, match=r"Give up = .* in trial.toml"):
        read_markers(path, unit="m", forward="x")
    with pytest.raises(LabError, match=r"Give forward = .* in trial.toml"):
        read_markers(path, unit="m", up="z")
    with pytest.raises(LabError, match="unit of length 'inch'"):
        read_markers(path, unit="inch", up="z", forward="x")
    with pytest.raises(LabError, match="up = 'w' is not an axis"):
        read_markers(path, unit="m", up="w", forward="x")
    with pytest.raises(LabError, match="the same axis"):
        read_markers(path, unit="m", up="z", forward="-z")
    path = tmp_path / "walk.trc"
    path.write_text(TRC_TEXT.replace("\tmm\t", "\t\t"))
    with pytest.raises(LabError, match="unit = "):
        read_markers(path, up="z", forward="x")
    with pytest.raises(LabError, match="unit = "):
        read_markers(write_c3d(tmp_path / "a.c3d", xyz, UNITS=""))


def test_a_wrong_unit_or_up_is_found_out(data):
    path = data / "gait" / "walk_straight_plusY" / "markers.csv"
    with pytest.raises(LabError, match=r"markers span .* Correct unit"):
        read_markers(path, unit="m", up="z", forward="x")
    with pytest.raises(LabError, match=r"the body lies.* Correct up"):
        read_markers(path, unit="mm", up="y", forward="x")


def test_a_c3d_cut_anywhere_is_refused_and_never_ends_the_program(tmp_path, data):
    whole = (data / "gait" / "walk_straight_plusY" / C3D["walk_straight_plusY"]).read_bytes()
    path = tmp_path / "cut.c3d"
    lengths = [0, 1, 100, 511, 512, 600, 2000, 20000, 60000, 62000, 600000, len(whole) - 520]
    for length in lengths:
        path.write_bytes(whole[:length])
        with pytest.raises(FileError, match=r"cut\.c3d"):
            read_markers(path)


def test_missing_samples_are_told_by_bytes_not_only_by_frames(tmp_path, xyz):
    whole = write_c3d(tmp_path / "a.c3d", xyz).read_bytes()
    path = tmp_path / "cut.c3d"
    data_start = (struct.unpack_from("<H", whole, 16)[0] - 1) * 512
    needed = data_start + 5 * 3 * 16
    path.write_bytes(whole[: needed - 1])
    with pytest.raises(FileError, match=f"need {needed} bytes, it has {needed - 1}"):
        read_markers(path)
    path.write_bytes(whole[:needed])
    assert len(read_markers(path).points.t) == 5


def test_a_negative_residual_is_a_missing_point(tmp_path, xyz):
    path = write_c3d(tmp_path / "a.c3d", xyz)
    whole = bytearray(path.read_bytes())
    data_start = (struct.unpack_from("<H", whole, 16)[0] - 1) * 512
    struct.pack_into("<f", whole, data_start + (1 * 3 + 2) * 16 + 12, -1.0)
    path.write_bytes(whole)
    read = read_markers(path).points
    assert np.isnan(read.xyz[1, 2]).all()
    assert np.isfinite(read.xyz).all(axis=-1).sum() == 14


def test_event_times_are_minutes_and_seconds(tmp_path, xyz):
    path = write_c3d(tmp_path / "a.c3d", xyz)
    c3d = ezc3d.c3d(str(path))
    c3d.add_parameter("EVENT", "LABELS", ["Foot Off", "Foot Strike", "Foot Strike", "Event"])
    c3d.add_parameter("EVENT", "CONTEXTS", ["Left", "Right", "General", "Left"])
    c3d.add_parameter("EVENT", "TIMES", np.array([[1.0, 1.0, 0.0, 0.0], [2.5, 0.25, 1.0, 1.0]]))
    c3d.write(str(path))
    events = read_markers(path).events
    assert [(e.kind, e.side) for e in events] == [("foot_strike", "right"), ("foot_off", "left")]
    np.testing.assert_allclose([e.t for e in events], [60.25, 62.5])


def test_lengths_inside_a_c3d_are_checked(tmp_path, xyz):
    whole = bytearray(write_c3d(tmp_path / "a.c3d", xyz).read_bytes())
    path = tmp_path / "bad.c3d"

    def refused(offset: int, patch: bytes, message: str) -> None:
        changed = whole.copy()
        changed[offset : offset + len(patch)] = patch
        path.write_bytes(changed)
        with pytest.raises(FileError, match=message):
            read_markers(path)

    start = (whole[0] - 1) * 512
    refused(0, b"\xc8", "ends before its parameters")
    refused(1, b"\x00", "not a C3D")
    refused(2, struct.pack("<H", 900), "disagree on the number of points")
    refused(6, struct.pack("<HH", 10, 9), "no frames")
    refused(8, struct.pack("<H", 9000), "truncated")
    refused(20, struct.pack("<f", 0.0), "frame rate")
    refused(start + 3, b"\x07", "processor type 7")
    labels = whole.index(b"LABELS") + len("LABELS")
    refused(labels, struct.pack("<H", 60000), "damaged or cut short")
    refused(labels + 4, b"\xff", "damaged or cut short")


def test_no_points(tmp_path):
    path = write_c3d(tmp_path / "a.c3d", np.zeros((5, 0, 3)), names=())
    with pytest.raises(FileError, match="no points"):
        read_markers(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.c3d", "t,a_x\n" * 300, "not a C3D"),
        ("a.csv", "", "empty"),
        ("a.trc", "  \n", "empty"),
        ("a.csv", "t,a_x,a_y\n0,1,2\n", "the header is not"),
        ("a.csv", "time,a_x,a_y,a_z\n0,1,2,3\n", "the header is not"),
        ("a.csv", "t,a_x,a_y,a_z,a_x,a_y,a_z\n0,1,2,3,1,2,3\n", "stands twice"),
        ("a.csv", "t,a_x,a_y,a_z\n", "no rows"),
        ("a.csv", "t,a_x,a_y,a_z\n0,1,2\n", "line 2 has 3 columns, expected 4"),
        ("a.csv", "t,a_x,a_y,a_z\n0,1,two,3\n", "line 2: 'two' is not a number"),
        ("a.csv", "t,a_x,a_y,a_z\n0,1,2,3\n0,1,2,3\n", "times do not rise"),
        ("a.csv", "t,a_x,a_y,a_z\n,1,2,3\n", "times do not rise"),
        ("a.trc", "t,a_x,a_y,a_z\n0,1,2,3\n", "not a TRC"),
        ("a.trc", TRC_TEXT.replace("100\t2\t2", "100\t3\t2"), "3 frames stated, 2 there"),
        ("a.trc", TRC_TEXT.replace("100\t2\t2", "100\t2\t3"), "states 3 markers and names 2"),
        ("a.trc", TRC_TEXT.replace("\tb\t", "\ta\t"), "stand twice: a"),
        ("a.trc", TRC_TEXT[:-8], "columns, expected 8"),
        ("a.trc", TRC_TEXT.replace("\t5\t", "\tfive\t"), "'five' is not a number"),
        ("a.trc", TRC_TEXT.replace("0.01", "0.00"), "times do not rise"),
        ("a.txt", "t", "ending in '.txt'"),
    ],
)
def test_a_broken_file_is_refused(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(FileError, match=message):
        read_markers(path, unit="m", up="z", forward="x")


def test_missing_files_folders_and_bytes(tmp_path):
    for name in ("a.c3d", "a.trc", "a.csv"):
        with pytest.raises(FileError, match="no such file"):
            read_markers(tmp_path / name)
        (tmp_path / f"folder_{name}").mkdir()
        with pytest.raises(FileError, match="no such file"):
            read_markers(tmp_path / f"folder_{name}")
    for name in ("b.trc", "b.csv"):
        (tmp_path / name).write_bytes(bytes(range(256)))
        with pytest.raises(FileError, match="not text"):
            read_markers(tmp_path / name)
