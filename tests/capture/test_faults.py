"""What goes wrong in a lab, on real processes: nothing recorded is lost, and each is named."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import zmq

from capture import control
from capture.keys import ClientKeys, own_keys, trust
from capture.landing import land_take
from capture.recorder import read_recording
from capture.watch import NodeAddress
from lab.errors import LabError

ROOT = Path(__file__).resolve().parents[2]


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture
def space():
    """A network namespace at the end of a cable: name, its address, and this end's device."""
    if shutil.which("ip") is None:
        pytest.skip("the ip command is not installed")
    name, device, subnet = f"gait{os.getpid()}", f"gv{os.getpid()}", f"10.97.{os.getpid() % 250}"
    made = run("ip", "netns", "add", name)
    if made.returncode:
        pytest.skip(f"network namespaces are not permitted here ({made.stderr.strip()})")
    try:
        for words in (
            f"link add {device} type veth peer name gvend netns {name}",
            f"addr add {subnet}.1/24 dev {device}",
            f"link set {device} up",
            f"-n {name} addr add {subnet}.2/24 dev gvend",
            f"-n {name} link set gvend up",
        ):
            done = run("ip", *words.split())
            if done.returncode:
                pytest.skip(f"a cable cannot be laid here ({done.stderr.strip()})")
        yield name, f"{subnet}.2", device
    finally:
        run("ip", "netns", "del", name)


@pytest.fixture
def small_disk(tmp_path):
    """A disk that is soon full."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = run("mount", "-t", "tmpfs", "-o", "size=270m", "tmpfs", str(folder))
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here ({made.stderr.strip()})")
    yield folder
    run("umount", "-l", str(folder))


def test_a_pulled_cable_costs_no_frame_and_wrong_keys_see_nothing(lab, space, tmp_path):
    name, host, device = space
    keys, own = tmp_path / "nk", own_keys(tmp_path / "lk")
    public = own_keys(keys).public
    trust(keys, "lab", own.public)
    node = lab.node(
        "left", "cam1", extra=("--keys", keys, "--host", host), within=("ip", "netns", "exec", name)
    )
    endpoint = f"tcp://{host}:{node.port}"
    stranger = own_keys(tmp_path / "sk")
    with pytest.raises(LabError, match="node left was not found"):
        lab.session_at(NodeAddress("left", endpoint, ClientKeys(stranger, public)))
    session = lab.session_at(NodeAddress("left", endpoint, ClientKeys(own, public)))
    changes, began = [(1.0, "down"), (4.0, "up")], []

    def enough():
        began.append(time.monotonic())
        while changes and began[-1] - began[0] > changes[0][0]:
            run("ip", "link", "set", device, changes.pop(0)[1])
        return False

    take = session.record("walk1", 6.0, enough=enough)
    assert changes == []
    session.collect(take, tmp_path / "walk1")
    landed = land_take(take, tmp_path / "walk1", session.clocks())
    assert landed.cameras[0].lost == 0
    assert set(lab.left(take, "cam1")) <= {int(k) for k in landed.cameras[0].index}
    assert any("unknown computer was refused" in s for s in lab.heard)
    assert any("has not answered" in s for s in lab.heard)
    assert any("answers again after" in s for s in lab.heard)


def test_a_full_disk_ends_the_recording_and_keeps_what_was_before(lab, small_disk, tmp_path):
    node = lab.node("left", "cam1", data=small_disk)
    session = lab.session(left=node.port)
    with pytest.raises(LabError, match="the disk has"):
        session.record("day", 80_000.0)
    filled = []

    def enough():
        if not filled and (small_disk / "walk1" / "cam1.mkv").exists():
            time.sleep(3.0)
            filled.append(time.monotonic_ns())
            with contextlib.suppress(OSError), (small_disk / "other").open("wb", 0) as file:
                while True:
                    file.write(bytes(1 << 20))
        return False

    take = session.record("walk1", 4.0, enough=enough)
    (small_disk / "other").unlink()
    session.collect(take, tmp_path / "walk1")
    index, there = read_recording(tmp_path / "walk1" / "cam1.mkv")
    in_file = {int(k) for k in index.records["index"][:there]}
    before = lab.left(take, "cam1", filled[0] - 1_000_000_000)
    assert before
    assert set(before) <= in_file
    assert any("disk" in s for s in lab.heard)
    with node.link() as link:
        assert link.ask(control.Health(), control.NodeHealth).state == "idle"


LAB = """
import sys
from pathlib import Path
from capture.session import Session
from capture.watch import NodeAddress
session = Session([NodeAddress("left", sys.argv[1])], Path(sys.argv[2]), print)
session.open()
session.record("walk1", 4.0, note={"kind": "trial", "name": "walk1"})
"""


def test_a_lab_killed_while_recording_is_told_what_became_of_the_take(lab, tmp_path):
    node = lab.node("left", "cam1")
    folder = tmp_path / "session"
    killed = subprocess.Popen(
        [sys.executable, "-c", LAB, node.endpoint, folder],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    with node.link() as link:
        while link.ask(control.Health(), control.NodeHealth).state != "recording":
            time.sleep(0.05)
    time.sleep(1.0)
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    time.sleep(4.0)  # nobody asks for longer than the node takes for granted
    session = lab.session(left=node.port)
    ((take, note),) = session.unfinished()
    assert note["name"] == "walk1"
    session.collect(take, tmp_path / "walk1", patience_s=20)
    landed = land_take(take, tmp_path / "walk1", session.clocks())
    assert set(lab.left(take, "cam1")) <= {int(k) for k in landed.cameras[0].index}
    assert any("silent for" in s and "trial walk1" in s for s in lab.heard)


def test_garbage_and_a_watcher_that_never_reads_cost_no_frame_and_are_named(lab, tmp_path):
    node = lab.node("left", "cam1", rate=200)
    session = lab.session(left=node.port)
    with node.link() as link:
        said = link.ask(control.Describe(), control.Description)
    ending = threading.Event()

    def throw() -> None:
        while not ending.wait(0.02):
            for port in (node.port, said.frames_port, said.previews_port):
                with socket.create_connection(("127.0.0.1", port)) as raw:
                    raw.sendall(os.urandom(300))
            dealer.send_multipart([os.urandom(40)])

    with zmq.Context() as context:
        dealer, slow = context.socket(zmq.DEALER), context.socket(zmq.SUB)
        for opened in (dealer, slow):
            opened.linger = 0
        dealer.connect(node.endpoint)
        slow.rcvhwm = 1
        slow.setsockopt(zmq.RCVBUF, 4096)
        slow.subscribe(b"")
        slow.connect(f"tcp://127.0.0.1:{said.frames_port}")
        thread = threading.Thread(target=throw)
        thread.start()
        try:
            take = session.record("walk1", 2.5, encoding="raw")
        finally:
            ending.set()
            thread.join()
            for opened in (dealer, slow):
                opened.close()
    session.collect(take, tmp_path / "walk1")
    landed = land_take(take, tmp_path / "walk1", session.clocks())
    index = [int(k) for k in landed.cameras[0].index]
    assert index == list(range(index[0], index[-1] + 1))
    assert len(index) > 200
    assert any("garbage messages arrive there" in s for s in lab.heard)
    assert any("who watches the frames is too slow" in s for s in lab.heard)
