"""Memory over a long take: one node with two cameras, recorded and watched by a lab.

python benchmarks/capture_soak.py [--minutes 30] [--rate 20]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from capture.session import Session
from capture.watch import NodeAddress


def main(minutes: float, rate: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "cameras.toml").write_text(
            "".join(
                f'[cameras.cam{i}]\ndriver = "simulated"\nsize_px = [640, 360]\nrate_hz = {rate}\n'
                f'[cameras.cam{i}.options]\ndelivers = "mjpeg"\n'
                for i in range(2)
            )
        )
        node = subprocess.Popen(
            [
                sys.executable, "-m", "capture.node_process", "--name", "left", "--port", "0",
                "--cameras", work / "cameras.toml", "--data", work / "data",
            ],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        port = int(node.stdout.readline().split()[1])
        session = Session([NodeAddress("left", f"tcp://127.0.0.1:{port}")], work / "s", print)
        session.open()
        began = time.monotonic()
        ended = threading.Event()

        def watch() -> None:
            both = psutil.Process(node.pid), psutil.Process(os.getpid())
            while not ended.wait(30):
                mb = [p.memory_info().rss / 1e6 for p in both]
                print(
                    f"{(time.monotonic() - began) / 60:5.1f} min: node {mb[0]:.1f} MB, "
                    f"lab {mb[1]:.1f} MB",
                    flush=True,
                )

        threading.Thread(target=watch, daemon=True).start()
        take = session.record("soak", 60 * minutes)
        session.collect(take, work / "soak")
        ended.set()
        print(f"recorded {take.duration:.0f} s; said: {take.faults}")
        session.close()
        node.terminate()
        node.wait(20)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=20)
    given = parser.parse_args()
    main(given.minutes, given.rate)
