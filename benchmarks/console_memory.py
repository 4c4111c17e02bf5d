r"""Claim: the memory of the window does not grow; eight previews at 30 Hz cost half a core at most.

A real node process with eight cameras of 640 x 360 at 30 Hz, and the real window on the page Rig.
Each minute is printed: CPU of the window's process, its memory, previews drawn, and waits over
50 ms.

    xvfb-run -s "-screen 0 1366x768x24" python benchmarks/console_memory.py [--minutes 30]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PySide6.QtCore import QTimer
from window_beats import Beats

from capture.node_process import node_command
from console.desk import Desk
from console.qt.app import make_window

CAMERAS = [f"cam{k:02d}" for k in range(1, 9)]


def start_node(folder: Path) -> subprocess.Popen[str]:
    cameras = folder / "cameras.toml"
    cameras.write_text(
        "".join(
            f'[cameras.{name}]\ndriver = "simulated"\nnode = "cell"\nrate_hz = 30\n'
            'size_px = [640, 360]\noptions = {delivers = "mjpeg"}\n'
            for name in CAMERAS
        )
    )
    words = ["--name", "cell", "--cameras", cameras, "--data", folder / "data", "--port", "0"]
    return subprocess.Popen(
        node_command([*words, "--guarded"]),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    given = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        node = start_node(folder)
        port = node.stdout.readline().split()[1]
        (folder / "nodes.toml").write_text(f'[nodes.cell]\nhost = "127.0.0.1"\nport = {port}\n')
        try:
            watch(folder, given.minutes)
        finally:
            node.stdin.close()
            node.wait(20)


def watch(folder: Path, minutes: float) -> None:
    app, window = make_window(Desk(folder), False)
    window.show()
    beats = Beats(window)
    process, drawn = psutil.Process(), {name: set() for name in CAMERAS}
    rows: list[tuple[float, float]] = []
    last = {"cpu": sum(process.cpu_times()[:2]), "at": time.monotonic(), "waits": 0}

    def look() -> None:
        for name, picture in window.desk.cell.live.newest().items():
            drawn[name].add(picture.index)

    def tell() -> None:
        now, cpu = time.monotonic(), sum(process.cpu_times()[:2])
        took = now - last["at"]
        rate = np.mean([len(seen) for seen in drawn.values()]) / took
        memory = process.memory_info().rss / 1e6
        worst = max((w.seconds for w in beats.waits), default=0.0)
        rows.append((now, memory))
        print(
            f"{len(rows):3} min  {(cpu - last['cpu']) / took:.2f} cores  {memory:.1f} MB  "
            f"{rate:.1f} previews a second of each  {len(beats.waits)} waits over 50 ms, "
            f"the longest {1e3 * worst:.0f} ms; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        beats.waits.clear()
        last.update(cpu=cpu, at=now)
        for seen in drawn.values():
            seen.clear()
        if len(rows) >= minutes:
            window.close()
            app.quit()

    looking, telling = QTimer(), QTimer()
    looking.timeout.connect(look)
    telling.timeout.connect(tell)
    looking.start(15)
    telling.start(60_000)
    app.exec()
    after = rows[min(4, len(rows) - 1) :]
    print(f"memory after 5 min {after[0][1]:.1f} MB, at the end {after[-1][1]:.1f} MB")


if __name__ == "__main__":
    main()
