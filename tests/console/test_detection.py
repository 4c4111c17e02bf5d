"""Detections of videos: killed and begun again, nothing kept is detected twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 150
# A detector that writes down every frame it has seen, slow enough to be killed in the middle.
COUNTING = """
import os, time
import numpy as np
from lab.points import Keypoints2D

class Counting:
    names = ("nose",)
    pixel_format = "gray"
    def __init__(self, log, pause, identity):
        self.log, self.pause, self.identity = log, pause, identity
    def detect(self, camera, frames):
        t, xy = [], []
        for time_, image in frames:
            line = f"{camera} {round(time_ * 100)}\\n".encode()
            file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, line)
            os.close(file)
            time.sleep(self.pause)
            t.append(time_)
            xy.append([[image.mean(), time_]])
        n = len(t)
        return Keypoints2D(camera, self.names, np.array(t), np.array(xy).reshape(n, 1, 2),
                           np.broadcast_to(np.eye(2), (n, 1, 2, 2)), np.ones((n, 1)))

class Recipe:
    def __init__(self, *arguments):
        self.arguments = arguments
    def __call__(self):
        return Counting(*self.arguments)
"""
RUN = """
import hashlib, json, signal, sys
from pathlib import Path
from console.detection import Footage, detect_footage
from counting import Recipe

if __name__ == "__main__":
    # Whoever started the tests may have had Ctrl-C ignored, as a shell does in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, log, pause, workers, identity = Path(sys.argv[1]), sys.argv[2], *sys.argv[3:]
    steps = []
    films = [Footage(n, folder / f"{n}.mkv") for n in ("cam01", "cam02")]
    try:
        found = detect_footage(films, Recipe(log, float(pause), identity), folder / "detections",
                               workers=int(workers), progress=lambda *s: steps.append(s))
    except KeyboardInterrupt:
        sys.exit(130)
    digest = hashlib.sha256()
    for name in sorted(found):
        for field in ("t", "xy_px", "cov_px", "score"):
            digest.update(getattr(found[name], field).tobytes())
    print(json.dumps({"hash": digest.hexdigest(), "last": steps[-1]}))
"""


@pytest.fixture
def films(tmp_path):
    (tmp_path / "counting.py").write_text(textwrap.dedent(COUNTING))
    (tmp_path / "run.py").write_text(textwrap.dedent(RUN))
    for number, name in enumerate(("cam01", "cam02")):
        with av.open(str(tmp_path / f"{name}.mkv"), "w") as container:
            stream = container.add_stream("ffv1", rate=100)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "gray"
            stream.time_base = Fraction(1, 100)
            for i in range(FRAMES):
                image = np.full((32, 32), (i + 60 * number) % 256, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="gray")
                frame.pts = i
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return tmp_path


def start(folder, log, pause=0.0, workers=2, identity="counting 1"):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    arguments = [str(folder), str(folder / log), str(pause), str(workers), identity]
    return subprocess.Popen(
        [sys.executable, str(folder / "run.py"), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    return json.loads(out)


def seen(folder, log):
    path = folder / log
    return path.read_text().splitlines() if path.exists() else []


def stored(folder):
    """The frames in the chunks that are kept, as the log writes them."""
    lines = []
    for path in (folder / "detections").glob("*/*.npz"):
        with np.load(path) as chunk:
            lines += [f"{path.parent.name[:5]} {round(t * 100)}" for t in chunk["t"]]
    return lines


def wait_for_chunks(folder, count, process):
    for _ in range(600):
        if len(list((folder / "detections").glob("*/*.npz"))) >= count:
            return
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.05)
    raise AssertionError("no chunk was kept")


def test_killed_in_the_middle_no_kept_frame_is_detected_again(films):
    process = start(films, "killed.log", pause=0.01)
    wait_for_chunks(films, 3, process)
    os.kill(process.pid, signal.SIGKILL)
    # The workers end with their parent: their ends of the pipes close, nothing more is written.
    process.communicate(timeout=30)
    first, kept = seen(films, "killed.log"), stored(films)
    time.sleep(0.5)
    assert seen(films, "killed.log") == first
    assert 0 < len(kept) < 2 * FRAMES
    assert len(set(first)) == len(first)
    resumed = finish(start(films, "resumed.log"))
    second = seen(films, "resumed.log")
    assert len(set(second)) == len(second)
    assert not set(kept) & set(second)
    assert len(kept) + len(second) == 2 * FRAMES
    assert resumed["last"] == [2 * FRAMES, 2 * FRAMES, "finding keypoints"]
    # What was lost is at most a chunk for each of the two workers.
    assert len(set(first) & set(second)) <= 2 * 32
    # The same as without a break, with another number of workers, from the kept files alone.
    bytes_kept = {str(p): p.read_bytes() for p in (films / "detections").glob("*/*.npz")}
    again = finish(start(films, "third.log"))
    assert seen(films, "third.log") == []
    for path in (films / "detections").glob("*/*.npz"):
        path.unlink()
    whole = finish(start(films, "whole.log", workers=1))
    assert len(seen(films, "whole.log")) == 2 * FRAMES
    assert resumed["hash"] == again["hash"] == whole["hash"]
    assert bytes_kept == {str(p): p.read_bytes() for p in (films / "detections").glob("*/*.npz")}


def test_ctrl_c_finishes_the_frames_in_hand_and_keeps_them(films):
    process = start(films, "stopped.log", pause=0.05)
    wait_for_chunks(films, 2, process)
    # As a terminal does it: the whole group gets the signal.
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    first, kept = seen(films, "stopped.log"), stored(films)
    assert sorted(first) == sorted(kept)
    assert 0 < len(kept) < 2 * FRAMES
    finish(start(films, "resumed.log"))
    both = first + seen(films, "resumed.log")
    assert len(both) == len(set(both)) == 2 * FRAMES


def test_another_detector_or_video_is_detected_anew_and_damage_mended(films):
    first = finish(start(films, "a.log"))
    finish(start(films, "b.log", identity="counting 2"))
    assert len(seen(films, "b.log")) == 2 * FRAMES
    # One camera's video replaced by the other's.
    (films / "cam01.mkv").write_bytes((films / "cam02.mkv").read_bytes())
    changed = finish(start(films, "c.log"))
    assert {line.split()[0] for line in seen(films, "c.log")} == {"cam01"}
    assert changed["hash"] != first["hash"]
    damaged = sorted((films / "detections").glob("cam02-*/00000032.npz"))
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-30])
    assert finish(start(films, "d.log"))["hash"] == changed["hash"]
    assert sorted(seen(films, "d.log")) == sorted(f"cam02 {i}" for i in range(32, 64))
