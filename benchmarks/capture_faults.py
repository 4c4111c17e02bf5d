"""Faults on real processes: frames in the files against frames that left the source.

Each row is a fault, what it cost, and what the operator was told.

    python benchmarks/capture_faults.py [--only NAME]
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import zmq
from relay import Relay

from capture.control import Describe, Description
from capture.keys import ClientKeys, own_keys, trust
from capture.landing import land_take
from capture.recorder import read_recording
from capture.session import Session
from capture.simulated import read_ledger
from capture.watch import NodeAddress
from lab.errors import LabError


class Bench:
    """One node and one lab in a folder of their own."""

    def __init__(self, work: Path, *, data: Path | None = None, faults: str = "", clock: str = "",
                 delivers="mjpeg", extra=(), keys: ClientKeys | None = None):  # fmt: skip
        size = (640, 360)
        work.mkdir(parents=True, exist_ok=True)
        self.work, self.heard = work, []
        self.data = data or work / "data"
        (work / "cameras.toml").write_text(
            f'[cameras.cam1]\ndriver = "simulated"\nsize_px = [{size[0]}, {size[1]}]\n'
            f'rate_hz = 60\n[cameras.cam1.options]\ndelivers = "{delivers}"\n'
            f'ledger = "{work / "ledger"}"\n' + (f"faults = {{ {faults} }}\n" if faults else "")
        )
        self.command = [
            sys.executable, "-m", "capture.node_process", "--name", "left", "--cameras",
            str(work / "cameras.toml"), "--data", str(self.data), "--clock", clock, *extra,
        ]  # fmt: skip
        self.node = self.start("0")
        self.keys = keys
        self.session: Session | None = None

    def start(self, port: str) -> subprocess.Popen:
        node = subprocess.Popen(
            [*self.command, "--port", port], stdout=subprocess.PIPE, text=True,
            stderr=(self.work / "log").open("a"),
        )  # fmt: skip
        self.port = int(node.stdout.readline().split()[1])
        return node

    def open(self, port: int | None = None) -> Session:
        address = NodeAddress("left", f"tcp://127.0.0.1:{port or self.port}", self.keys)
        self.session = Session([address], self.work / "session", self.heard.append)
        self.session.open()
        return self.session

    def close(self) -> None:
        if self.session:
            self.session.close()
        if self.node.poll() is None:
            self.node.terminate()
            try:
                self.node.wait(20)
            except subprocess.TimeoutExpired:
                self.node.kill()


def when(start_s: float, action) -> threading.Timer:
    timer = threading.Timer(start_s, action)
    timer.daemon = True
    timer.start()
    return timer


def report(name: str, bench: Bench, video: Path, start: int, until: int, began: float) -> None:
    """Print one row: frames of the source from the start until the fault against those on disk."""
    index, there = read_recording(video)
    held = {int(k) for k in index.records["index"][:there]}
    left = {k: t for k, t in read_ledger(bench.work / "ledger") if start + 3e7 <= t <= until - 3e7}
    missing = [k for k in left if k not in held]
    lost_s = (until - min(left[k] for k in missing)) * 1e-9 if missing else 0.0
    print(
        f"{name}: before the fault {len(left)} left the source, {len(missing)} are not in the "
        f"file ({lost_s:.2f} s before it); all over in {time.monotonic() - began:.1f} s"
    )
    for sentence in dict.fromkeys(bench.heard):
        print("   said:", sentence)


def killed_node(work: Path) -> None:
    b, began = Bench(work), time.monotonic()
    s, at = b.open(), []
    when(4, lambda: (at.append(time.monotonic_ns()), os.kill(b.node.pid, signal.SIGKILL)))
    take = s.record("t", 5.0)
    b.node = b.start(str(b.port))
    s.collect(take, work / "t")
    report("node killed with -9", b, work / "t/cam1.mkv", take.start_lab_ns, at[0], began)
    b.close()


def killed_lab(work: Path) -> None:
    b, began = Bench(work), time.monotonic()
    plan = work / "plan.toml"
    plan.write_text(
        f'[nodes]\nleft = "127.0.0.1:{b.port}"\n[[take]]\nkind = "trial"\nseconds = 6\n'
    )
    words = [sys.executable, "-c", "from console.cli import run; run()", "capture", "--out",
             str(work / "session"), "--plan", str(plan)]  # fmt: skip
    lab = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    journal = work / "session/session.jsonl"
    while not journal.exists():
        time.sleep(0.1)
    time.sleep(3)
    lab.kill()
    lab.wait()
    time.sleep(4)
    b.open()
    ((take, _),) = b.session.unfinished()
    time.sleep(5)  # the node goes on by itself
    b.session.collect(take, work / "t", patience_s=20)
    end = take.start_lab_ns + int(5e9)
    report("lab killed", b, work / "t/cam1.mkv", take.start_lab_ns, end, began)
    print("   landed:", land_take(take, work / "t", b.session.clocks()).reasons or "fit")
    b.close()


def cut_network(work: Path) -> None:
    b, began = Bench(work), time.monotonic()
    line = Relay(("127.0.0.1", b.port))
    s = b.open(line.port)
    when(3, line.cut)
    when(13, line.mend)
    take = s.record("t", 14.0)
    s.collect(take, work / "t")
    end = take.start_lab_ns + int(take.duration * 1e9)
    report("network cut for 10 s", b, work / "t/cam1.mkv", take.start_lab_ns, end, began)
    print("   landed:", land_take(take, work / "t", s.clocks()).reasons or "fit")
    b.close()
    line.close()


def full_disk(work: Path) -> None:
    if os.geteuid() != 0:
        print("disk full: needs root for a small tmpfs; left out")
        return
    data = work / "small"
    data.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=280m", "tmpfs", data], check=True)
    b, began = None, time.monotonic()
    try:
        b = Bench(work, data=data, delivers="mjpeg")
        s = b.open()
        try:
            s.record("big", 3600.0)
        except LabError as error:
            print("disk too small, at arming:", error)
        at = []

        def fill() -> None:
            at.append(time.monotonic_ns())
            with (data / "other").open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(1 << 20))
                except OSError:
                    pass

        when(3, fill)
        take = s.record("t", 5.0)
        (data / "other").unlink()
        s.collect(take, work / "t")
        report("disk full", b, work / "t/cam1.mkv", take.start_lab_ns, at[0], began)
    finally:
        if b:
            b.close()
        subprocess.run(["umount", data], check=False)


def unplugged(work: Path) -> None:
    b, began = Bench(work, faults="unplug_at = 420"), time.monotonic()
    s = b.open()
    take = s.record("t", 8.0)
    s.collect(take, work / "t")
    gone = dict(read_ledger(work / "ledger")).get(419, take.start_lab_ns)
    report("camera unplugged and back", b, work / "t/cam1.mkv", take.start_lab_ns, gone, began)
    print("   landed:", land_take(take, work / "t", s.clocks()).reasons or "fit")
    b.close()


def slow_subscriber(work: Path) -> None:
    b, began = Bench(work, delivers="raw"), time.monotonic()
    s = b.open()
    with NodeAddress("left", f"tcp://127.0.0.1:{b.port}").link() as link:
        frames = link.ask(Describe(), Description).frames_port
    slow = zmq.Context.instance().socket(zmq.SUB)
    slow.linger, slow.rcvhwm = 0, 1
    slow.setsockopt(zmq.RCVBUF, 4096)
    slow.connect(f"tcp://127.0.0.1:{frames}")
    slow.subscribe(b"")  # and never reads
    take = s.record("t", 8.0, encoding="raw")
    memory = s.health()["left"].memory_bytes / 1e6
    s.collect(take, work / "t")
    end = take.start_lab_ns + int(take.duration * 1e9)
    report("slow subscriber", b, work / "t/cam1.mkv", take.start_lab_ns, end, began)
    print(f"   node's memory {memory:.0f} MB")
    slow.close()
    b.close()


def stepped_clock(work: Path) -> None:
    b, began = Bench(work, clock="step_s=3600,step_after_s=6"), time.monotonic()
    s = b.open()
    time.sleep(2)
    take = s.record("t", 6.0)
    s.collect(take, work / "t")
    landed = land_take(take, work / "t", s.clocks())
    end = take.start_lab_ns + int(3e9)
    report("clock set by an hour", b, work / "t/cam1.mkv", take.start_lab_ns, end, began)
    print("   landed:", landed.reasons)
    b.close()


def wrong_key(work: Path) -> None:
    keys = work / "keys"
    lab, stranger = own_keys(work / "lab"), own_keys(work / "stranger")
    node = own_keys(keys)
    trust(keys, "lab", lab.public)
    b, began = Bench(work, extra=("--keys", str(keys))), time.monotonic()
    b.keys = ClientKeys(stranger, node.public)
    try:
        b.open()
        print("wrong key: LET IN")
    except LabError as error:
        print(f"wrong key: refused after {time.monotonic() - began:.1f} s\n   said: {error}")
    b.keys = ClientKeys(lab, node.public)
    s = b.open()
    take = s.record("t", 2.0)
    s.collect(take, work / "t")
    end = take.start_lab_ns + int(take.duration * 1e9)
    report("   the right key then", b, work / "t/cam1.mkv", take.start_lab_ns, end, began)
    b.close()


def garbage(work: Path) -> None:
    b, began = Bench(work), time.monotonic()
    s = b.open()
    with NodeAddress("left", f"tcp://127.0.0.1:{b.port}").link() as link:
        about = link.ask(Describe(), Description)
    ports = (b.port, about.frames_port, about.previews_port)
    ending = threading.Event()

    def throw() -> None:
        dealer = zmq.Context.instance().socket(zmq.DEALER)
        dealer.linger = 0
        dealer.connect(f"tcp://127.0.0.1:{b.port}")
        while not ending.wait(0.01):
            dealer.send_multipart([os.urandom(40)])
            dealer.send_multipart([b"GAIT" + os.urandom(60)] * 3)
            for port in ports:
                with socket.create_connection(("127.0.0.1", port)) as raw:
                    raw.sendall(os.urandom(300))
        dealer.close()

    thread = threading.Thread(target=throw)
    thread.start()
    try:
        take = s.record("t", 5.0)
    finally:
        ending.set()
        thread.join()
    s.collect(take, work / "t")
    end = take.start_lab_ns + int(take.duration * 1e9)
    report("garbage on every socket", b, work / "t/cam1.mkv", take.start_lab_ns, end, began)
    b.close()


ALL = (killed_node, killed_lab, cut_network, full_disk, unplugged, slow_subscriber, stepped_clock,
       wrong_key, garbage)  # fmt: skip

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=[f.__name__ for f in ALL])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for fault in ALL:
            if given.only in (None, fault.__name__):
                fault(Path(folder) / fault.__name__)
                sys.stdout.flush()
