"""A short and noisy walk, from its folder to record, page, screen and files: what says nothing."""

import csv
import json

import numpy as np
import pytest
from pypdf import PdfReader

from console.cli import main
from console.demonstration import _write_keypoints
from console.reviewing import _lines
from lab.store import load_trial, save_rig
from simulation.room import walkway_room
from simulation.views import observe
from simulation.walker import simulate


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Two and a half seconds before four cameras, each keypoint 12 px off."""
    folder = tmp_path_factory.mktemp("noisy")
    rig = walkway_room(4)
    save_rig(rig, folder / "rig.h5")
    walker = simulate("walk", speed_m_s=1.3, treadmill=False, duration_s=2.5, seed=3)
    rng = np.random.default_rng(1)
    for k in observe(walker, rig, 60.0, noise_px=12.0, rng=rng):
        _write_keypoints(folder / f"{k.camera}.csv", k)
    lines = ['[trial]\npatient = "X"\nactivity = "walk"\nrig = "rig.h5"']
    lines += [f'[cameras.{c}]\nkeypoints = "{c}.csv"' for c in rig.names]
    (folder / "trial.toml").write_text("\n".join([*lines, "[analysis]\ndraws = 8"]) + "\n")
    return folder


def test_a_number_that_says_nothing_is_nowhere_and_its_reason_everywhere(walk, capsys):
    assert main(["process", str(walk), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    vague = {k for k, why in result["withheld"].items() if why.startswith("known only to ±")}
    assert {"step_width both", "shank_angle_strike left"} <= vague
    trial = load_trial(walk / "trial.h5")
    given = {f"{m.name} {m.side}" for m in trial.measures}
    assert "cadence both" in given
    assert not vague & given
    assert not vague & {f"{m['name']} {m['side']}" for m in result["measures"]}
    # The page.
    pages = PdfReader(walk / "report.pdf").pages
    text = " ".join(" ".join(p.extract_text().split()) for p in pages)
    assert "Known only to ± 0.33 m; all that healthy people differ by is some 0.17 m" in text
    # The screen.
    (line,) = (x for x in _lines(trial) if x.why == trial.withheld["step_width both"])
    assert not line.given
    assert line.both == "–"
    # The files.
    main(["export", str(walk / "trial.h5"), "--to", "csv", "-o", str(walk / "csv")])
    with (walk / "csv" / "measures.csv").open() as file:
        assert not vague & {f"{r['name']} {r['side']}" for r in csv.DictReader(file)}
    with (walk / "csv" / "withheld.csv").open() as file:
        reasons = {f"{r['name']} {r['side']}": r["reason"] for r in csv.DictReader(file)}
    assert reasons == dict(trial.withheld)
    # The terminal.
    capsys.readouterr()
    main(["process", str(walk)])
    said = " ".join(capsys.readouterr().out.split())
    assert "not given: Step width: Known only to ± 0.33 m" in said
