import json

import pytest

from console.cli import main


def test_an_error_is_one_readable_message(tmp_path, capsys):
    assert main(["process", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "there is no trial.toml" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("verb", [["trial", "new"], ["demo", "--out"]])
def test_what_the_system_refuses_is_one_readable_message(tmp_path, capsys, verb):
    file = tmp_path / "notes.txt"
    file.write_text("kept")
    assert main([*verb, str(file), "--json"]) == 2
    said = capsys.readouterr()
    assert "notes.txt" in json.loads(said.out)["error"]["where"]
    assert "Check the path" in said.err
    assert "Traceback" not in said.err
    assert file.read_text() == "kept"


def test_where_to_write_is_looked_at_before_any_work(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("kept")
    films = ["cam01.mp4", "cam02.mp4", "--board", "board.toml"]  # none is there
    assert main(["calibrate", *films, "-o", str(tmp_path / "notes.txt" / "rig.h5")]) == 2
    assert "the folder cannot be made" in capsys.readouterr().err
    assert main(["calibrate", *films, "-o", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
    assert main(["plates", "-o", str(tmp_path / "new" / "deep" / "plates.pdf")]) == 0
    assert (tmp_path / "new" / "deep" / "plates.pdf").read_bytes().startswith(b"%PDF")


def test_debug_shows_where(tmp_path):
    with pytest.raises(Exception, match=r"no trial\.toml"):
        main(["process", str(tmp_path), "--debug"])


def test_a_new_trial_is_commented_and_read_back(tmp_path, capsys):
    folder = tmp_path / "P017"
    assert main(["trial", "new", str(folder), "--patient", "P017"]) == 0
    assert 'patient = "P017"' in (folder / "trial.toml").read_text()
    assert main(["trial", "new", str(folder)]) == 2
    assert "a trial already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('activity = "walk"', "activity"),
        ('patient = "P001"', "patient"),
        ('rig = "../../rigs/lab/calibration.h5"', "no rig"),
    ],
)
def test_a_bad_setting_is_named(tmp_path, capsys, change, said):
    main(["trial", "new", str(tmp_path / "a")])
    path = tmp_path / "a" / "trial.toml"
    key = change.split(" =")[0]
    path.write_text(path.read_text().replace(change, f'{key} = ""'))
    capsys.readouterr()
    assert main(["process", str(tmp_path / "a"), "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert said in error["what"]
    assert str(path) in error["where"]


@pytest.mark.parametrize("height", ["175", "0.175", "17.5"])
def test_a_height_that_nobody_has_is_refused(tmp_path, capsys, height):
    main(["trial", "new", str(tmp_path / "a")])
    path = tmp_path / "a" / "trial.toml"
    path.write_text(path.read_text() + f"\n[subject]\nheight_m = {height}\n")
    assert main(["process", str(tmp_path / "a")]) == 2
    assert f"height_m is {height}" in capsys.readouterr().err


def test_a_name_is_no_code_of_a_patient(tmp_path, capsys):
    assert main(["trial", "new", str(tmp_path / "a"), "--patient", "Jane Doe"]) == 2
    assert '"Jane Doe" is no patient code' in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    main(["trial", "new", str(tmp_path / "a")])
    path = tmp_path / "a" / "trial.toml"
    path.write_text(path.read_text().replace('"P001"', '"Jane Doe"'))
    assert main(["process", str(tmp_path / "a")]) == 2
    assert "never a name" in capsys.readouterr().err


def test_a_setting_that_does_not_exist_is_named(tmp_path, capsys):
    main(["trial", "new", str(tmp_path / "a")])
    path = tmp_path / "a" / "trial.toml"
    path.write_text(path.read_text().replace("[trial]", "[trial]\nspeed = 3"))
    assert main(["process", str(tmp_path / "a")]) == 2
    assert "speed" in capsys.readouterr().err


def test_doctor_finds_this_machine_healthy(capsys):
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["healthy"]


def test_ctrl_c_stops_with_one_sentence(tmp_path, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("console.verbs.process.process_folder", interrupted)
    assert main(["process", str(tmp_path)]) == 130
    assert "stopped. What was finished is kept." in capsys.readouterr().err


def test_pages_go_to_a_folder_that_is_there_as_well(tmp_path, capsys):
    """The window has a trial's pages written to the same place whenever it shows them."""
    words = ["report", str(tmp_path / "none.h5"), "-o", str(tmp_path)]
    assert main([*words, "--pages"]) == 2
    said = capsys.readouterr().err
    assert "none.h5" in said
    assert "is a folder" not in said
    assert main(words) == 2
    assert "is a folder" in capsys.readouterr().err
