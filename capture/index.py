"""The index beside a recording: every frame's counter and times, safe against any end.

A file is a header and then records of fixed size, each with its checksum, in the order of the
frames in the video beside it. Whatever cut it off, all whole records are good. docs/wire.md has
the bytes.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from lab.errors import FileError

MAGIC = b"GAITTIME"
VERSION = 1
_HEAD = struct.Struct("<8sHHI")  # magic, version, bytes of a record, bytes of the header record
RECORD = struct.Struct("<QqqqQII")
_CRC = struct.Struct("<I")
RECORD_BYTES = RECORD.size + _CRC.size

RECORD_TYPE = np.dtype(
    [
        ("index", "<u8"),
        ("device_ns", "<i8"),
        ("host_ns", "<i8"),
        ("mid_device_ns", "<i8"),
        ("exposure_ns", "<u8"),
        ("packet_bytes", "<u4"),
        ("packet_crc32", "<u4"),
        ("crc32", "<u4"),
    ]
)


class IndexHeader(msgspec.Struct, frozen=True):
    """What the records have in common.

    Attributes:
        camera, trial, node: Names.
        driver, serial, model: Of the camera.
        size_px, channels: Of its images.
        rate_hz, exposure_us, gain_db, trigger, stamps: As the camera accepted them.
        encoding: Of the video beside.
        armed_host_ns: When the files were opened.
    """

    camera: str
    trial: str
    node: str
    driver: str
    serial: str
    model: str
    size_px: tuple[int, int]
    channels: int
    rate_hz: float
    exposure_us: float
    gain_db: float
    trigger: str
    stamps: str
    encoding: str
    armed_host_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """An index as read.

    Attributes:
        header: What the records have in common.
        records: (n,) of RECORD_TYPE, in the order of the frames in the video.
        torn_bytes: Bytes after the last whole record: not 0 when the recording was cut off.
    """

    header: IndexHeader
    records: NDArray[np.void]
    torn_bytes: int

    @property
    def lost(self) -> int:
        """How many counters are missing between the first frame and the last."""
        index = self.records["index"].astype(np.int64)
        return int(np.clip(np.diff(index) - 1, 0, None).sum()) if len(index) else 0


def pack_index_header(header: IndexHeader) -> bytes:
    """Return the bytes that an index begins with."""
    body = msgspec.msgpack.encode(header)
    head = _HEAD.pack(MAGIC, VERSION, RECORD_BYTES, len(body)) + body
    return head + _CRC.pack(zlib.crc32(head))


def pack_record(
    index: int,
    device_ns: int,
    host_ns: int,
    mid_device_ns: int,
    exposure_ns: int,
    packet: bytes | memoryview,
) -> bytes:
    """Return one record for one frame and the packet that holds its image."""
    body = RECORD.pack(
        index, device_ns, host_ns, mid_device_ns, exposure_ns, len(packet), zlib.crc32(packet)
    )
    return body + _CRC.pack(zlib.crc32(body))


def read_index(path: Path) -> Index:
    """Read an index, whole or cut off.

    Raises:
        FileError: When it is no index, is of a newer version, or its header is damaged. Records
            from the first damaged one on are left out and counted as torn.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror or error})", where=str(path)) from error
    if len(content) < _HEAD.size or content[:8] != MAGIC:
        raise FileError("is not an index of a recording", where=str(path))
    _, version, record_bytes, header_bytes = _HEAD.unpack_from(content)
    if version != VERSION or record_bytes != RECORD_BYTES:
        raise FileError(
            f"is an index of version {version}; this program reads {VERSION}",
            where=str(path),
            remedy="Use the version of gaitlab that recorded it, or a newer one.",
        )
    end = _HEAD.size + header_bytes
    if len(content) < end + _CRC.size or _CRC.unpack_from(content, end)[0] != zlib.crc32(
        content[:end]
    ):
        raise FileError("is damaged in its header", where=str(path))
    header = msgspec.msgpack.decode(content[_HEAD.size : end], type=IndexHeader)
    body = content[end + _CRC.size :]
    whole = len(body) // RECORD_BYTES
    good = 0
    while good < whole and _is_good(body, good):
        good += 1
    records = np.frombuffer(body, RECORD_TYPE, good)
    return Index(header, records, len(body) - good * RECORD_BYTES)


def _is_good(body: bytes, row: int) -> bool:
    at = row * RECORD_BYTES
    crc = _CRC.unpack_from(body, at + RECORD.size)[0]
    return crc == zlib.crc32(memoryview(body)[at : at + RECORD.size])
