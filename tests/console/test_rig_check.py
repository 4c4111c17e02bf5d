"""gaitlab rig check from pixels: a rig as calibrated, and the board filmed again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from console.cli import main
from lab.rig import RigQuality
from lab.store import load_rig, save_rig
from simulation.board_path import floor_pose
from tests.console.board_films import BOARD, BOARD_TOML, carried, filmed, room


def bumped(cameras, index, delta):
    return tuple(c.perturbed(delta) if i == index else c for i, c in enumerate(cameras))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A stored rig as a calibration leaves it: half a millimetre and a hundredth of a degree."""
    folder = tmp_path_factory.mktemp("lab")
    true = room()
    (folder / "board.toml").write_text(BOARD_TOML)
    own = np.diag(np.tile(np.concatenate([np.full(3, 2e-4), np.full(3, 5e-4), np.zeros(9)]), 4))
    stored = replace(true, cov=own**2, quality=RigQuality(True, ("good",), {}, {}))
    save_rig(stored.perturbed(stored.draw(np.random.default_rng(5), 1)[0]), folder / "rig.h5")
    poses = carried(true.cameras)
    filmed(folder / "same", true.cameras, poses, 3)
    delta = np.zeros(15)
    delta[:6] = [0.01, -0.006, 0, 0.03, 0.0, 0.02]
    filmed(folder / "bumped", bumped(true.cameras, 2, delta), poses, 4)
    moved = bumped(true.cameras, 2, delta)[2]
    return folder, true, moved


def run(lab, capsys, recording, *options):
    folder = lab[0]
    command = ["rig", "check", str(folder / recording), "--rig", str(folder / "rig.h5")]
    status = main([*command, "--board", str(folder / "board.toml"), *options])
    return status, capsys.readouterr()


def test_a_rig_that_stands_is_said_to_stand(lab, capsys, tmp_path):
    output = tmp_path / "new.h5"
    status, said = run(lab, capsys, "same", "-o", str(output))
    assert status == 0, said.out
    assert "the rig stands" in said.out
    assert "no rig was written" in said.out
    assert not output.exists()


def test_the_camera_that_was_bumped_is_named_and_alone_solved_anew(lab, capsys, tmp_path):
    _, true, moved = lab
    output = tmp_path / "new.h5"
    status, said = run(lab, capsys, "bumped", "--json", "-o", str(output))
    answer = json.loads(said.out)
    assert status == 1
    assert answer["moved"] == ["cam03"]
    own = answer["cameras"]["cam03"]
    shift = 1e3 * np.linalg.norm(moved.centre - true.cameras[2].centre)
    assert own["shift_mm"] == pytest.approx(shift, abs=4 * own["shift_sigma_mm"] + 1)
    assert own["p_value"] < 1e-6
    assert "cam03 has moved by" in answer["said"][0]
    stored, found = load_rig(lab[0] / "rig.h5"), load_rig(output)
    assert answer["written_accepted"] is found.quality.accepted is True
    assert any("cam03 solved anew" in reason for reason in found.quality.reasons)
    for c, camera in enumerate(found.cameras):
        kept = stored.cameras[c]
        same = np.array_equal(camera.cam_from_lab.translation, kept.cam_from_lab.translation)
        assert same == (c != 2)
    away = found.cameras[2].centre - moved.centre
    assert np.linalg.norm(away) < 0.005
    # The rig written stands against the same recording.
    again = ["rig", "check", str(lab[0] / "bumped"), "--rig", str(output)]
    assert main([*again, "--board", str(lab[0] / "board.toml")]) == 0


def test_the_board_on_the_floor_tells_too(lab, capsys, tmp_path):
    folder, true, _ = lab
    delta = np.zeros(15)
    delta[:6] = [0.02, 0.02, 0, 0.05, 0.0, 0.0]
    lying = [floor_pose(BOARD.size_m)] * 3
    filmed(tmp_path / "floor", bumped(true.cameras, 0, delta), lying, 6)
    command = ["rig", "check", str(tmp_path / "floor"), "--rig", str(folder / "rig.h5"), "--still"]
    assert main([*command, "--board", str(folder / "board.toml")]) == 1
    assert "cam01 has moved by" in capsys.readouterr().out


def test_a_foreign_camera_and_an_empty_folder_are_refused(lab, capsys, tmp_path):
    folder = lab[0]
    tail = ["--rig", str(folder / "rig.h5"), "--board", str(folder / "board.toml")]
    assert main(["rig", "check", str(tmp_path), *tail]) == 2
    assert "no video is in this folder" in capsys.readouterr().err
    (tmp_path / "cam99.mkv").write_bytes((folder / "same" / "cam01.mkv").read_bytes())
    assert main(["rig", "check", str(tmp_path), *tail]) == 2
    assert "the rig has no camera cam99" in capsys.readouterr().err
