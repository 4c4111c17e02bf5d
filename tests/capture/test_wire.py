"""Whatever arrives, a decoder returns a message or a counted reason, never anything else."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture import control
from capture.wire import (
    ENVELOPE,
    MAX_HEADER_BYTES,
    BadMessage,
    Envelope,
    FrameHeader,
    Intake,
    Kind,
    check_payload,
    is_name,
    pack_header,
    topic_of,
    unpack_body,
    unpack_envelope,
    unpack_frame,
)

REASONS = {"truncated", "garbage", "wrong_version", "oversized", "replayed"}
HEADER = FrameHeader("cam01", "walk", 7, 1, 2, 3, 4, (20, 10), 1, "raw")
PIXELS = bytes(200)


def good(kind=Kind.FRAME, header=HEADER, payload=PIXELS):
    return [topic_of(kind, header.camera), pack_header(kind, 5, 9, header), payload]


def reason_of(parts):
    with pytest.raises(BadMessage) as bad:
        unpack_frame(parts)
    assert bad.value.reason in REASONS
    return bad.value.reason


def outcome(decode, *arguments):
    try:
        decode(*arguments)
    except BadMessage as bad:
        return bad.reason
    return "message"


def test_a_frame_comes_back_and_its_payload_is_not_copied():
    payload = memoryview(bytearray(PIXELS))
    envelope, header, back = unpack_frame(good(payload=payload))
    assert envelope == Envelope(Kind.FRAME, 5, 9)
    assert header == HEADER
    assert back is payload


def test_the_bytes_are_those_of_the_documentation():
    header = pack_header(Kind.REQUEST, 0x0102030405060708, 0x1112131415161718, control.Describe())
    assert header[:8] == b"GAIT\x01\x01\x00\x00"
    assert header[8:16] == bytes(range(8, 0, -1))
    assert header[16:24] == bytes(range(0x18, 0x10, -1))
    assert msgspec.msgpack.decode(header[24:]) == {"type": "describe"}


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_garbage_is_dropped_with_a_reason(parts):
    reason_of(parts)


@given(st.binary(max_size=200))
def test_garbage_behind_a_good_envelope(body):
    for kind in (Kind.FRAME, Kind.REQUEST, Kind.REPLY):
        header = ENVELOPE.pack(b"GAIT", 1, kind, 0, 1, 1) + body
        decoder = control.reply_decoder if kind is Kind.REPLY else control.request_decoder
        if kind is Kind.FRAME:
            reason_of([b"frame/cam01/", header, PIXELS])
            continue
        assert outcome(unpack_body, header, decoder) in REASONS | {"message"}


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_one_flipped_byte_is_a_message_or_a_reason(at, value):
    parts = good()
    header = bytearray(parts[1])
    header[at % len(header)] = value
    assert outcome(unpack_frame, [parts[0], bytes(header), parts[2]]) in REASONS | {"message"}


@given(st.integers(0, 200))
def test_every_truncation_is_dropped(length):
    parts = good()
    if length < len(parts[1]):
        assert reason_of([parts[0], parts[1][:length], parts[2]]) == "truncated"
    if length < len(PIXELS):
        assert reason_of([*parts[:2], PIXELS[:length]]) == "truncated"


def test_wrong_version_oversized_and_kind():
    topic, header, payload = good()
    newer = header[:4] + b"\x02" + header[5:]
    assert reason_of([topic, newer, payload]) == "wrong_version"
    assert reason_of([topic, header + bytes(MAX_HEADER_BYTES), payload]) == "oversized"
    assert reason_of([topic, header[:5] + b"\x09" + header[6:], payload]) == "garbage"
    preview = good(Kind.PREVIEW, msgspec.structs.replace(HEADER, encoding="mjpeg"), bytes(2**20))
    unpack_frame(preview)
    assert reason_of([*preview[:2], bytes(2**20 + 1)]) == "oversized"
    with pytest.raises(BadMessage):
        check_payload(Kind.REQUEST, b"x")
    with pytest.raises(ValueError, match="header"):
        pack_header(Kind.REPLY, 0, 0, control.Refused("x" * (MAX_HEADER_BYTES + 1)))


@pytest.mark.parametrize(
    "change",
    [
        {"camera": "../cam01"},
        {"trial": "a/b"},
        {"channels": 4},
        {"size_px": (0, 10)},
        {"size_px": (70000, 10)},
        {"encoding": "pickle"},
        {"index": -1},
    ],
)
def test_a_header_that_makes_no_sense(change):
    assert reason_of(good(header=msgspec.structs.replace(HEADER, **change))) == "garbage"


def test_a_topic_of_another_camera_is_refused():
    parts = good()
    assert reason_of([b"frame/cam02/", *parts[1:]]) == "garbage"


def test_replays_are_dropped_and_senders_are_bounded():
    intake = Intake(remember=3)
    first = Envelope(Kind.REQUEST, 1, 5)
    intake.admit(first)
    for sequence in (5, 4, 0):
        with pytest.raises(BadMessage, match="replayed"):
            intake.admit(Envelope(Kind.REQUEST, 1, sequence))
    intake.admit(Envelope(Kind.REQUEST, 1, 6))
    for sender in range(2, 50):
        intake.admit(Envelope(Kind.REQUEST, sender, 0))
    assert len(intake._last) == 3


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "a b", "-a", "a\n", "é", "a" * 49, "a.mkv", None, 3]
)
def test_what_cannot_be_a_name(name):
    assert not is_name(name)
    if isinstance(name, str):
        body = msgspec.msgpack.encode({"type": "arm", "trial": name, "duration_s": 1.0})
        with pytest.raises(BadMessage):
            unpack_body(bytes(ENVELOPE.size) + body, control.request_decoder)


@pytest.mark.parametrize(
    "file", ["../a.mkv", "a.mkv/../b", "a.py", ".mkv", "a.mkv\n", "/etc/passwd"]
)
def test_what_cannot_be_a_file(file):
    asked = {"type": "read_piece", "trial": "t", "file": file, "offset": 0, "length": 1}
    with pytest.raises(BadMessage):
        unpack_body(bytes(ENVELOPE.size) + msgspec.msgpack.encode(asked), control.request_decoder)


def test_envelope_needs_its_24_bytes():
    with pytest.raises(BadMessage, match="truncated"):
        unpack_envelope(b"GAIT")
