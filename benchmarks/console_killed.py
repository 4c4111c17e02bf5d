"""Claim: a console killed with -9 during a recording or during processing loses nothing.

A console without a window (its desk, in a process of its own) records on four simulated nodes and
is killed; another one is opened on the same folder. Printed: what it shows when it is back, and the
frames in the files against those that the cameras' counters say were exposed. A lab folder with an
accepted rig is needed: benchmarks/console_session.py leaves one.

    python benchmarks/console_killed.py --lab DIR
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from console.demo_cell import DemoCell
from console.demo_films import DemoSet
from console.desk import Desk

CHILD = """
import sys, time
from pathlib import Path
from console.demo_cell import DemoCell
from console.demo_films import DemoSet
from console.desk import Desk
lab = Path(sys.argv[1])
cell = DemoCell(lab, DemoSet())
cell.start()
desk = Desk(lab, cell)
desk.begin_session("P999", "run", 3.0, 1.75)
def until(state, seconds=60.0):
    end = time.monotonic() + seconds
    while desk.run.look().state != state:
        if time.monotonic() > end or desk.run.look().fault:
            raise SystemExit(f"never {state}: {desk.run.look()}")
        time.sleep(0.05)
until("ready")
desk.record("static")
until("recording")
until("ready", 60)
time.sleep(2.5)
cell.play("running")
desk.record("trial")
until("recording")
print("recording", flush=True)
if sys.argv[2] == "processing":
    while True:
        time.sleep(5)
        desk.run.stop()
        until("ready")
        time.sleep(2.5)
        if any(t.state == "recorded" for t in desk.session.takes):
            break
        desk.record("trial")  # the busy computer's clocks were not sure enough
        until("recording")
    desk.process_new()
    while not any(j.step == "measuring" for j in desk.jobs.jobs):
        time.sleep(0.02)
    print("processing", flush=True)
time.sleep(600)
"""


def wait(what: str, condition, seconds: float = 180.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise SystemExit(f"not within {seconds:.0f} s: {what}")


def start(lab: Path, until: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, lab, until], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line.strip() == until:
            break
    return process


def kill(process: subprocess.Popen) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def main() -> None:
    """Print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", type=Path, required=True)
    given = parser.parse_args()
    cell = DemoCell(given.lab, DemoSet())
    cell.start()
    try:
        recording(given.lab, cell)
        processing(given.lab, cell)
    finally:
        cell.close()


def recording(lab: Path, cell: DemoCell) -> None:
    cell.play("standing")
    process = start(lab, "recording")
    time.sleep(3.0)
    kill(process)
    print("killed while recording")
    time.sleep(2.0)
    desk = Desk(lab, Lent(cell))
    session = next(s for s in desk.now.sessions if s.patient == "P999" and s.on_nodes)
    print(f"  back: {', '.join(session.on_nodes)} of P999 is shown as still on the nodes")
    desk.go_on(session.folder)
    wait("it is fetched", lambda: desk.run.look().state == "ready")
    take = wait("it is there", lambda: moving(desk, session.folder, "lost"))[0]
    lost = sum(a for a, _ in take.lost.values())
    kept = sum(b for _, b in take.lost.values())
    seconds = kept / cell.made.cameras / cell.made.rate_hz
    print(f"  fetched: {take.name} {take.state}, {kept} frames ({seconds:.1f} s), {lost} lost")
    desk.close()


def processing(lab: Path, cell: DemoCell) -> None:
    cell.play("standing")
    process = start(lab, "processing")
    kill(process)
    print("killed while processing")
    time.sleep(1.0)
    desk = Desk(lab, Lent(cell))
    sessions = [s for s in desk.now.sessions if s.patient == "P999"]
    session = max(sessions, key=lambda s: s.folder.stat().st_mtime)
    print(f"  back: {', '.join(f'{t.name} {t.state}' for t in session.takes)}")
    desk.go_on(session.folder)
    wait("it is open", lambda: desk.run.look().state == "ready")
    wait("it is read", lambda: desk.session)
    desk.process_new()
    take = wait(
        "it is processed",
        lambda: [
            t for t in moving(desk, session.folder) if t.state in ("accepted", "refused")
        ], 500,
    )[0]  # fmt: skip
    print(f"  processed anew: {take.name} {take.state} {'; '.join(take.reasons[:1])}")
    desk.close()


def moving(desk: Desk, folder: Path, having: str = "name"):
    return [t for t in read(desk, folder) if t.kind == "trial" and getattr(t, having)]


def read(desk: Desk, folder: Path):
    session = desk.now.session(folder)
    return session.takes if session else ()


class Lent:
    """The demo's cell, which outlives the desk."""

    def __init__(self, cell: DemoCell) -> None:
        self.cell = cell

    @property
    def scene(self) -> str:
        return self.cell.scene

    def play(self, scene: str) -> None:
        self.cell.play(scene)

    @property
    def speed_m_s(self) -> float:
        return self.cell.speed_m_s

    @property
    def preparing(self):
        return self.cell.preparing

    def close(self) -> None:
        pass


if __name__ == "__main__":
    main()
