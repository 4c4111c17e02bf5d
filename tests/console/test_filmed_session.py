"""Films go through node processes and come out as they went in, each frame at its time."""

from __future__ import annotations

import csv
from fractions import Fraction

import av
import numpy as np
import pytest

from capture.counter import draw_counter, read_counter
from console.filmed_session import Scene, record_scenes
from lab.errors import FileError, LabError

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
        Scene("board", tmp_path / "films/board", 20.0, encoding="ffv1"),
        Scene("run", tmp_path / "films/run", 50.0, first=0.02),
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
        frames = 12 if scene.name == "board" else 60
        by_camera = {n: [r["t"] for r in rows if r["camera"] == n] for n in names}
        assert by_camera["cam1"] == by_camera["cam2"] == by_camera["cam3"]  # one pulse, one time
        for name in names:
            assert drawn(folders[scene.name] / f"{name}.mkv") == list(range(frames))
            t = np.array([float(r["t"]) for r in rows if r["camera"] == name])
            true = scene.first + np.arange(frames) / scene.rate_hz
            # What a camera takes at the least to deliver is not seen: all frames alike.
            assert np.ptp(t - true) < 1e-3
            assert (t - true > -1e-6).all()
    # A film that was JPEG already is recorded as it is.
    assert packets(folders["run"] / "cam2.mkv") == packets(tmp_path / "films/run/cam2.mkv")
    assert not [s for s in heard if "silent" in s or "no frame" in s]
    assert not list((tmp_path / "work").glob("nodes-*"))


def test_films_that_cannot_be_played_whole_are_refused(tmp_path):
    film(tmp_path / "films/cam1.mkv", 12, "ffv1")
    scene = Scene("run", tmp_path / "films", 20.0)
    sizes, folders = {"cam1": SIZE, "cam2": SIZE}, {"run": tmp_path / "out"}
    with pytest.raises(FileError, match="cam2"):
        record_scenes([scene], sizes, folders, tmp_path / "work", say=print)
    film(tmp_path / "films/cam2.mkv", 11, "ffv1")
    with pytest.raises(LabError, match="cam1 12, cam2 11"):
        record_scenes([scene], sizes, folders, tmp_path / "work", say=print)
    assert not list((tmp_path / "work").glob("nodes-*"))
