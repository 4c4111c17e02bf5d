"""Who is let in, on real sockets with real keys; and what garbage does to a node: nothing."""

from __future__ import annotations

import os
import secrets
import stat
import threading
import time
from queue import Queue

import pytest
import zmq

from capture import control
from capture.enrol import await_lab, commitment, enrol_with, pairing_code
from capture.keys import ClientKeys, distrust, own_keys, trust, trusted_keys
from capture.link import SilentNodeError
from capture.node import Node, NodeSettings
from capture.wire import Kind, pack_header, unpack_frame
from lab.errors import FileError, LabError

CAMERA = '[cameras.cam01]\ndriver = "simulated"\nsize_px = [352, 64]\nrate_hz = 100\n'


@pytest.fixture
def keyed(start_node, tmp_path):
    """A node with keys, the keys of a lab that it knows, and those of a stranger."""
    node_keys, lab_keys, strange = tmp_path / "nk", tmp_path / "lk", tmp_path / "sk"
    public = own_keys(node_keys).public
    trust(node_keys, "lab", own_keys(lab_keys).public)
    node = start_node(CAMERA, extra=("--keys", node_keys))
    return node, ClientKeys(own_keys(lab_keys), public), ClientKeys(own_keys(strange), public)


def subscribe(context, port, keys=None):
    socket = context.socket(zmq.SUB)
    socket.linger = 0
    if keys is not None:
        keys.apply(socket)
    socket.subscribe(b"")
    socket.connect(f"tcp://127.0.0.1:{port}")
    return socket


def test_only_the_enrolled_lab_is_answered_and_sees_frames(keyed):
    node, lab, stranger = keyed
    with node.link(keys=lab) as link:
        said = link.ask(control.Describe(), control.Description)
        with node.link(keys=stranger) as other, pytest.raises(SilentNodeError):
            other.ask(control.Describe(), control.Description, 0.7)
        with node.link() as plain, pytest.raises(SilentNodeError):
            plain.ask(control.Describe(), control.Description, 0.7)
        with zmq.Context() as context:
            for port in (said.frames_port, said.previews_port):
                good = subscribe(context, port, lab)
                bad = [subscribe(context, port, stranger), subscribe(context, port)]
                assert good.poll(3000), "the lab sees frames"
                unpack_frame(good.recv_multipart())
                assert not any(s.poll(500) for s in bad), "and nobody else"
                for socket in (good, *bad):
                    socket.close()
        faults = link.ask(control.Health(), control.NodeHealth).faults
    assert any("unknown computer was refused" in f.what for f in faults)


def test_a_lab_does_not_talk_to_a_node_of_another_key(keyed, tmp_path):
    node, lab, _ = keyed
    wrong = ClientKeys(lab.own, own_keys(tmp_path / "other").public)
    with node.link(keys=wrong) as link, pytest.raises(SilentNodeError):
        link.ask(control.Describe(), control.Description, 0.7)


def test_a_node_without_keys_listens_on_loopback_only(tmp_path):
    with pytest.raises(LabError, match="without keys"):
        Node(NodeSettings("left", tmp_path, (), host="0.0.0.0", port=0))


def test_garbage_on_every_socket_changes_nothing(start_node):
    node = start_node(CAMERA)
    with node.link() as link, zmq.Context() as context:
        said = link.ask(control.Describe(), control.Description)
        dealer = context.socket(zmq.DEALER)
        dealer.linger = 1000
        dealer.connect(node.endpoint)
        request = pack_header(Kind.REQUEST, 77, 1, control.Describe())
        for parts in (
            [b""], [b"hello"], [secrets.token_bytes(5000)], [request[:20]], [request, b"more"],
            [request[:4] + b"\x63" + request[5:]], [request + b"x"], [request], [request],
            [pack_header(Kind.REPLY, 1, 1, control.Done())],
        ):  # fmt: skip
            dealer.send_multipart(parts)
        dealer.send(bytes(1024 * 1024))  # more than the socket takes: the connection is closed
        for port in (node.port, said.frames_port, said.previews_port):
            raw = context.socket(zmq.STREAM)
            raw.linger = 0
            raw.connect(f"tcp://127.0.0.1:{port}")
            identity = raw.recv()
            raw.recv()
            raw.send_multipart([identity, secrets.token_bytes(2000)])
            time.sleep(0.05)
            raw.close()
        time.sleep(0.3)
        health = link.ask(control.Health(), control.NodeHealth)
        dealer.close()
    assert health.dropped["replayed"] == 1
    assert health.dropped["wrong_version"] == 1
    assert health.dropped["truncated"] >= 2
    assert health.dropped["garbage"] >= 4
    assert health.cameras[0].state == "running"
    assert node.process.poll() is None


def test_a_slow_subscriber_slows_nobody(start_node):
    node = start_node(CAMERA)
    with node.link() as link, zmq.Context() as context:
        said = link.ask(control.Describe(), control.Description)
        slow = context.socket(zmq.SUB)
        slow.linger, slow.rcvhwm = 0, 1
        slow.setsockopt(zmq.RCVBUF, 4096)
        slow.subscribe(b"")
        slow.connect(f"tcp://127.0.0.1:{said.frames_port}")
        link.ask(control.Arm("slow", 60.0, encoding="raw"), control.Done)
        link.ask(control.Start("slow", 0), control.Done)
        time.sleep(1.5)
        stopped = link.ask(control.Stop("slow"), control.Stopped, 20.0)
        assert stopped.cameras[0].recorded_lost == 0
        assert stopped.cameras[0].recorded >= 100
        slow.close()
        faults = link.ask(control.Health(), control.NodeHealth).faults
    assert sum("watches the frames is too slow" in f.what for f in faults) == 1


# ---- keys and enrolment ----


def test_keys_are_for_their_owner_only(tmp_path):
    pair = own_keys(tmp_path / "k")
    assert own_keys(tmp_path / "k") == pair
    assert pair.secret not in repr(pair)
    if os.name == "posix":
        path = tmp_path / "k" / "own.key"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        with pytest.raises(FileError, match="can be read by others"):
            own_keys(tmp_path / "k")


@pytest.mark.parametrize("content", ["", "abc", "x" * 40 + "\n" + "y" * 40])
def test_a_damaged_key_is_refused(tmp_path, content):
    own_keys(tmp_path)
    path = tmp_path / "own.key"
    path.write_text(content)
    with pytest.raises(FileError):
        own_keys(tmp_path)


def test_trust_is_kept_by_name_and_taken_back(tmp_path):
    public = own_keys(tmp_path / "other").public
    trust(tmp_path, "lab", public)
    assert trusted_keys(tmp_path) == {"lab": public}
    with pytest.raises(LabError):
        trust(tmp_path, "../lab", public)
    with pytest.raises(FileError):
        trust(tmp_path, "lab2", "not a key")
    assert distrust(tmp_path, "lab")
    assert trusted_keys(tmp_path) == {}


def pair(node_folder, lab_folder, node_says=True, lab_says=True, relay=None):
    """Enrol over a real socket; what both saw and how it ended."""
    port, codes, ends = Queue(), {}, {}

    def confirm(side, answer):
        def compare(other, code):
            codes[side] = (other, code)
            return answer

        return compare

    def wait():
        try:
            ends["node"] = await_lab(
                node_folder, "left", confirm("node", node_says), host="127.0.0.1", port=0,
                timeout_s=10, bound=port.put,
            )  # fmt: skip
        except LabError as error:
            ends["node"] = error

    thread = threading.Thread(target=wait)
    thread.start()
    endpoint = f"tcp://127.0.0.1:{port.get(timeout=10)}"
    try:
        ends["lab"] = enrol_with(
            lab_folder, "lab", relay(endpoint) if relay else endpoint, confirm("lab", lab_says)
        )
    except LabError as error:
        ends["lab"] = error
    thread.join(15)
    return codes, ends


def test_enrolment_shows_both_the_same_code(tmp_path):
    node, lab = tmp_path / "n", tmp_path / "l"
    codes, ends = pair(node, lab)
    assert ends == {"node": "lab", "lab": "left"}
    assert codes["node"] == ("lab", codes["lab"][1])
    assert trusted_keys(node) == {"lab": own_keys(lab).public}
    assert trusted_keys(lab) == {"left": own_keys(node).public}
    again, _ = pair(node, lab)
    assert again["lab"][1] != codes["lab"][1], "a code is good once"


def test_who_says_no_trusts_nobody(tmp_path):
    node, lab = tmp_path / "n", tmp_path / "l"
    _, ends = pair(node, lab, node_says=False)
    assert isinstance(ends["node"], LabError)
    assert trusted_keys(node) == {}


def test_someone_in_between_is_seen_by_the_codes(tmp_path):
    """A man in the middle with keys of his own: each side pairs with him, and the codes differ."""
    middle = tmp_path / "m"
    own_keys(middle)
    threads = []

    def relay(endpoint):
        port = Queue()

        def face_lab():
            await_lab(middle, "left", lambda *_: True, host="127.0.0.1", port=0, bound=port.put)

        threads.append(threading.Thread(target=face_lab))
        threads.append(
            threading.Thread(target=enrol_with, args=(middle, "lab", endpoint, lambda *_: True))
        )
        for thread in threads:
            thread.start()
        return f"tcp://127.0.0.1:{port.get(timeout=10)}"

    codes, _ = pair(tmp_path / "n", tmp_path / "l", relay=relay)
    for thread in threads:
        thread.join(15)
    assert codes["node"][1] != codes["lab"][1]


def test_the_code_depends_on_everything_and_the_commitment_binds():
    a, b, n, m = "a" * 40, "b" * 40, bytes(16), bytes([1] * 16)
    code = pairing_code(a, b, n, m)
    assert len(code) == 6
    assert code.isdigit()
    assert len({code, pairing_code(b, a, n, m), pairing_code(a, b, m, n)}) == 3
    assert commitment(a, n) != commitment(a, m) != commitment(b, m)
