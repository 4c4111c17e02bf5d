"""Two consoles on one lab's folder and the same nodes: neither breaks what the other does."""

import subprocess
import time

import pytest

from capture.node_process import node_command
from console.capture_run import READY, RECORDING
from console.desk import Desk


@pytest.fixture
def lab(tmp_path):
    """A lab's folder with two node processes of one small camera each."""
    lines, processes = [], []
    for name, camera in (("left", "cam01"), ("right", "cam02")):
        cameras = tmp_path / f"{name}.toml"
        cameras.write_text(
            f'[cameras.{camera}]\ndriver = "simulated"\nnode = "{name}"\nrate_hz = 25\n'
            'size_px = [352, 128]\noptions = {delivers = "mjpeg"}\n'
        )
        words = ["--name", name, "--cameras", cameras, "--data", tmp_path / name, "--port", "0"]
        process = subprocess.Popen(
            node_command([*words, "--guarded"]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        processes.append(process)
    for (name, _), process in zip((("left", 1), ("right", 2)), processes, strict=True):
        port = process.stdout.readline().split()[1]
        lines += [f"[nodes.{name}]", 'host = "127.0.0.1"', f"port = {port}"]
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "nodes.toml").write_text("\n".join(lines) + "\n")
    yield folder
    for process in processes:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def until(condition, seconds=30, what=lambda: ""):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.02)


@pytest.mark.slow
def test_a_second_console_cannot_disturb_a_recording_and_sees_what_came_of_it(lab):
    first, second = Desk(lab), Desk(lab)
    try:
        until(lambda: len(first.cell.look().cameras) == len(second.cell.look().cameras) == 2)
        mine = first.begin_calibration()
        until(lambda: first.run.look().state == READY)
        first.record("calibrate")
        until(lambda: first.run.look().state == RECORDING, 10, lambda: first.run.look())
        other = second.begin_calibration()
        assert other != mine
        until(lambda: second.run.look().state == READY)
        second.record("calibrate")
        until(lambda: second.run.look().said)
        said = " ".join(second.run.look().said)
        time.sleep(1.5)
        first.run.stop()
        until(lambda: first.run.look().state == READY)
        (take,) = first.run.look().recorded
        assert take.landed is not None
        assert [c.lost for c in take.landed.cameras] == [0, 0]
        assert min(len(c.t) for c in take.landed.cameras) > 25
        assert "is under way" in said
        # The other one goes on as if nothing had been, and both see both folders.
        until(lambda: second.run.look().state == READY)
        second.record("calibrate")
        until(lambda: second.run.look().state == RECORDING)
        time.sleep(1.0)
        second.run.stop()
        until(lambda: second.run.look().state == READY)
        landed = second.run.look().recorded[-1].landed
        assert landed is not None
        assert (mine / "calibrate" / "times.csv").is_file()
        assert (other / "calibrate" / "times.csv").is_file()
        assert {d.name for d in (lab / "rigs").iterdir()} == {mine.name, other.name}
    finally:
        first.close()
        second.close()
