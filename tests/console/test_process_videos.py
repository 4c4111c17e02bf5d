"""gaitlab process from pixels: a simulated walker filmed, found by a network, and measured."""

from __future__ import annotations

import json
from fractions import Fraction

import av
import numpy as np
import pytest

from console.cli import main
from lab.store import load_trial, save_rig
from reconstruct.skeletons import load_skeleton
from simulation.room import ring
from simulation.walker import simulate
from tests.networks import draw_people, pose_network

SIZE = (320, 240)
FRAMES = 40
CARD = """
name = "tiny"
kind = "pose"
licence = "none"
input_px = [320, 240]
padding = 1.0
skeleton = "coco17"
"""


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """A trial folder with four videos, a network's files, and the truth."""
    folder = tmp_path_factory.mktemp("trial")
    rig = ring(4, radius_m=4.2, height_m=1.5, target=(0, 0, 0.9), size_px=SIZE, focal_px=290.0)
    save_rig(rig, folder / "rig.h5")
    walker = simulate("walk", speed_m_s=1.2, treadmill=True, duration_s=4.0, seed=1)
    names = [n for n in load_skeleton("coco17").order if n in walker.names]
    t = 1.0 + np.arange(FRAMES) / 50
    xyz = walker.points(t)[:, [walker.names.index(n) for n in names]]
    columns = [load_skeleton("coco17").order.index(n) for n in names]
    for camera in rig.cameras:
        xy = np.full((FRAMES, 17, 2), np.nan)
        xy[:, columns] = camera.project(xyz)
        with av.open(str(folder / f"{camera.name}.mkv"), "w") as container:
            stream = container.add_stream("ffv1", rate=50)
            stream.width, stream.height = SIZE
            stream.pix_fmt, stream.time_base = "bgr0", Fraction(1, 50)
            for i in range(FRAMES):
                image = draw_people(SIZE, [xy[i]], blob_px=3.0)
                frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="bgr0")
                frame.pts = 50 + i
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    lines = ["[trial]", 'patient = "P1"', 'activity = "walk"', "treadmill_speed_m_s = 1.2"]
    lines += ['rig = "rig.h5"', "[detect]", 'detector = "pose"', 'model = "tiny"', 'device = "cpu"']
    for camera in rig.cameras:
        lines += [f"[cameras.{camera.name}]", f'video = "{camera.name}.mkv"']
    (folder / "trial.toml").write_text("\n".join(lines) + "\n")
    (folder / "tiny.card.toml").write_text(CARD)
    (folder / "tiny.onnx").write_bytes(pose_network(17, SIZE))
    return folder, names, t, xyz


def test_from_videos_to_points(walk, tmp_path, monkeypatch, capsys):
    folder, names, t, xyz = walk
    monkeypatch.setenv("GAITLAB_MODELS", str(tmp_path / "models"))
    assert main(["process", str(folder)]) == 2
    assert "no model called 'tiny'" in capsys.readouterr().err
    assert main(["models", "add", str(folder / "tiny.card.toml"), str(folder / "tiny.onnx")]) == 0
    capsys.readouterr()
    assert main(["models", "list", "--json"]) == 0
    listed = {m["name"]: m for m in json.loads(capsys.readouterr().out)["models"]}
    assert listed["tiny"]["here"]
    assert not listed["rtmpose-m-halpe26"]["here"]
    # Too short for a report, and it says so; what was seen is there all the same.
    assert main(["process", str(folder)]) in (0, 1)
    trial = load_trial(folder / "trial.h5")
    assert trial.points.t == pytest.approx(t)
    columns = [trial.points.names.index(n) for n in names]
    error = np.linalg.norm(trial.points.xyz[:, columns] - xyz, axis=-1)
    # A pixel is 15 mm here, and joints hide each other.
    assert np.nanmedian(error) < 0.01
    assert np.isfinite(error).mean() > 0.9
    sigma = np.sqrt(np.trace(trial.points.cov[:, columns], axis1=-2, axis2=-1))
    assert 0.3 < np.nanmedian(error / sigma) < 1.5
    assert listed["tiny"]["sha256"] in trial.provenance.configuration
    assert {i.path for i in trial.provenance.inputs} >= {"cam01.mkv", "trial.toml"}
    first = {p: p.stat().st_mtime_ns for p in (folder / "detections").glob("*/*.npz")}
    assert main(["process", str(folder)]) in (0, 1)
    assert {p: p.stat().st_mtime_ns for p in (folder / "detections").glob("*/*.npz")} == first
    again = load_trial(folder / "trial.h5")
    assert np.array_equal(again.points.xyz, trial.points.xyz, equal_nan=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[detect]\ndetector = "cat"', 'detector is "cat"'),
        ('[detect]\ndetector = "pose"', "gaitlab models get rtmpose-m-halpe26"),
        ("", "no [detect] section says how to find them"),
        ('[detect]\ndetector = "pose"\n[person]\ncamera = "cam01"', "[person] needs camera, t"),
        (
            '[detect]\ndetector = "pose"\n[person]\ncamera = "c"\nt = 1.0\nx_px = 1\ny_px = 1',
            "the camera c",
        ),
    ],
)
def test_what_is_missing_is_named(walk, tmp_path, monkeypatch, capsys, text, said):
    folder = walk[0]
    monkeypatch.setenv("GAITLAB_MODELS", str(tmp_path / "none"))
    head, _, cameras = (folder / "trial.toml").read_text().partition("[detect]")
    cameras = cameras[cameras.index("[cameras") :]
    trial = tmp_path / "trial"
    trial.mkdir()
    head = head.replace('"rig.h5"', json.dumps(str(folder / "rig.h5")))
    (trial / "trial.toml").write_text(f"{head}{text}\n{cameras}")
    assert main(["process", str(trial), "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)["error"]
    assert said in f"{answer['what']} {answer['remedy']}"
