"""Whatever a file has suffered, the operator reads one message that names it and what to do."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from lab.errors import FileError
from lab.gait import Curves
from lab.store import load_rig, load_trial, save_rig, save_trial


@pytest.fixture
def trial_file(trial, tmp_path):
    path = tmp_path / "trial.h5"
    save_trial(trial, path)
    return path


@pytest.fixture
def rig_file(rig, tmp_path):
    path = tmp_path / "rig.h5"
    save_rig(rig, path)
    return path


def refusal(load, path) -> str:
    """The message, after checking that it names the file and says what to do."""
    with pytest.raises(FileError) as caught:
        load(path)
    error = caught.value
    assert error.where == str(path)
    assert str(path) in str(error)
    assert error.remedy.endswith(".")
    assert "\n" not in str(error)
    return error.what


def test_missing(tmp_path):
    assert refusal(load_trial, tmp_path / "none.h5") == "no such file"
    assert refusal(load_rig, tmp_path / "none" / "none.h5") == "no such file"


def test_a_folder(tmp_path):
    assert "cannot be read" in refusal(load_trial, tmp_path)


def test_empty(tmp_path):
    (tmp_path / "a.h5").touch()
    assert refusal(load_trial, tmp_path / "a.h5") == "the file is empty"


@pytest.mark.parametrize("content", [b"x", b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n", b"\0" * 4096])
def test_not_hdf5(tmp_path, content):
    (tmp_path / "a.h5").write_bytes(content)
    assert refusal(load_rig, tmp_path / "a.h5") == "not an HDF5 file"


def test_foreign_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["points/xyz"] = np.zeros((3, 3))
    assert "not one that gaitlab wrote" in refusal(load_trial, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file.attrs["format"] = [1.0, 2.0]
    assert "not one that gaitlab wrote" in refusal(load_trial, tmp_path / "a.h5")


def test_the_other_kind(trial_file, rig_file):
    assert refusal(load_trial, rig_file) == "holds a rig, expected a trial"
    assert refusal(load_rig, trial_file) == "holds a trial, expected a rig"


def test_newer(rig_file):
    with h5py.File(rig_file, "a") as file:
        file.attrs["schema"] = 99
    assert "layout version 99" in refusal(load_rig, rig_file)
    with pytest.raises(FileError, match="Update gaitlab"):
        load_rig(rig_file)


@pytest.mark.parametrize("schema", [0, "1", None])
def test_no_version(rig_file, schema):
    with h5py.File(rig_file, "a") as file:
        del file.attrs["schema"]
        if schema is not None:
            file.attrs["schema"] = schema
    assert "'schema' is missing or wrong" in refusal(load_rig, rig_file)


def test_every_item_is_missed(trial_file, tmp_path):
    items: list[str] = []
    with h5py.File(trial_file) as file:
        file.visit(items.append)
    assert len(items) > 100
    content = trial_file.read_bytes()
    for item in items:
        path = tmp_path / "less.h5"
        path.write_bytes(content)
        with h5py.File(path, "a") as file:
            del file[item]
        assert f"/{item} is missing" in refusal(load_trial, path)


def replaced(item, value):
    def change(file):
        attributes = dict(file[item].attrs)
        del file[item]
        file[item] = value
        file[item].attrs.update(attributes)

    return change


def set_value(item, where, value):
    def change(file):
        file[item][where] = value

    return change


def test_a_checksum_guards_the_large_arrays(trial, tmp_path):
    # Also where there is nothing to compress.
    t = np.arange(600) * 0.01
    noise = np.random.default_rng(2).integers(0, 2**64, (600, 2), np.uint64).view(np.float64)
    path = tmp_path / "trial.h5"
    curves = Curves(("a", "b"), t, noise, np.full((600, 2), np.nan))
    save_trial(replace(trial, curves=curves), path)
    content = path.read_bytes()
    for name in ("points/xyz", "curves/values"):
        with h5py.File(path) as file:
            chunk = file[name].id.get_chunk_info(0)
        flipped = bytearray(content)
        flipped[chunk.byte_offset + chunk.size // 2] ^= 1
        path.write_bytes(flipped)
        assert "truncated or damaged" in refusal(load_trial, path)
        path.write_bytes(content)
    load_trial(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced("points/xyz", np.zeros((30, 2, 3))), "/points: Points3D.xyz: expected shape"),
        (replaced("points/xyz", np.zeros((30, 3, 3), "f4")), "/points/xyz: expected float"),
        (replaced("points/xyz", h5py.Empty("f8")), "/points/xyz: expected"),
        (replaced("points/t", np.full(30, np.nan)), "/points: Points3D.t: times must be finite"),
        (set_value("rig/cov", (0, 0), np.nan), "/rig: Rig.cov: must be finite"),
        (set_value("rig/cameras/1/intrinsics", 0, np.nan), "/rig/cameras/1: Camera.intrinsics"),
        (
            set_value("rig/cameras/1/cam_from_lab/rotation", (0, 0), np.nan),
            "/rig/cameras/1/cam_from_lab: Pose.rotation: not a proper rotation",
        ),
        (set_value("events/t", 1, np.nan), "/events[1]: Event: t must be finite"),
        (replaced("events/t", [0.5]), "/events/t: expected 2 rows, found 1"),
        (replaced("events/side", ["left", "both"]), "/events[1]: Event: side"),
        (replaced("events/side", [1, 2]), "/events/side: expected str"),
        (replaced("patient", ""), "/: Trial.patient"),
        (replaced("patient", ["a", "b"]), "/patient: expected 0 dimensions"),
        (replaced("accepted", 1.0), "/accepted: expected bool"),
        (replaced("reasons", "one"), "/reasons: expected 1 dimensions"),
        (replaced("points", np.zeros(3)), "/points: expected a group"),
        (replaced("rig", np.zeros(3)), "/rig: expected a group"),
        (replaced("quality/names", ["a", "b"]), "/quality: names and values do not match"),
        (replaced("withheld/names", ["a", "a"]), "/withheld: names and values do not match"),
        (replaced("rig/cameras/0/size_px", [1, 2, 3]), "/rig/cameras/0/size_px: expected 2 values"),
        (lambda f: f["cycles"].attrs.pop("count"), "/cycles: the attribute 'count'"),
        (lambda f: f["cycles"].attrs.modify("count", -1), "/cycles: the attribute 'count'"),
        (lambda f: f["rig/cameras"].attrs.modify("count", 5), "/rig/cameras/4 is missing"),
        (
            lambda f: (f.pop("points/t"), f.create_group("points/t")),
            "/points/t: expected a dataset",
        ),
    ],
)
def test_damaged(trial_file, change, message):
    with h5py.File(trial_file, "a") as file:
        change(file)
    assert message in refusal(load_trial, trial_file)


def test_cut_short_anywhere(rig_file, tmp_path):
    content = rig_file.read_bytes()
    path = tmp_path / "cut.h5"
    lengths = {
        *range(1, 400),
        *range(400, len(content), 397),
        *range(len(content) - 60, len(content)),
    }
    for length in sorted(lengths):
        path.write_bytes(content[:length])
        assert "truncated or damaged" in refusal(load_rig, path)


def test_a_flipped_bit_is_found_or_harmless(rig, rig_file, tmp_path, difference):
    content = rig_file.read_bytes()
    path = tmp_path / "flipped.h5"
    rng = np.random.default_rng(11)
    found = 0
    for place in rng.choice(len(content), 200, replace=False):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            again = load_rig(path)
        except FileError:
            found += 1
        else:
            assert difference(again, rig) == ""
    assert found > 130
