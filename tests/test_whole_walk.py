"""The whole pipeline with its production defaults only, on the simulated lab."""

import json
import shutil
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
from pypdf import PdfReader

from analysis.walk import analyse_walk
from console.cli import main
from console.demonstration import demo_person, misses
from lab.points import Points3D
from lab.store import load_rig, load_trial, save_rig, save_trial
from reconstruct.smooth import Smoother
from simulation.truth import true_measures


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    status = main(["demo", "--quick", "--out", str(folder)])
    return folder, status


def test_the_demo_is_within_its_promise_of_the_truth(demo):
    assert demo[1] == 0


def test_the_record_reads_back_with_every_measure(demo):
    trial = load_trial(demo[0] / "trials" / "run" / "trial.h5")
    assert trial.accepted
    names = {m.name for m in trial.measures}
    assert {
        "pelvic_drop_peak",
        "pelvic_drop_midstance",
        "trunk_lean_forward_stance_mean",
        "trunk_lean_lateral_peak",
        "over_stride_angle_heel",
        "over_stride_angle_ankle",
        "hip_extension_peak",
        "thigh_extension_peak",
        "thigh_trunk_extension_peak",
        "cadence",
        "contact_time",
        "flight_time",
        "stride_length",
        "step_width",
        "pelvic_drop_peak_vs_standing",
    } <= names
    assert all(np.isfinite(m.sigma) and m.sigma > 0 for m in trial.measures)
    assert trial.rig is not None
    assert trial.rig.has_covariance


def test_the_record_is_read_by_plain_h5py(demo):
    with h5py.File(demo[0] / "trials" / "run" / "trial.h5") as file:
        assert file["points/xyz"].shape[1:] == (26, 3)


def test_report_and_export_are_views_of_the_record(demo, tmp_path, capsys):
    record = demo[0] / "trials" / "run" / "trial.h5"
    assert main(["report", str(record), "-o", str(tmp_path / "again.pdf")]) == 0
    # An earlier visit is another recording, of the same patient.
    again = ["report", str(record), "-o", str(tmp_path / "two.pdf"), "--previous"]
    assert main([*again, str(record)]) == 2
    other = tmp_path / "other.h5"
    save_trial(replace(load_trial(record), patient="P999"), other)
    assert main([*again, str(other)]) == 2
    assert not (tmp_path / "two.pdf").exists()
    event = ["trial", "event", str(record.parent), "--side", "left", "--kind", "foot_strike"]
    assert main([*event, "--at", "1", "--to", "99", "--reason", "typed wrong"]) == 2
    assert not (record.parent / "events.toml").exists()
    assert (tmp_path / "again.pdf").read_bytes() == (record.parent / "report.pdf").read_bytes()
    capsys.readouterr()
    assert main(["export", str(record), "--to", "csv", "-o", str(tmp_path), "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {f.rsplit("/", 1)[-1] for f in files} >= {"curves.csv", "points.csv", "measures.csv"}


def test_processing_again_gives_the_same_numbers(demo, capsys):
    folder = demo[0] / "trials" / "run"
    first = load_trial(folder / "trial.h5")
    capsys.readouterr()
    assert main(["process", str(folder), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [m["name"] for m in result["measures"]] == [m.name for m in first.measures]
    again = load_trial(folder / "trial.h5")
    assert [m.value for m in again.measures] == [m.value for m in first.measures]


def test_a_wrong_belt_speed_is_refused(demo, tmp_path, capsys):
    lab = tmp_path / "lab"
    shutil.copytree(demo[0], lab, ignore=shutil.ignore_patterns("*.mkv"))
    folder = lab / "trials" / "run"
    text = (folder / "trial.toml").read_text()
    (folder / "trial.toml").write_text(text.replace("= 3.0", "= 2.4"))
    capsys.readouterr()
    assert main(["process", str(folder), "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert not result["accepted"]
    assert any("treadmill_speed_m_s" in r for r in result["reasons"])


def test_a_refused_rig_needs_its_flag_and_is_named_on_every_page(demo, tmp_path, capsys):
    lab = tmp_path / "lab"
    shutil.copytree(demo[0], lab, ignore=shutil.ignore_patterns("*.mkv", "trial.h5", "report.pdf"))
    path = lab / "rigs" / "demo" / "calibration.h5"
    rig = load_rig(path)
    reason = "held-out distance error 7.7 mm is above 1.5 mm"
    refused = replace(rig.quality, accepted=False, reasons=(reason, *rig.quality.reasons))
    save_rig(replace(rig, quality=refused), path)
    folder = lab / "trials" / "run"
    capsys.readouterr()
    assert main(["process", str(folder)]) == 2
    said = capsys.readouterr().err
    assert "--use-refused-rig" in said
    assert reason in said
    assert not (folder / "trial.h5").exists()
    assert main(["process", str(folder), "--use-refused-rig"]) == 1
    trial = load_trial(folder / "trial.h5")
    assert not trial.accepted
    assert any("refused by its calibration" in r and reason in r for r in trial.reasons)
    pages = [" ".join(p.extract_text().split()) for p in PdfReader(folder / "report.pdf").pages]
    assert len(pages) > 1
    for page in pages:
        assert "rig was refused by its calibration" in page


def test_the_runner_of_the_demo_shows_the_four_findings(demo):
    trial = load_trial(demo[0] / "trials" / "run" / "trial.h5")
    left = {m.name: np.degrees(m.value) for m in trial.measures if m.side == "left"}
    assert left["pelvic_drop_peak"] > 6
    assert left["trunk_lean_forward_stance_mean"] < 5
    assert left["over_stride_angle_heel"] > 15
    assert left["hip_extension_peak"] < 5


def _turn(functions, curve):
    """Return a copy of a function that makes curves, with the sign of one of them turned."""

    def wrong(*args):
        curves = functions(*args)
        return curves | {n: -v for n, v in curves.items() if n.startswith(curve)}

    return wrong


@pytest.mark.parametrize(
    ("module", "function", "curve", "shows_in"),
    [
        ("analysis.replicates", "compute_angles", "pelvis_obliquity", "pelvic_drop_peak"),
        (
            "analysis.replicates",
            "compute_angles",
            "trunk_lean_forward",
            "trunk_lean_forward_stance_mean",
        ),
        ("analysis.replicates", "compute_angles", "trunk_lean_lateral", "trunk_lean_lateral_peak"),
        ("analysis.replicates", "compute_angles", "hip_flexion", "hip_extension_peak"),
        ("analysis.replicates", "compute_angles", "thigh_flexion", "thigh_extension_peak"),
        ("analysis.replicates", "compute_angles", "pelvis_tilt", "pelvic_tilt_stance_mean"),
        ("analysis.replicates", "strike_angles", "limb_angle_heel", "over_stride_angle_heel"),
        ("analysis.replicates", "strike_angles", "", "shank_angle_strike"),
    ],
)
def test_a_sign_error_in_the_angles_fails_the_demo(monkeypatch, module, function, curve, shows_in):
    person = demo_person("run", 1)
    t = np.arange(0, 3, 0.01)
    xyz = person.points(t)
    points = Points3D(person.names, t, xyz, np.broadcast_to(1e-6 * np.eye(3), (*xyz.shape, 3)))

    def missed():
        found = analyse_walk(
            points, Smoother(points).apply, activity="run", treadmill_speed=3.0, errors=None
        )
        far = misses(found.measures, true_measures(person, found.cycles))
        return {line.split()[0] for line in far if "degrees from the truth" in line}

    assert not missed()
    right = getattr(sys.modules[module], function)
    monkeypatch.setattr(sys.modules[module], function, _turn(right, curve))
    assert shows_in in missed()
