import json

import pytest

from capture.discovery import advertise
from capture.keys import own_keys, trust
from console import capturing
from console.cli import main
from console.settings import DetectTable, read_settings
from console.synchrony import read_synchrony
from lab.errors import FileError

CAMERA = """[cameras.cam1]
driver = "simulated"
size_px = [336, 32]
rate_hz = 60
[cameras.cam1.options]
delivers = "mjpeg"
"""


def plan(folder, port, *kinds):
    path = folder / "plan.toml"
    takes = "".join(f'[[take]]\nkind = "{kind}"\nseconds = 0.6\n' for kind in kinds)
    path.write_text(
        f'patient = "P017"\nactivity = "run"\ntreadmill_speed_m_s = 3.0\n[nodes]\n'
        f'left = "127.0.0.1:{port}"\n[detect]\ndetector = "pose"\ndevice = "cpu"\n{takes}'
    )
    return path


def test_a_planned_session_lands_as_folders_to_process(start_node, tmp_path, capsys):
    node = start_node(CAMERA)
    words = ["capture", "--out", str(tmp_path / "s"), "--json", "--plan"]
    assert main([*words, str(plan(tmp_path, node.port, "static", "trial"))]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [t["fit"] for t in result["takes"]] == [True, True]
    assert result["takes"][1]["cameras"]["cam1"]["frames"] >= 30
    settings, _ = read_settings(tmp_path / "s" / "trial")
    assert settings.trial.patient == "P017"
    assert settings.trial.times == "times.csv"
    assert settings.trial.static == "../static"
    assert settings.cameras["cam1"].video == "cam1.mkv"
    assert settings.detect == DetectTable("pose", device="cpu")
    figures, unfit = read_synchrony(tmp_path / "s" / "trial")
    assert unfit == ()
    assert figures["sync_error_95_ms"] == 0  # one clock
    # A recording is never written over.
    assert main([*words, str(plan(tmp_path, node.port, "trial"))]) == 2
    assert "already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--node", "left=192.168.1.9:5870"], "no keys are given"),
        (["--node", "left=nowhere"], "no address"),
        (["--network", "127.0.0.1"], "no camera computer answered"),
        (["--network", "127.0.0.1", "--node", "left"], "node left did not answer"),
        (["--node", "left=127.0.0.1:1", "--activity", "swim"], "swim"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(words, says, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(capturing, "_SEARCH_S", 0.3)
    assert main(["capture", "--out", str(tmp_path / "s"), *words]) == 2
    assert says in capsys.readouterr().err


def test_an_unfit_recording_says_why_and_a_damaged_file_is_no_silence(tmp_path):
    (tmp_path / "sync.json").write_text(
        json.dumps({"fit": False, "reasons": ["cam1 lost 9 frames"], "figures": {"sync_x_ms": 1}})
    )
    figures, unfit = read_synchrony(tmp_path)
    assert figures == {"sync_x_ms": 1}
    assert unfit == ("the recording is unfit: cam1 lost 9 frames",)
    (tmp_path / "sync.json").write_text("{")
    with pytest.raises(FileError, match="is damaged"):
        read_synchrony(tmp_path)


def test_nodes_are_found_on_the_network_and_only_enrolled_ones_are_used(
    start_node, tmp_path, capsys
):
    node_keys, lab_keys = tmp_path / "nk", tmp_path / "lk"
    trust(node_keys, "lab", own_keys(lab_keys).public)
    trust(lab_keys, "left", own_keys(node_keys).public)
    trust(lab_keys, "absent", own_keys(tmp_path / "other").public)
    node = start_node(CAMERA, extra=("--keys", node_keys))
    path = tmp_path / "plan.toml"
    path.write_text('[[take]]\nkind = "trial"\nseconds = 0.5\n')
    words = ["capture", "--out", str(tmp_path / "s"), "--plan", str(path), "--json"]
    words += ["--keys", str(lab_keys), "--network", "127.0.0.1"]
    with (
        advertise("left", node.port, "127.0.0.1"),
        advertise("stranger", 5999, "127.0.0.1"),
    ):
        assert main(words) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["takes"][0]["fit"]
    assert any("node stranger answers, but is not enrolled" in s for s in result["faults"])
    assert any("node absent is enrolled" in s for s in result["faults"])
