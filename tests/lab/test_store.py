from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lab.errors import FileError
from lab.gait import Curves
from lab.store import SCHEMA, load_rig, load_trial, save_rig, save_trial

FILES = Path(__file__).parent / "files"
one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
number = st.floats(allow_nan=True)
figures = st.dictionaries(text, number, max_size=4)


def test_a_trial_comes_back_identical(trial, tmp_path, difference):
    save_trial(trial, tmp_path / "trial.h5")
    assert difference(load_trial(tmp_path / "trial.h5"), trial) == ""


def test_a_trial_with_nothing_in_it_comes_back_identical(bare_trial, tmp_path, difference):
    save_trial(bare_trial, str(tmp_path / "trial.h5"))
    assert difference(load_trial(str(tmp_path / "trial.h5")), bare_trial) == ""


def test_a_rig_comes_back_identical(rig, tmp_path, difference):
    unknown = replace(rig, cov=np.full_like(rig.cov, np.nan))
    for given_rig in (rig, unknown):
        save_rig(given_rig, tmp_path / "rig.h5")
        found = load_rig(tmp_path / "rig.h5")
        assert difference(found, given_rig) == ""
        assert found.sha256 == given_rig.sha256


@one_folder
@given(
    subject=figures,
    withheld=st.dictionaries(text, text, max_size=4),
    reasons=st.lists(text, max_size=4).map(tuple),
    speed=number,
    recorded=text,
    accepted=st.booleans(),
    frames=st.integers(0, 40),
    data=st.data(),
)
def test_whatever_is_in_it_comes_back(
    trial, tmp_path, difference, subject, withheld, reasons, speed, recorded, accepted, frames, data
):
    values = data.draw(arrays(np.float64, (frames, 2), elements=number))
    changed = replace(
        trial,
        subject=subject,
        withheld=withheld,
        reasons=reasons,
        treadmill_speed_m_s=speed,
        recorded=recorded,
        accepted=accepted,
        curves=Curves(("a", "b"), np.arange(frames) * 0.01, values, np.full((frames, 2), np.nan)),
    )
    save_trial(changed, tmp_path / "trial.h5")
    assert difference(load_trial(tmp_path / "trial.h5"), changed) == ""


@one_folder
@given(figures=figures, cameras=st.dictionaries(text, figures, max_size=3), board=text)
def test_whatever_a_rig_says_of_itself_comes_back(
    rig, tmp_path, difference, figures, cameras, board
):
    quality = replace(rig.quality, figures=figures, cameras=cameras)
    changed = replace(rig, quality=quality, board=board)
    save_rig(changed, tmp_path / "rig.h5")
    assert difference(load_rig(tmp_path / "rig.h5"), changed) == ""


def test_the_same_trial_gives_the_same_bytes(trial, tmp_path):
    save_trial(trial, tmp_path / "a.h5")
    save_trial(load_trial(tmp_path / "a.h5"), tmp_path / "b.h5")
    # Another process, after the clock has moved on: no times, no addresses, no hash seeds.
    again = (
        "import sys; from lab.store import *; save_trial(load_trial(sys.argv[1]), sys.argv[2]);"
        "save_rig(load_trial(sys.argv[1]).rig, sys.argv[3])"
    )
    names = [str(tmp_path / n) for n in ("a.h5", "c.h5", "rig.h5")]
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", again, *names], check=True, cwd=root)
    content = (tmp_path / "a.h5").read_bytes()
    assert (tmp_path / "b.h5").read_bytes() == content
    assert (tmp_path / "c.h5").read_bytes() == content
    save_rig(trial.rig, tmp_path / "rig-2.h5")
    assert (tmp_path / "rig-2.h5").read_bytes() == (tmp_path / "rig.h5").read_bytes()


def test_five_lines_of_h5py_are_enough(trial, tmp_path):
    save_trial(trial, tmp_path / "trial.h5")
    with h5py.File(tmp_path / "trial.h5") as file:
        names = list(file["points/names"].asstr())
        heel = file["points/xyz"][:, names.index("nose")]
        cadence = file["measures/value"][list(file["measures/name"].asstr()).index("cadence")]
        assert heel.tobytes() == trial.points.point("nose").tobytes()
        assert cadence == 171.5
        assert file["patient"].asstr()[()] == "P017"
        assert dict(file["points/xyz"].attrs) == {"unit": "m", "frame": "lab"}
        assert dict(file["points/cov"].attrs) == {"unit": "m^2", "frame": "lab"}
        assert file["static/values"].attrs["unit"] == "rad"
        assert file["events/t"].attrs["unit"] == "s"
        assert dict(file.attrs) == {"format": "gaitlab.trial", "schema": 1}
        assert file["rig/cameras/2/name"].asstr()[()] == "cam_brown8"


def test_large_arrays_are_compressed(trial, tmp_path):
    t = np.arange(5000) * 0.01
    level = np.full((5000, 10), 0.25)
    names = tuple(f"c{i}" for i in range(10))
    save_trial(replace(trial, curves=Curves(names, t, level, level)), tmp_path / "trial.h5")
    assert (tmp_path / "trial.h5").stat().st_size < 200_000


def test_text_that_hdf5_cannot_hold_leaves_no_file(trial, tmp_path):
    with pytest.raises(ValueError, match="NUL"):
        save_trial(replace(trial, recorded="a\0b"), tmp_path / "trial.h5")
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_it_says_so(rig, tmp_path):
    with pytest.raises(FileError, match=r"nowhere.*could not be written.*folder exists"):
        save_rig(rig, tmp_path / "nowhere" / "rig.h5")


def keep(trial, folder: Path) -> None:
    """How the files in tests/lab/files were made, once for each version of the layout."""
    save_trial(trial, folder / f"trial-v{SCHEMA}.h5")
    save_rig(trial.rig, folder / f"rig-v{SCHEMA}.h5")


def test_every_version_stays_readable(kept_trial, tmp_path, difference):
    keep(kept_trial, tmp_path)
    for name in (path.name for path in tmp_path.iterdir()):
        assert (FILES / name).is_file(), f"keep one: copy {name} of this test into {FILES}"
    for version in range(1, SCHEMA + 1):
        trial = load_trial(FILES / f"trial-v{version}.h5")
        rig = load_rig(FILES / f"rig-v{version}.h5")
        # The last bits of the fixture depend on the machine; what was stored does not.
        assert difference(trial, kept_trial, exact=False) == ""
        assert difference(rig, trial.rig) == ""
        assert rig.sha256 == "a79b3ed7bcf78017e7c327d6fdbfd37fb441c4957b62446f567cb926f51027a4"
        assert trial.points.t.tolist() == [0.005, 0.015, 0.025, 0.034999999999999996, 0.045, 0.055]
        assert trial.measures[0].value == 171.5
        assert trial.provenance.configuration == '[trial]\npatient = "P017"\n'
