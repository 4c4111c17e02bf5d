"""Films go through node processes and come out as they went in, each frame at its time."""

from __future__ import annotations

import csv
from fractions import Fraction

import av
import numpy as np
import pytest

from capture.counter import draw_counter, read_counter
from console.filmed_session import Scene, record_scenes
from lab.errors import LabError

SIZE = (336, 48)


def film(path, frames, codec):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=50)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "gray" if codec == "ffv1" else "yuvj420p"
        stream.time_base = Fraction(1, 50)
        for k in range(frames):
            image = np.full(SIZE[::-1], 120, np.uint8)
            draw_counter(image, k)
            frame = av.VideoFrame.from_ndarray(image, format="gray").reformat(format=stream.pix_fmt)
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def drawn(path):
    with av.open(str(path)) as container:
        return [read_counter(f.to_ndarray(format="gray")) for f in container.decode(video=0)]


def packets(path):
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(video=0) if p.size]


def test_scenes_are_recorded_whole_and_at_their_times(tmp_path):
    names = ("cam1", "cam2", "cam3")
    for name in names:
        film(tmp_path / f"films/board/{name}.mkv", 12, "ffv1")
        film(tmp_path / f"films/run/{name}.mkv", 60, "mjpeg")
    scenes = [
        Scene("board", tmp_path / "films/board", 12, 20.0, encoding="ffv1"),
        Scene("run", tmp_path / "films/run", 60, 50.0, first=0.02),
    ]
    folders = {s.name: tmp_path / "out" / s.name for s in scenes}
    heard: list[str] = []
    landed = record_scenes(
        scenes, dict.fromkeys(names, SIZE), folders, tmp_path / "work", say=heard.append
    )
    for scene in scenes:
        assert landed[scene.name].reasons == ()
        with (folders[scene.name] / "times.csv").open() as file:
            rows = list(csv.DictReader(file))
        for name in names:
            assert drawn(folders[scene.name] / f"{name}.mkv") == list(range(scene.frames))
            t = np.array([float(r["t"]) for r in rows if r["camera"] == name])
            true = scene.first + np.arange(scene.frames) / scene.rate_hz
            # What a camera takes at the least to deliver is not seen: all frames alike.
            assert np.ptp(t - true) < 1e-3
            assert (t - true > -1e-6).all()
    # A film that was JPEG already is recorded as it is.
    assert packets(folders["run"] / "cam2.mkv") == packets(tmp_path / "films/run/cam2.mkv")
    assert not [s for s in heard if "silent" in s or "no frame" in s]
    assert not list((tmp_path / "work").glob("nodes-*"))


def test_a_film_that_is_missing_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("console.filmed_session._SPARE_S", 1.0)
    film(tmp_path / "films/cam1.mkv", 12, "ffv1")
    scene = Scene("run", tmp_path / "films", 12, 20.0)
    heard: list[str] = []
    sizes = {"cam1": SIZE, "cam2": SIZE}
    with pytest.raises(LabError, match="a camera is missing"):
        record_scenes(
            [scene], sizes, {"run": tmp_path / "out"}, tmp_path / "work", say=heard.append
        )
    assert any("its film does not play" in s for s in heard)
