import json

import pytest

from console.cli import main
from console.settings import read_settings
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
        f'left = "127.0.0.1:{port}"\n{takes}'
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
        ([], "no camera computer"),
        (["--node", "left=127.0.0.1:1", "--activity", "swim"], "swim"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(words, says, tmp_path, capsys):
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
