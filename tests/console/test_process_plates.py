"""gaitlab process on videos of a person with tag plates, from rendered pixels."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from console.cli import main
from console.filming import Cast, film_person, standing_person, write_trial
from console.videos import write_video
from lab.plates import read_plates
from lab.store import load_rig, load_trial, save_rig
from simulation.room import ring
from simulation.walker import simulate

SPEED = 1.2
SIZE = (400, 420)
LANDMARKS = tuple(
    f"{side}_{part}"
    for part in ("asis", "psis", "shoulder", "knee_medial", "knee_lateral")
    for side in ("left", "right")
)


def walker():
    """Walk for a moment."""
    return simulate("walk", speed_m_s=SPEED, treadmill=True, duration_s=0.5, seed=3)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A lab folder with a standing and a moving trial filmed by six small cameras."""
    folder = tmp_path_factory.mktemp("lab")
    room = ring(
        6, radius_m=2.5, height_m=1.3, target=(0, 0, 0.9), size_px=SIZE, focal_px=540.0, seed=2
    )
    # The cameras are known to a fraction of a millimetre and of a hundredth of a degree.
    cov = np.zeros_like(room.cov)
    for part in room.parameter_slices():
        cov[part, part] = np.diag([5e-5] * 3 + [2e-4] * 3 + [0.0] * 9) ** 2
    save_rig(replace(room, cov=cov), folder / "rig.h5")
    write_trial(folder / "standing", room, "../rig.h5", "walk", None, "", LANDMARKS)
    write_trial(folder / "walk", room, "../rig.h5", "walk", SPEED, "../standing")
    film_person(
        room,
        {
            folder / "standing": (Cast(standing_person, (len(LANDMARKS),), 5, LANDMARKS), 10),
            folder / "walk": (Cast(walker, (), 5), 50),
        },
        lambda done, total: None,
        workers=1,
    )
    return folder


def test_from_pixels_to_angles_with_their_intervals(lab, capsys):
    assert main(["process", str(lab / "walk"), "--json"]) in (0, 1)
    answer = json.loads(capsys.readouterr().out)
    trial = load_trial(lab / "walk" / "trial.h5")
    assert answer["quality"]["landmark_sigma_most_mm"] > 0.5
    assert answer["quality"]["segments_missing_share"] < 0.25
    truth = walker().curves(trial.curves.t)
    z, errors = [], []
    for name in (
        "pelvis_obliquity",
        "pelvis_tilt",
        "trunk_lean_forward",
        "trunk_lean_lateral",
        "hip_flexion_left",
        "hip_flexion_right",
        "thigh_flexion_left",
        "thigh_flexion_right",
    ):
        i = trial.curves.names.index(name)
        error = trial.curves.values[:, i] - truth[name]
        errors.append(np.degrees(np.sqrt(np.nanmean(error**2))))
        z.append(np.nanmean(error / trial.curves.sigma[:, i]))
    assert max(errors) < 0.5
    assert np.sqrt(np.mean(np.square(z))) < 2.0
    assert np.isfinite(trial.points.xyz).mean() > 0.6


def test_the_tie_is_kept_and_named_in_the_record(lab, capsys):
    assert main(["process", str(lab / "walk")]) in (0, 1)
    capsys.readouterr()
    tie = (lab / "standing" / "tie.toml").read_text()
    assert f'rig_sha256 = "{load_rig(lab / "rig.h5").sha256}"' in tie
    assert "left_hip = {" in tie
    configuration = load_trial(lab / "walk" / "trial.h5").provenance.configuration
    assert all(f"# {line}" in configuration for line in tie.splitlines() if line)
    assert "tag-plates" in configuration


@pytest.mark.parametrize(
    ("trial", "old", "new", "said"),
    [
        ("walk", 'static = "../standing"\n', "", "without a standing trial"),
        ("walk", 'plates = "gait-ring"', 'plates = "mine.toml"', "plates of another description"),
        ("walk", 'video = "cam01.mkv"', 'keypoints = "k.csv"', "plates are found in videos"),
        ("walk", 'plates = "gait-ring"', 'plates = "nobody"', "no plates of this name"),
        (
            "walk",
            "[detect]",
            "[analysis]\nconstant_bones = true\n[detect]",
            "bones of constant length are for keypoints",
        ),
        ("walk", 'video = "cam01.mkv"', 'video = "cam01.mkv"\nreadout_ms = 8.0', "expose together"),
        ("standing", "sigma_mm = 0.5\n", "sigma_mm = -1.0\n", "between 0 and 100"),
        ("standing", '"left_psis"', '"left_heel_bone"', "does not point at left_psis"),
        ("standing", '"left_psis"', '"left_asis"', "points at left_asis twice"),
        ("standing", "begin = 0.16\nend = 0.54", "begin = 0.54\nend = 0.16", "ends before"),
        ("standing", '"left_knee_medial"', '"left_elbow"', "no segment carries"),
        ("standing", "begin = 0.16\nend = 0.54", "begin = 80.0\nend = 80.4", "0 of 0 frames"),
        ("standing", 'detector = "plates"', 'detector = "pose"', "no plates are worn"),
    ],
)
def test_what_cannot_be_tied_is_named(lab, tmp_path, capsys, trial, old, new, said):
    here = tmp_path / "lab"
    shutil.copytree(lab, here)
    path = here / trial / "trial.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    (here / "walk" / "k.csv").write_text("t,name,x_px,y_px,score\n0.02,tag000_0,10,10,1\n")
    (here / "walk" / "mine.toml").write_text(
        read_plates("gait-ring").text.replace("gait-ring", "mine", 1)
    )
    capsys.readouterr()
    assert main(["process", str(here / "walk"), "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert said in f"{error['what']} {error['remedy']}"


def test_a_first_look_tells_a_take_with_the_person_from_one_without(lab, tmp_path, capsys):
    assert main(["trial", "look", str(lab / "walk"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["found_share"] > 0.8
    assert found["weakest"][1] <= found["found_share"]
    here = tmp_path / "nobody"
    here.mkdir()
    for name in [f"cam{k:02d}" for k in range(1, 7)]:
        empty = (np.full(SIZE[::-1], 120, np.uint8) for _ in range(12))
        write_video(here / f"{name}.mkv", empty, SIZE, 50)
    text = (lab / "walk" / "trial.toml").read_text()
    (here / "trial.toml").write_text(text)
    assert main(["trial", "look", str(here), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found_share"] == 0
    (here / "trial.toml").write_text(text.replace("[detect]", "[detect_]"))
    assert main(["trial", "look", str(here), "--json"]) == 2


def test_a_landmark_far_from_its_plates_is_refused(lab, tmp_path, capsys):
    here = tmp_path / "lab"
    shutil.copytree(lab, here)
    path = here / "standing" / "trial.toml"
    text = path.read_text()
    shoulder, knee = '"left_shoulder"', '"left_knee_medial"'
    path.write_text(text.replace(shoulder, "#").replace(knee, shoulder).replace("#\n", f"{knee}\n"))
    assert main(["process", str(here / "walk"), "--json"]) == 2
    assert "from the plates of the" in json.loads(capsys.readouterr().out)["error"]["what"]


def by_standing(text):
    """Return a standing trial's trial.toml with the standing pose in place of the wand."""
    head = text[: text.index("[tie]")]
    return head + '[subject]\nheight_m = 1.75\n\n[tie]\nby = "standing"\nsigma_mm = 15.0\n'


def test_without_a_wand_the_standing_pose_ties_with_wide_intervals(lab, tmp_path, capsys):
    here = tmp_path / "lab"
    shutil.copytree(lab, here)
    path = here / "standing" / "trial.toml"
    path.write_text(by_standing(path.read_text()))
    assert main(["process", str(here / "walk"), "--json"]) in (0, 1)
    capsys.readouterr()
    assert 'by = "standing"' in (here / "standing" / "tie.toml").read_text()
    trial = load_trial(here / "walk" / "trial.h5")
    truth = walker().curves(trial.curves.t)
    for name in ("pelvis_obliquity", "trunk_lean_forward", "hip_flexion_left"):
        i = trial.curves.names.index(name)
        error, sigma = trial.curves.values[:, i] - truth[name], trial.curves.sigma[:, i]
        assert np.nanmean(sigma) > np.deg2rad(3)
        assert np.abs(np.nanmean(error / sigma)) < 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("height_m = 1.75", "", "needs height_m"),
        ('by = "standing"', 'by = "guess"', 'by = "wand"'),
        ('by = "standing"', 'by = "standing"\nturn_sigma_deg = 90.0', "between 0 and 45"),
    ],
)
def test_what_the_standing_pose_needs_is_named(lab, tmp_path, capsys, old, new, said):
    path = tmp_path / "standing" / "trial.toml"
    path.parent.mkdir()
    path.write_text(by_standing((lab / "standing" / "trial.toml").read_text()).replace(old, new))
    capsys.readouterr()
    assert main(["process", str(path.parent), "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert said in f"{error['what']} {error['remedy']}"
