"""A recording is good up to wherever it was cut off, and every gap in it is counted."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture import control
from capture.counter import draw_counter, read_counter
from capture.encoder import Encoder, decode_jpeg
from capture.index import IndexHeader, read_index
from capture.recorder import DiskError, Recorder, check_disk, read_packets, read_recording
from capture.simulated import read_ledger
from lab.errors import FileError, LabError

SIZE = (352, 64)


def header(encoding, channels=1):
    return IndexHeader(
        "cam01", "t", "left", "simulated", "1", "m", SIZE, channels, 60.0, 2000.0, 0.0, "free",
        "exposure_start", encoding, 5,
    )  # fmt: skip


def picture(counter, channels=1):
    image = np.full((SIZE[1], SIZE[0]) + ((3,) if channels == 3 else ()), 90, np.uint8)
    draw_counter(image, counter)
    return image


def record(folder, counters, encoding="mjpeg", channels=1, close=True):
    encoder = Encoder(encoding, SIZE, channels, 60.0, 90)
    recorder = Recorder(folder, header(encoding, channels))
    sent = []
    for i in counters:
        content, key = encoder.encode(picture(i, channels))
        sent.append(bytes(content))
        recorder.write(i, i * 10**7, i * 10**7 + 5, i * 10**7 + 2, 4, content, key=key)
    if close:
        recorder.close()
    return recorder, sent


@pytest.mark.parametrize(
    ("encoding", "channels"),
    [("mjpeg", 1), ("mjpeg", 3), ("raw", 1), ("ffv1", 1), ("ffv1", 3), ("h264", 1), ("h264", 3)],
)
def test_what_is_on_disk_is_what_was_sent(tmp_path, encoding, channels):
    import av

    recorder, sent = record(tmp_path, range(20), encoding, channels)
    index, whole = read_recording(recorder.video)
    assert whole == 20
    assert [f.packet for f in read_packets(recorder.video, index)] == sent
    with av.open(str(recorder.video)) as container:
        images = [f.to_ndarray(format="gray") for f in container.decode(video=0)]
    assert [read_counter(i) for i in images] == list(range(20))


def test_raw_colour_is_refused():
    with pytest.raises(LabError, match="grey"):
        Encoder("raw", SIZE, 3, 60.0, 90)


def test_gaps_are_counted_and_a_counter_that_falls_is_refused(tmp_path):
    recorder, _ = record(tmp_path, [3, 4, 7, 8, 12], close=False)
    assert (recorder.tally.recorded, recorder.tally.lost) == (5, 5)
    with pytest.raises(LabError, match="from 12 to 12"):
        recorder.write(12, 0, 0, 0, 0, b"x")
    recorder.close()
    assert read_index(recorder.times).lost == 5


def test_any_cut_leaves_the_frames_before_it(tmp_path):
    recorder, sent = record(tmp_path, range(30))
    video, times = recorder.video.read_bytes(), recorder.times.read_bytes()
    head = len(times) - 30 * 52

    @given(st.floats(0, 1), st.integers(0, 30 * 52))
    def law(share, kept):
        recorder.video.write_bytes(video[: int(len(video) * share)])
        recorder.times.write_bytes(times[: head + kept])
        index = read_index(recorder.times)
        assert len(index.records) == kept // 52
        assert index.torn_bytes == kept % 52
        try:
            read = [f.packet for f in read_packets(recorder.video, index)]
        except FileError:
            assert int(len(video) * share) < 2000, "only a video without its head is refused"
            return
        assert read == sent[: len(read)]
        if share == 1.0:
            assert len(read) == len(index.records)

    law()


@given(st.integers(0, 52 * 10 - 1), st.integers(1, 255))
def test_a_flipped_byte_ends_the_index_there(tmp_path_factory, at, change):
    folder = tmp_path_factory.mktemp("flip")
    recorder, _ = record(folder, range(10))
    content = bytearray(recorder.times.read_bytes())
    head = len(content) - 520
    content[head + at] ^= change
    recorder.times.write_bytes(bytes(content))
    assert len(read_index(recorder.times).records) == at // 52


def test_closing_while_another_thread_writes(tmp_path):
    """The muxer is in C: two threads in it at once would end the process."""
    for number in range(10):
        folder = tmp_path / str(number)
        folder.mkdir()
        recorder, _ = record(folder, range(1), close=False)
        content = bytes(Encoder("mjpeg", SIZE, 1, 60.0, 90).encode(picture(1))[0])
        ended = []

        def write(recorder=recorder, content=content, ended=ended):
            try:
                for i in range(1, 100_000):
                    recorder.write(i, 0, 0, i * 10**7, 0, content)
            except DiskError as error:
                ended.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.01)
        recorder.close()
        thread.join(20)
        assert "after the recording was closed" in str(ended[0])
        index, whole = read_recording(recorder.video)
        assert whole == len(index.records) == recorder.tally.recorded


def test_an_exchanged_packet_is_noticed(tmp_path):
    recorder, sent = record(tmp_path, range(10))
    content = recorder.video.read_bytes()
    at = content.index(sent[4]) + len(sent[4]) // 2
    recorder.video.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises(FileError, match="frame 4 is not the one"):
        list(read_packets(recorder.video, read_index(recorder.times)))


def test_a_full_disk_is_seen_before_arming(tmp_path):
    with pytest.raises(DiskError, match="GB"):
        check_disk(tmp_path, 1e18, 1e6)
    assert "MB/s" in check_disk(tmp_path, 1.0, 1e9)[0]


CAMERA = """
[cameras.cam01]
driver = "simulated"
size_px = [352, 64]
rate_hz = 100
options = {{ledger = "{}"}}
"""


def begin(node, seconds):
    link = node.link()
    link.ask(control.Arm("cut", seconds), control.Done)
    link.ask(control.Start("cut", link.exchange_clock()[1]), control.Done)
    return link


def compare(node, ledger):
    """Counters in the pixels, and those that left the source, from the first recorded on."""
    video = node.data / "cut" / "cam01.mkv"
    index, _ = read_recording(video)
    drawn = [read_counter(decode_jpeg(f.packet)) for f in read_packets(video, index)]
    return drawn, [c for c, _ in read_ledger(ledger) if c >= drawn[0]]


def test_a_node_killed_while_recording_loses_less_than_a_second(start_node, tmp_path):
    node = start_node(CAMERA.format(tmp_path / "ledger"))
    with begin(node, 60.0):
        time.sleep(1.5)
        node.process.kill()
        node.process.wait(10)
    drawn, left = compare(node, tmp_path / "ledger")
    assert drawn == left[: len(drawn)]
    assert len(left) - len(drawn) < 100
    assert len(drawn) > 50


def test_a_node_asked_to_end_records_the_trial_first(start_node, tmp_path):
    """And so it does when the lab is gone: nobody ends this trial but the node itself."""
    node = start_node(CAMERA.format(tmp_path / "ledger"))
    with begin(node, 1.5):
        time.sleep(0.3)
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(20) == 0
    drawn, left = compare(node, tmp_path / "ledger")
    assert drawn == left[: len(drawn)]
    assert len(drawn) >= 130
