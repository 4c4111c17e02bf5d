"""The whole pipeline with its production defaults only, on the simulated lab."""

import json

import h5py
import numpy as np
import pytest

from console.cli import main
from lab.store import load_trial


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    status = main(["demo", "--out", str(folder)])
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


def test_a_wrong_belt_speed_is_refused(demo, capsys):
    folder = demo[0] / "trials" / "run"
    text = (folder / "trial.toml").read_text()
    (folder / "trial.toml").write_text(text.replace("= 3.0", "= 2.4"))
    try:
        assert main(["process", str(folder), "--json"]) == 1
        result = json.loads(capsys.readouterr().out)
        assert not result["accepted"]
        assert any("treadmill_speed_m_s" in r for r in result["reasons"])
    finally:
        (folder / "trial.toml").write_text(text)


def test_a_sign_error_in_the_angles_is_seen(demo, monkeypatch, tmp_path):
    import analysis.walk
    from console.demonstration import _failures
    from console.pipeline import process_folder
    from simulation.truth import true_measures
    from simulation.walker import simulate

    compute = analysis.walk.compute_angles

    def wrong(body):
        curves = compute(body)
        return curves | {"pelvis_obliquity": -curves["pelvis_obliquity"]}

    monkeypatch.setattr(analysis.walk, "compute_angles", wrong)
    trial = process_folder(demo[0] / "trials" / "run")
    walker = simulate("run", speed_m_s=3.0, treadmill=True, duration_s=20.0, seed=1)
    assert any("pelvic_drop" in f for f in _failures(trial, true_measures(walker, trial.cycles)))
