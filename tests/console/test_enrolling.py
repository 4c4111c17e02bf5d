"""Pairing from the console with a node that waits, over real sockets."""

import threading
import time

import pytest

from capture.enrol import await_lab
from capture.keys import trusted_keys
from console.desk import Desk
from console.enrolling import ASKING, COMPARING, DONE, FAILED, Enrolling
from lab.errors import LabError


def wait_for(enrolling, *states):
    end = time.monotonic() + 20
    while enrolling.look().state not in states:
        assert time.monotonic() < end, enrolling.look()
        time.sleep(0.01)
    return enrolling.look()


class Node(threading.Thread):
    """A camera computer that waits for one lab, and compares the code with what it is told."""

    def __init__(self, keys, says):
        super().__init__(daemon=True)
        self.keys, self.says, self.code, self.error = keys, says, "", None
        self.port, self.bound = 0, threading.Event()
        self.start()
        assert self.bound.wait(10)

    def run(self):
        def confirm(other, code):
            self.code = code
            return self.says

        def bound(port):
            self.port = port
            self.bound.set()

        try:
            await_lab(self.keys, "left", confirm, host="127.0.0.1", port=0, bound=bound)
        except LabError as error:
            self.error = error


def test_both_screens_show_one_code_and_the_keys_are_kept(tmp_path):
    node = Node(tmp_path / "node", True)
    enrolling = Enrolling(tmp_path / "lab", "127.0.0.1", node.port)
    now = wait_for(enrolling, COMPARING, FAILED)
    assert (now.state, now.node) == (COMPARING, "left")
    node.join(10)
    assert now.code == node.code
    assert trusted_keys(tmp_path / "lab") == {}
    enrolling.answer(True)
    assert wait_for(enrolling, DONE, FAILED).state == DONE
    assert set(trusted_keys(tmp_path / "lab")) == {"left"}


def test_another_code_enrols_nobody(tmp_path):
    node = Node(tmp_path / "node", True)
    enrolling = Enrolling(tmp_path / "lab", "127.0.0.1", node.port)
    wait_for(enrolling, COMPARING)
    enrolling.answer(False)
    assert "codes differ" in wait_for(enrolling, DONE, FAILED).fault
    assert trusted_keys(tmp_path / "lab") == {}


def test_a_computer_that_does_not_wait_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("capture.enrol.enrol_with.__kwdefaults__", {"timeout_s": 0.5})
    enrolling = Enrolling(tmp_path / "lab", "127.0.0.1", 9)
    assert enrolling.look().state == ASKING
    assert "did not answer" in wait_for(enrolling, FAILED).fault


@pytest.mark.parametrize("keys", ["", "elsewhere"])
def test_an_enrolled_node_is_listed_and_its_keys_are_found(tmp_path, keys):
    if keys:
        (tmp_path / "lab.toml").write_text(f'keys = "{keys}"\n')
    desk = Desk(tmp_path)
    try:
        assert desk.keys_folder == tmp_path / (keys or "keys")
        desk.keep_node("left", "127.0.0.1")
        assert "127.0.0.1" in (tmp_path / "nodes.toml").read_text()
        assert desk.faults == []
    finally:
        desk.close()
