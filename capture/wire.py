"""Messages as bytes: a fixed envelope, a bounded header, and a payload that is never copied.

Every message is two or three parts of one ZeroMQ message (docs/wire.md says them byte by byte):

    [topic]     of published messages only
    header      24 bytes of envelope, then one msgspec record in MessagePack
    payload     image or piece of a file, as it is; absent where there is none

What does not fit is dropped and counted by reason, never raised to the loop that receives.
"""

from __future__ import annotations

import re
import struct
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar

import msgspec

MAGIC = b"GAIT"
VERSION = 1
ENVELOPE = struct.Struct("<4sBBHQQ")  # magic, version, kind, zero, sender, sequence
MAX_HEADER_BYTES = 256 * 1024
MAX_FRAME_BYTES = 128 * 1024 * 1024
MAX_PIECE_BYTES = 4 * 1024 * 1024
MAX_PREVIEW_BYTES = 1024 * 1024

# Names that travel over the network and end in file names: nothing else is accepted.
NAME_PATTERN = r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,47}\Z"  # $ would let a newline pass

Buffer = bytes | bytearray | memoryview
Record = TypeVar("Record", bound=msgspec.Struct)
_name = re.compile(NAME_PATTERN)


class Kind(IntEnum):
    """What a message is; the kind sets the bound of its payload."""

    REQUEST = 1
    REPLY = 2
    FRAME = 3
    PREVIEW = 4


_MAX_PAYLOAD = {
    Kind.REQUEST: 0,
    Kind.REPLY: MAX_PIECE_BYTES,
    Kind.FRAME: MAX_FRAME_BYTES,
    Kind.PREVIEW: MAX_PREVIEW_BYTES,
}


class BadMessage(ValueError):  # noqa: N818  a message that is dropped is no error of the receiver
    """A message that is dropped; `reason` is the word it is counted under."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class FrameHeader(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What goes with one image; the payload is the image.

    Attributes:
        camera: The camera's name.
        trial: The trial being recorded; empty between trials.
        index: The camera's own counter.
        device_ns, host_ns: The camera's clock and the node's monotonic clock, as read.
        mid_device_ns: The middle of the exposure on the camera's clock.
        exposure_ns: Length of the exposure.
        size_px: Width and height.
        channels: 1 or 3 (BGR).
        encoding: raw, mjpeg, ffv1 or h264.
        key: The payload can be decoded without those before it.
        extradata: What the decoder needs beside the payloads (ffv1 and h264).
    """

    camera: str
    trial: str
    index: int
    device_ns: int
    host_ns: int
    mid_device_ns: int
    exposure_ns: int
    size_px: tuple[int, int]
    channels: int
    encoding: str
    key: bool = True
    extradata: bytes = b""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The fixed part of a message."""

    kind: Kind
    sender: int
    sequence: int


def is_name(text: object) -> bool:
    """Whether a text may name a trial, a camera or a node: letters, digits, _ and -, at most 48."""
    return isinstance(text, str) and _name.match(text) is not None


def topic_of(kind: Kind, camera: str) -> bytes:
    """Return what a subscriber asks for; the closing slash keeps cam1 apart from cam10."""
    return f"{kind.name.lower()}/{camera}/".encode()


_encoder = msgspec.msgpack.Encoder()


def pack_header(kind: Kind, sender: int, sequence: int, body: msgspec.Struct) -> bytes:
    """Return the header part: envelope, then the body.

    Raises:
        ValueError: When the body is larger than a receiver takes.
    """
    packed = _encoder.encode(body)
    if len(packed) > MAX_HEADER_BYTES:
        raise ValueError(f"a header of {len(packed)} bytes; at most {MAX_HEADER_BYTES}")
    return ENVELOPE.pack(MAGIC, VERSION, kind, 0, sender, sequence) + packed


def unpack_envelope(header: Buffer) -> Envelope:
    """Return the envelope of a header part.

    Raises:
        BadMessage: truncated, garbage, wrong_version or oversized.
    """
    if len(header) < ENVELOPE.size:
        raise BadMessage("truncated")
    if len(header) > ENVELOPE.size + MAX_HEADER_BYTES:
        raise BadMessage("oversized")
    magic, version, kind, zero, sender, sequence = ENVELOPE.unpack_from(header)
    if magic != MAGIC:
        raise BadMessage("garbage")
    if version != VERSION:
        raise BadMessage("wrong_version")
    if zero or kind not in _MAX_PAYLOAD:
        raise BadMessage("garbage")
    return Envelope(Kind(kind), sender, sequence)


def unpack_body(header: Buffer, decoder: msgspec.msgpack.Decoder[Any]) -> Any:
    """Return the body of a header part, checked against the decoder's type.

    Raises:
        BadMessage: truncated (the record ends early) or garbage.
    """
    try:
        return decoder.decode(memoryview(header)[ENVELOPE.size :])
    except msgspec.ValidationError as error:
        raise BadMessage("garbage") from error
    except msgspec.DecodeError as error:
        raise BadMessage("truncated" if "truncated" in str(error) else "garbage") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise BadMessage("garbage") from error


def check_payload(kind: Kind, payload: Buffer | None) -> None:
    """Hold a payload to the bound of its kind.

    Raises:
        BadMessage: oversized.
    """
    if payload is not None and len(payload) > _MAX_PAYLOAD[kind]:
        raise BadMessage("oversized")


_frame_decoder = msgspec.msgpack.Decoder(FrameHeader)


def unpack_frame(parts: Sequence[Buffer]) -> tuple[Envelope, FrameHeader, Buffer]:
    """Take a published message apart: topic, header, payload.

    Raises:
        BadMessage: Why it is to be dropped.
    """
    if len(parts) != 3:
        raise BadMessage("truncated" if len(parts) < 3 else "garbage")
    topic, header, payload = parts
    envelope = unpack_envelope(header)
    if envelope.kind not in (Kind.FRAME, Kind.PREVIEW):
        raise BadMessage("garbage")
    check_payload(envelope.kind, payload)
    body: FrameHeader = unpack_body(header, _frame_decoder)
    _check_frame(body, len(payload))
    if bytes(topic) != topic_of(envelope.kind, body.camera):
        raise BadMessage("garbage")
    return envelope, body, payload


def _check_frame(body: FrameHeader, payload_bytes: int) -> None:
    width, height = body.size_px
    sane = (
        is_name(body.camera)
        and (body.trial == "" or is_name(body.trial))
        and body.channels in (1, 3)
        and 0 < width <= 32768
        and 0 < height <= 32768
        and body.index >= 0
        and body.exposure_ns >= 0
        and body.encoding in ("raw", "mjpeg", "ffv1", "h264")
    )
    if not sane:
        raise BadMessage("garbage")
    if payload_bytes == 0:
        raise BadMessage("truncated")
    if body.encoding == "raw" and payload_bytes != width * height * body.channels:
        raise BadMessage("truncated")


@dataclass(slots=True)
class Intake:
    """Counts what is dropped, and drops what was seen before.

    Each sender is a random 64-bit number of its process (of each channel, where it has several);
    its sequence must rise. Of published frames and requests that came once, a second copy is
    "replayed". Only the last `remember` senders are known: against a stranger who kept older
    messages, it is CURVE that protects.
    """

    remember: int = 1024
    dropped: Counter[str] = field(default_factory=Counter)
    _last: OrderedDict[tuple[int, int], int] = field(default_factory=OrderedDict)

    def drop(self, reason: str) -> None:
        """Count one message that is not used."""
        self.dropped[reason] += 1

    def admit(self, envelope: Envelope, channel: int = 0) -> None:
        """Take note of a message that is about to be used.

        Args:
            envelope: Of the message.
            channel: Tells apart what one sender numbers separately.

        Raises:
            BadMessage: replayed.
        """
        key = (envelope.sender, channel)
        if envelope.sequence <= self._last.get(key, -1):
            raise BadMessage("replayed")
        self._last[key] = envelope.sequence
        self._last.move_to_end(key)
        while len(self._last) > self.remember:
            self._last.popitem(last=False)
