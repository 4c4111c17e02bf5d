"""Claim: four cameras in four real node processes at 60 Hz lose, double and swap nothing.

    python benchmarks/capture_nodes.py [--seconds 60] [--delivers mjpeg]

1280x720, one simulated camera in each of four node processes. The cameras deliver JPEG,
as many USB and GigE cameras do (`--delivers raw` has the nodes encode 240 frames a second, which
two cores may not). Every frame's counter is in its pixels; the source writes every counter that
left it to a ledger. The recordings are decoded and compared with the ledger, frame by frame. The
source runs within the node; its own CPU is measured apart, by playing it alone.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np
import psutil

from capture import control
from capture.cameras import CameraSettings
from capture.counter import read_counter
from capture.driver import open_camera
from capture.encoder import decode_jpeg
from capture.host_clock import HostClock
from capture.link import NodeLink
from capture.recorder import read_packets, read_recording
from capture.simulated import read_ledger

ROOT = Path(__file__).resolve().parents[1]


def film(path):
    """Sixteen pictures with the texture and noise of a room: JPEG of some 200 kB."""
    rng = np.random.default_rng(1)
    room = cv2.GaussianBlur(rng.normal(128, 400, (720, 1280)), (0, 0), 6)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=60)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "gray"
        for _ in range(16):
            image = np.clip(room + rng.normal(0, 2.5, room.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        container.mux(stream.encode(None))


def start(folder, name, delivers):
    folder.mkdir()
    (folder / "cameras.toml").write_text(
        f'[cameras.{name}]\ndriver = "simulated"\nsize_px = [1280, 720]\nrate_hz = 60\n'
        f'[cameras.{name}.options]\ndelivers = "{delivers}"\n'
        f'frames = "{folder.parent / "film.mkv"}"\nledger = "{folder / "ledger"}"\n'
    )
    process = subprocess.Popen(
        [
            sys.executable, "-m", "capture.node_process", "--name", name, "--port", "0",
            "--cameras", folder / "cameras.toml", "--data", folder / "data",
        ],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return process, f"tcp://127.0.0.1:{process.stdout.readline().split()[1]}"


def source_cpu(delivers, frames, seconds=5.0):
    """Share of one core that the simulated camera takes by itself."""
    options = {"delivers": delivers, "frames": str(frames)}
    camera = open_camera(
        CameraSettings(
            name="cam", driver="simulated", size_px=(1280, 720), rate_hz=60, options=options
        ),
        HostClock(),
    )
    camera.start()
    began, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        camera.grab(1.0)
    share = (time.process_time() - cpu) / (time.monotonic() - began)
    camera.close()
    return share


def compare(folder, name):
    video = folder / "data" / "take" / f"{name}.mkv"
    index, in_video = read_recording(video)
    drawn = [read_counter(decode_jpeg(f.packet)) for f in read_packets(video, index)]
    first, last = drawn[0], drawn[-1]
    left = [c for c, _ in read_ledger(folder / "ledger") if first <= c <= last]
    agree = drawn == index.records["index"].tolist() and in_video == len(drawn)
    lost = len(set(left) - set(drawn))
    doubled = len(drawn) - len(set(drawn))
    swapped = sum(b < a for a, b in itertools.pairwise(drawn))
    missed = last - first + 1 - len(left)
    print(
        f"{name}: {len(drawn)} frames recorded of {len(left)} that left the source: "
        f"lost {lost}, doubled {doubled}, reordered {swapped}; counters in pixels "
        f"{'agree' if agree else 'DISAGREE'} with the index; {missed} never fetched from the "
        f"camera's own buffer; {video.stat().st_size / 1e6:.0f} MB"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--delivers", default="mjpeg", choices=("mjpeg", "raw"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        frames = Path(scratch) / "film.mkv"
        film(frames)
        alone = source_cpu(given.delivers, frames)
        print(f"the source alone: {100 * alone:.1f} % of one core a camera")
        names = [f"cam{i}" for i in range(1, 5)]
        nodes = {n: start(Path(scratch) / n, n, given.delivers) for n in names}
        links = {n: NodeLink(endpoint, timeout_s=30) for n, (_, endpoint) in nodes.items()}
        for link in links.values():
            link.ask(control.Arm("take", given.seconds + 30), control.Done)
        for link in links.values():
            now = link.exchange_clock()[1]
            link.ask(control.Start("take", now + 500_000_000), control.Done)
        time.sleep(0.5)
        processes = {n: psutil.Process(p.pid) for n, (p, _) in nodes.items()}
        before = {n: sum(p.cpu_times()[:2]) for n, p in processes.items()}
        began, memory = time.monotonic(), {n: [] for n in names}
        while time.monotonic() - began < given.seconds:
            time.sleep(1.0)
            for n, p in processes.items():
                memory[n].append(p.memory_info().rss / 1e6)
        span = time.monotonic() - began
        for n, p in processes.items():
            share = (sum(p.cpu_times()[:2]) - before[n]) / span
            print(
                f"{n}: node and source {100 * share:.0f} % of one core, memory "
                f"{memory[n][0]:.0f} MB at first, {memory[n][-1]:.0f} MB at last"
            )
        for link in links.values():
            link.ask(control.Stop("take"), control.Stopped, 60.0)
            link.close()
        for process, _ in nodes.values():
            process.terminate()
            process.wait(30)
            process.stdout.close()
        for n in names:
            compare(Path(scratch) / n, n)


if __name__ == "__main__":
    main()
