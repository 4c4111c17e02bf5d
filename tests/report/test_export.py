"""Exports are views: what is read back equals the trial."""

import csv
from dataclasses import replace

import ezc3d
import numpy as np
import pytest

from lab.errors import FileError, LabError
from lab.gait import Curves
from lab.points import Points3D
from report.export.formats import FORMATS, export


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    return head, rows


def numbers(path):
    head, rows = read_csv(path)
    return head, np.array([[float(x) for x in row] for row in rows])


def shifted(trial, t):
    """Put the trial's samples at other times."""

    def points(p):
        return Points3D(p.names, t, p.xyz, p.cov)

    curves = Curves(trial.curves.names, t, trial.curves.values, trial.curves.sigma)
    return replace(
        trial, points=points(trial.points), smoothed=points(trial.smoothed), curves=curves
    )


@pytest.fixture(scope="module")
def trial(make_trial):
    built = make_trial()
    xyz = built.smoothed.xyz.copy()
    xyz[10:14, 3] = np.nan
    values = built.curves.values.copy()
    values[20:23, 1] = np.nan
    smoothed = replace(built.smoothed, xyz=xyz)
    return replace(built, smoothed=smoothed, curves=replace(built.curves, values=values))


def test_csv_reads_back_equal(trial, tmp_path):
    paths = {p.name: p for p in export(trial, "csv", tmp_path)}
    head, table = numbers(paths["curves.csv"])
    first = trial.curves.names[0]
    assert head[:3] == ["t", f"{first}_deg", f"{first}_sigma_deg"]
    np.testing.assert_allclose(table[:, 0], trial.curves.t, atol=1e-9)
    np.testing.assert_allclose(table[:, 1::2], np.degrees(trial.curves.values), atol=1e-9)
    np.testing.assert_allclose(table[:, 2::2], np.degrees(trial.curves.sigma), atol=1e-9)
    for name, points in (("points.csv", trial.points), ("points_smoothed.csv", trial.smoothed)):
        head, table = numbers(paths[name])
        assert head[:4] == ["t", *(f"{points.names[0]}_{axis}" for axis in "xyz")]
        np.testing.assert_allclose(table[:, 1:].reshape(points.xyz.shape), points.xyz, atol=1e-9)


def test_csv_holds_six_decimals_or_more(trial, tmp_path):
    paths = export(trial, "csv", tmp_path)
    _, rows = read_csv(paths[0])
    assert all(len(x.partition(".")[2]) >= 6 for x in rows[0])


def test_csv_events_and_measures(trial, tmp_path):
    paths = {p.name: p for p in export(trial, "csv", tmp_path)}
    head, rows = read_csv(paths["events.csv"])
    assert head == ["t", "kind", "side", "sigma", "source"]
    assert len(rows) == len(trial.events)
    for row, event in zip(rows, trial.events, strict=True):
        assert (row[1], row[2], row[4]) == (event.kind, event.side, event.source)
        assert float(row[0]) == pytest.approx(event.t, abs=1e-9)
    head, rows = read_csv(paths["measures.csv"])
    by_key = {(r[0], r[1]): dict(zip(head, r, strict=True)) for r in rows}
    assert len(by_key) == len(trial.measures)
    for m in trial.measures:
        row = by_key[m.name, m.side]
        factor, unit = (180 / np.pi, "deg") if m.unit == "rad" else (1.0, m.unit)
        assert row["unit"] == unit
        assert float(row["value"]) == pytest.approx(m.value * factor, abs=1e-8)
        assert float(row["sigma"]) == pytest.approx(m.sigma * factor, abs=1e-8)
        assert int(row["n"]) == m.n
        assert row["definition"] == m.definition


def test_trc_reads_back_equal_with_y_up(trial, tmp_path):
    (path,) = export(trial, "trc", tmp_path)
    lines = path.read_text(encoding="utf-8").split("\n")
    rate, _, frames, count, unit = lines[2].split("\t")[:5]
    assert (float(rate), int(frames), int(count), unit) == (100.0, 700, 12, "mm")
    assert [n for n in lines[3].split("\t")[2:] if n] == list(trial.smoothed.names)
    rows = [line.split("\t") for line in lines[6:] if line]
    table = np.array([[float(x) if x else np.nan for x in row] for row in rows])
    assert table.shape == (700, 2 + 3 * 12)
    read = table[:, 2:].reshape(700, 12, 3) / 1000
    np.testing.assert_allclose(table[:, 1], trial.smoothed.t, atol=1e-9)
    np.testing.assert_allclose(read[..., 0], trial.smoothed.xyz[..., 0], atol=1e-9)
    np.testing.assert_allclose(read[..., 1], trial.smoothed.xyz[..., 2], atol=1e-9)
    np.testing.assert_allclose(read[..., 2], -trial.smoothed.xyz[..., 1], atol=1e-9)


def test_c3d_reads_back_equal(trial, tmp_path):
    (path,) = export(trial, "c3d", tmp_path)
    file = ezc3d.c3d(str(path))
    parameters = file["parameters"]
    labels = parameters["POINT"]["LABELS"]["value"]
    assert labels == [*trial.smoothed.names, *trial.curves.names]
    assert parameters["POINT"]["ANGLES"]["value"] == list(trial.curves.names)
    data = np.where(
        file["data"]["meta_points"]["residuals"] < 0, np.nan, file["data"]["points"][:3]
    )
    k = len(trial.smoothed.names)
    xyz = np.transpose(data[:, :k], (2, 1, 0)) / 1000
    np.testing.assert_allclose(xyz, trial.smoothed.xyz, atol=1e-6)
    np.testing.assert_allclose(data[0, k:].T, np.degrees(trial.curves.values), atol=1e-4)
    start = file["header"]["points"]["first_frame"] / 100.0
    assert start == pytest.approx(trial.smoothed.t[0])
    times = parameters["EVENT"]["TIMES"]["value"]
    np.testing.assert_allclose(60 * times[0] + times[1], [e.t for e in trial.events], atol=1e-5)
    assert parameters["EVENT"]["CONTEXTS"]["value"] == [e.side.capitalize() for e in trial.events]


@pytest.mark.parametrize(("start", "first", "shift"), [(2.5, 250, 0.0), (1234.5678, 0, 1234.5678)])
def test_c3d_keeps_times(trial, tmp_path, start, first, shift):
    moved = shifted(trial, trial.curves.t + start)
    moved = replace(moved, events=tuple(replace(e, t=e.t + start) for e in trial.events))
    (path,) = export(moved, "c3d", tmp_path)
    file = ezc3d.c3d(str(path))
    assert file["header"]["points"]["first_frame"] == first
    offset = float(file["parameters"]["GAITLAB"]["TIME_OFFSET"]["value"][0])
    assert offset == pytest.approx(shift, rel=1e-6)
    times = file["parameters"]["EVENT"]["TIMES"]["value"]
    np.testing.assert_allclose(
        60 * times[0] + times[1] + shift, [e.t for e in moved.events], atol=1e-5
    )


def test_mot_reads_back_equal(trial, tmp_path):
    (path,) = export(trial, "mot", tmp_path)
    head, body = path.read_text(encoding="utf-8").split("endheader\n")
    assert "inDegrees=yes" in head
    assert "nRows=700" in head
    names, *rows = body.rstrip("\n").split("\n")
    assert names.split("\t") == ["time", *trial.curves.names]
    table = np.array([[float(x) for x in row.split("\t")] for row in rows])
    np.testing.assert_allclose(table[:, 1:], np.degrees(trial.curves.values), atol=1e-9)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_same_trial_same_bytes_and_a_trial_without_cycles_succeeds(make_trial, tmp_path, name):
    empty = make_trial(left=0, right=0)
    once = export(empty, name, tmp_path / "a")
    again = export(empty, name, tmp_path / "b")
    assert once
    assert [p.read_bytes() for p in once] == [p.read_bytes() for p in again]
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == sorted(p.name for p in once)


@pytest.mark.parametrize("name", ["c3d", "trc"])
def test_formats_without_times_refuse_uneven_samples(trial, tmp_path, name):
    t = trial.curves.t.copy()
    t[50:] += 0.01
    with pytest.raises(LabError, match="not evenly sampled"):
        export(shifted(trial, t), name, tmp_path)


def test_unknown_format_names_the_known_ones(trial, tmp_path):
    with pytest.raises(LabError, match="c3d, csv, mot, trc"):
        export(trial, "xlsx", tmp_path)


def test_a_folder_that_cannot_be_made(trial, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be made"):
        export(trial, "csv", tmp_path / "file" / "under")
