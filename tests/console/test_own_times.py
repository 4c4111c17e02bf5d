"""Trials of cameras on their own clocks, and of bones held at one length, from folder to record."""

from __future__ import annotations

import numpy as np
import pytest

from console.demonstration import _write_keypoints
from console.pipeline import process_folder
from console.settings import TRIAL_FILE, read_settings
from lab.errors import LabError
from lab.store import save_rig
from simulation.room import walkway_room
from simulation.views import observe
from simulation.walker import simulate

RATE_HZ = 60.0


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """A walk before four cameras, in step and not."""
    folder = tmp_path_factory.mktemp("clocks")
    rig = walkway_room(4)
    save_rig(rig, folder / "rig.h5")
    walker = simulate("walk", speed_m_s=1.3, treadmill=False, duration_s=2.5, seed=3)
    phases = dict(zip(rig.names, (0.0, 0.004, 0.007, 0.013), strict=True))
    for name, late in (("step", None), ("clocks", phases)):
        (folder / name).mkdir()
        rng = np.random.default_rng(1)
        for k in observe(walker, rig, RATE_HZ, noise_px=1.0, rng=rng, phases=late):
            _write_keypoints(folder / name / f"{k.camera}.csv", k)
    return folder, rig, walker


def processed(filmed, name, camera="", analysis="draws = 8"):
    folder, rig, _ = filmed
    lines = ['[trial]\npatient = "X"\nactivity = "walk"\nrig = "../rig.h5"']
    lines += [f'[cameras.{c}]\nkeypoints = "{c}.csv"\n{camera}' for c in rig.names]
    lines.append(f"[analysis]\n{analysis}")
    (folder / name / TRIAL_FILE).write_text("\n".join(lines) + "\n")
    return process_folder(folder / name)


def foot_error(filmed, trial):
    walker = filmed[2]
    foot = [trial.points.names.index(f"{s}_heel") for s in ("left", "right")]
    truth = walker.points(trial.points.t)[
        :, [walker.names.index(f"{s}_heel") for s in ("left", "right")]
    ]
    return float(np.sqrt(np.nanmean(((trial.points.xyz[:, foot] - truth) ** 2).sum(-1))))


def test_unequal_clocks_are_as_good_as_a_common_shutter(filmed):
    step, clocks = processed(filmed, "step"), processed(filmed, "clocks")
    assert "moved_in_time_most_ms" not in step.quality
    assert 2 < clocks.quality["moved_in_time_most_ms"] < 1e3 / RATE_HZ
    assert foot_error(filmed, clocks) < 1.1 * foot_error(filmed, step)


def test_a_read_out_is_taken_into_account(filmed):
    read = processed(filmed, "step", camera="readout_ms = 10.0")
    assert 1 < read.quality["moved_in_time_most_ms"] < 5
    # These cameras have none: the stated one must do harm.
    assert foot_error(filmed, read) > 1.05 * foot_error(filmed, processed(filmed, "step"))


def test_bones_are_held_only_where_asked(filmed):
    plain = processed(filmed, "step")
    held = processed(filmed, "step", analysis="draws = 8\nconstant_bones = true")
    assert not any(name.startswith("bone_") for name in plain.quality)
    length = held.quality["bone_left_hip_left_knee_mm"]
    thigh = [filmed[2].names.index(f"left_{j}") for j in ("hip", "knee")]
    true = filmed[2].points(np.array([1.0]))[0, thigh]
    assert abs(length - 1e3 * np.linalg.norm(true[0] - true[1])) < 5
    spread = [
        np.nanstd(np.linalg.norm(t.points.point("left_hip") - t.points.point("left_knee"), axis=1))
        for t in (plain, held)
    ]
    assert spread[1] < 0.3 * spread[0]


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ('[cameras.a]\nkeypoints = "a.csv"\nreadout_ms = -1.0', "readout_ms"),
        ('[markers]\nfile = "a.c3d"\n[analysis]\nconstant_bones = true', "constant_bones"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, text, about):
    head = '[trial]\npatient = "X"\nactivity = "walk"\nrig = "r.h5"\n'
    (tmp_path / TRIAL_FILE).write_text(head + text)
    with pytest.raises(LabError, match=about):
        read_settings(tmp_path)
