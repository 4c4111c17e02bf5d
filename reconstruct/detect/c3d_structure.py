"""Whether a file has the structure of a C3D, checked before a reader written in C++ opens it.

The reader in use ends the whole program on some truncated files, so every length that the file
states of itself is compared with its size first. Layout after the C3D file format user guide
(c3d.org): header, parameter section, data section, in blocks of 512 bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from lab.errors import FileError

_BLOCK = 512
_KEY = 0x50
_INTEL, _DEC, _MIPS = 84, 85, 86
_REMEDY = "Export the trial again from the motion-capture software."
_RATES_HZ = (1.0, 1e5)
_ELEMENT_BYTES = {-1: 1, 1: 1, 2: 2, 4: 4}


@dataclass(frozen=True, slots=True)
class C3dStructure:
    """The counts that a C3D states of itself.

    Attributes:
        frames: Number of samples of the points.
        points: Number of points.
    """

    frames: int
    points: int


def check_c3d_structure(path: Path) -> C3dStructure:
    """Compare the lengths that a C3D states of itself with its size.

    Raises:
        FileError: When the file is missing, empty, no C3D, damaged, truncated or without points.
    """
    where = path.name
    if not path.is_file():
        raise FileError("there is no such file", where=str(path), remedy="Check the path.")
    data = path.read_bytes()
    if not data:
        raise FileError("the file is empty", where=where, remedy=_REMEDY)
    if len(data) < _BLOCK or data[1] != _KEY:
        raise FileError(
            "this is not a C3D file (its second byte is not 0x50)",
            where=where,
            remedy="Give a C3D, or a TRC or CSV with its own ending.",
        )
    start = (data[0] - 1) * _BLOCK
    if start < 0 or len(data) < start + _BLOCK:
        raise FileError("the file ends before its parameters", where=where, remedy=_REMEDY)
    processor = data[start + 3]
    if processor not in (_INTEL, _DEC, _MIPS):
        raise FileError(
            f"the parameters are damaged (processor type {processor})", where=where, remedy=_REMEDY
        )
    order = ">" if processor == _MIPS else "<"
    integers = _integer_parameters(data, start, order, where)
    return _check_data(data, integers, order, processor, where)


def _integer_parameters(
    data: bytes, start: int, order: str, where: str
) -> dict[tuple[str, str], tuple[int, ...]]:
    """Walk the parameter records; return the integer ones by (group, name)."""
    damaged = FileError("the parameters are damaged or cut short", where=where, remedy=_REMEDY)
    end = start + max(1, data[start + 2]) * _BLOCK
    if end > len(data):
        raise damaged
    groups: dict[int, str] = {}
    found: list[tuple[int, str, tuple[int, ...]]] = []
    at = start + 4
    while at + 2 <= end:
        length, group = struct.unpack_from("bb", data, at)
        if length == 0 or group == 0:
            break
        name_end = at + 2 + abs(length)
        if name_end + 2 > end:
            raise damaged
        name = data[at + 2 : name_end].decode("latin-1").strip().upper()
        (step,) = struct.unpack_from(f"{order}H", data, name_end)
        following = name_end + step
        if following > end or (step and following < name_end + 3):
            raise damaged
        if group < 0:
            groups[-group] = name
        else:
            values = _parameter_values(data, name_end + 2, following if step else end, order)
            if values is None:
                raise damaged
            found.append((group, name, values))
        if step == 0:
            break
        at = following
    return {(groups.get(group, ""), name): values for group, name, values in found}


def _parameter_values(data: bytes, at: int, end: int, order: str) -> tuple[int, ...] | None:
    """Return a parameter's values when they are integers, () otherwise, None when damaged."""
    if at + 2 > end:
        return None
    (kind,) = struct.unpack_from("b", data, at)
    n_dimensions = data[at + 1]
    values_at = at + 2 + n_dimensions
    if kind not in _ELEMENT_BYTES or values_at > end:
        return None
    count = 1
    for size in data[at + 2 : values_at]:
        count *= size
    if values_at + count * _ELEMENT_BYTES[kind] > end:
        return None
    if kind != 2:
        return ()
    return struct.unpack_from(f"{order}{count}H", data, values_at)


def _check_data(
    data: bytes,
    integers: dict[tuple[str, str], tuple[int, ...]],
    order: str,
    processor: int,
    where: str,
) -> C3dStructure:
    points_in_header, analog, first, last = struct.unpack_from(f"{order}4H", data, 2)
    data_block, samples_per_frame = struct.unpack_from(f"{order}2H", data, 16)
    (rate,) = struct.unpack_from(f"{order}f", data, 20)
    low, high = _RATES_HZ
    # The numbers of a DEC machine are laid out in another way and are not worth a decoder here.
    if processor != _DEC and not low <= rate <= high:
        raise FileError(f"the frame rate is {rate:g} Hz", where=where, remedy=_REMEDY)
    points = next(iter(integers.get(("POINT", "USED"), ())), points_in_header)
    if not points:
        raise FileError(
            "the file holds no points",
            where=where,
            remedy="Reconstruct and label the markers, then export the trial again.",
        )
    if points_in_header != points:
        raise FileError(
            f"header and parameters disagree on the number of points ({points_in_header} and "
            f"{points})",
            where=where,
            remedy=_REMEDY,
        )
    channels = next(iter(integers.get(("ANALOG", "USED"), ())), 0)
    if analog != channels * samples_per_frame and channels:
        raise FileError(
            "header and parameters disagree on the analog channels", where=where, remedy=_REMEDY
        )
    frames = last - first + 1
    begin = integers.get(("TRIAL", "ACTUAL_START_FIELD"), ())
    finish = integers.get(("TRIAL", "ACTUAL_END_FIELD"), ())
    if len(begin) == 2 and len(finish) == 2:
        frames = (finish[0] - begin[0]) + 65536 * (finish[1] - begin[1]) + 1
    if frames <= 0:
        raise FileError("the file holds no frames", where=where, remedy=_REMEDY)
    # A negative scale means that the data are stored as floating-point numbers. The sign of a
    # DEC float stands in its second byte, of the others in the first or last of the four.
    sign_byte = {_INTEL: 15, _DEC: 13, _MIPS: 12}[processor]
    word = 4 if data[sign_byte] & 0x80 else 2
    expected = (data_block - 1) * _BLOCK + frames * (4 * points + analog) * word
    if data_block < 1 or len(data) < expected:
        raise FileError(
            f"the file is truncated: {frames} frames of {points} points need {expected} bytes, "
            f"it has {len(data)}",
            where=where,
            remedy="Copy the file again, or export the trial again.",
        )
    return C3dStructure(frames=frames, points=points)
