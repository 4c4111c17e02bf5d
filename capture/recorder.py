"""Frames to disk: a Matroska video with an index of times beside it, safe against any end.

Each packet goes to the system at once, in a cluster of its own or of a tenth of a second, and its
record follows it; what was written before a crash can be read after it.
"""

from __future__ import annotations

import shutil
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext

from capture.encoder import EXPECTED_SHARE, codec_settings, prepare_context
from capture.index import Index, IndexHeader, pack_index_header, pack_record, read_index
from lab.errors import FileError, LabError

_MILLISECOND = Fraction(1, 1000)
# A cluster ends after so long, and every packet is handed to the system.
_MUXER = {"cluster_time_limit": "100", "flush_packets": "1"}
_RESERVE_BYTES = 200_000_000  # left free, so that the system still breathes


class DiskError(LabError):
    """The disk does not take what is recorded."""


@dataclass(slots=True)
class Tally:
    """Counts of one recording.

    Attributes:
        recorded: Frames in the files.
        lost: Counters missing between the first frame and the last.
        first, last: Counters; -1 before the first frame.
    """

    recorded: int = 0
    lost: int = 0
    first: int = -1
    last: int = -1

    def count(self, index: int) -> int:
        """Take note of a frame; how many were lost just before it.

        Raises:
            LabError: When the counter did not rise: frames doubled or out of order.
        """
        gap = 0
        if self.last >= 0:
            gap = index - self.last - 1
            if gap < 0:
                raise LabError(
                    f"the camera's counter went from {self.last} to {index}",
                    remedy="The camera was reset; record the trial again.",
                )
        else:
            self.first = index
        self.last = index
        self.lost += gap
        return gap


class Recorder:
    """One camera's recording: `<camera>.mkv` and `<camera>.times` in a folder.

    Args:
        folder: Exists; neither file does.
        header: What the index begins with; its encoding is that of the packets.

    Raises:
        DiskError: When the files cannot be made.
    """

    def __init__(self, folder: Path, header: IndexHeader) -> None:
        self.header = header
        self.tally = Tally()
        self.video = folder / f"{header.camera}.mkv"
        self.times = folder / f"{header.camera}.times"
        self._first_ns = 0
        self._last_pts = -1
        self._closed = False
        self._lock = threading.Lock()  # the muxer is not for two threads at once
        try:
            self._index = self.times.open("xb", buffering=0)
            self._file = self.video.open("xb", buffering=0)
            self._container = av.open(self._file, "w", format="matroska", options=_MUXER)
            self._stream = self._add_stream()
            self._index.write(pack_index_header(header))
        except (OSError, FFmpegError) as error:
            raise self._fault(error) from error

    def _add_stream(self) -> Any:
        header = self.header
        rate = Fraction(header.rate_hz if header.rate_hz > 0 else 60).limit_denominator(1000)
        if header.encoding == "mjpeg":
            width, height = header.size_px
            stream: Any = self._container.add_mux_stream(
                "mjpeg", rate=rate, width=width, height=height
            )
            stream.pix_fmt = "yuvj420p"  # each JPEG says itself whether it is grey
        else:
            name, pixels, options = codec_settings(header.encoding, header.channels, header.rate_hz)
            stream = self._container.add_stream(name, rate=rate)
            context = stream.codec_context
            if not isinstance(context, VideoCodecContext):
                raise ValueError(f"{name} is no video codec")
            prepare_context(context, pixels, header.size_px, float(rate), options)
        stream.time_base = _MILLISECOND
        return stream

    def write(
        self,
        index: int,
        device_ns: int,
        host_ns: int,
        mid_device_ns: int,
        exposure_ns: int,
        packet: bytes | memoryview,
        *,
        key: bool = True,
    ) -> int:
        """Add one frame; how many counters were missing before it.

        Raises:
            DiskError: When the disk is full or gone; what was written before stays good.
            LabError: When the counter did not rise, or the recording was closed meanwhile.
        """
        with self._lock:
            return self._write(index, device_ns, host_ns, mid_device_ns, exposure_ns, packet, key)

    def _write(
        self,
        index: int,
        device_ns: int,
        host_ns: int,
        mid_device_ns: int,
        exposure_ns: int,
        packet: bytes | memoryview,
        key: bool,
    ) -> int:
        if self._closed:
            raise DiskError(
                "a frame came after the recording was closed",
                where=str(self.video),
                remedy="The disk is too slow for this rate; record the trial again.",
            )
        gap = self.tally.count(index)
        if self._last_pts < 0:
            self._first_ns = mid_device_ns
        pts = max(self._last_pts + 1, (mid_device_ns - self._first_ns) // 1_000_000)
        try:
            self._mux(packet, pts, key)
            self._index.write(
                pack_record(index, device_ns, host_ns, mid_device_ns, exposure_ns, packet)
            )
        except (OSError, FFmpegError) as error:
            raise self._fault(error) from error
        self.tally.recorded += 1
        self._last_pts = pts
        return gap

    def _mux(self, content: bytes | memoryview, pts: int, key: bool) -> None:
        packet = av.Packet(content)  # pyright: ignore[reportArgumentType]  any buffer will do
        packet.stream = self._stream
        packet.time_base = _MILLISECOND
        packet.pts = packet.dts = pts
        packet.is_keyframe = key
        self._container.mux(packet)

    def close(self) -> None:
        """End both files; waits for a frame that is being written.

        Raises:
            DiskError: When the disk did not take the end; the frames are readable nevertheless.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                self._end()

    def _end(self) -> None:
        try:
            if self._last_pts >= 0:
                self._container.close()
        except (OSError, FFmpegError) as error:
            raise self._fault(error) from error
        finally:
            self._file.close()
            self._index.close()

    def discard(self) -> None:
        """End both files and remove them; only where nothing was recorded.

        Raises:
            ValueError: When there are frames in them.
        """
        if self.tally.recorded:
            raise ValueError("a recording with frames is never discarded")
        self.close()
        self.video.unlink(missing_ok=True)
        self.times.unlink(missing_ok=True)

    def _fault(self, error: OSError | FFmpegError) -> DiskError:
        return DiskError(
            f"the recording cannot be written ({error.strerror or error})",
            where=str(self.video),
            remedy="Make space on the node's disk; what was recorded before is kept.",
        )


@dataclass(frozen=True, slots=True, eq=False)
class RecordedFrame:
    """One packet of a recording and its record."""

    row: int
    packet: bytes


def read_packets(video: Path, index: Index) -> Iterator[RecordedFrame]:
    """Give the packets of a recording that belong to the records of its index, in order.

    A recording that was cut off may hold one packet without a record, or a record whose packet
    never came; both are left out.

    Raises:
        FileError: When the video cannot be read, or a packet is not the one that was recorded.
    """
    records = index.records
    row = 0
    try:
        with av.open(str(video)) as container:
            for packet in container.demux(video=0):
                if packet.size == 0 or row >= len(records):
                    continue
                content = bytes(packet)
                if zlib.crc32(content) != records["packet_crc32"][row]:
                    if row == len(records) - 1 or packet.is_corrupt:
                        return
                    raise FileError(
                        f"frame {row} is not the one that was recorded",
                        where=str(video),
                        remedy="The file was damaged or exchanged; collect it again.",
                    )
                yield RecordedFrame(row, content)
                row += 1
    except (FFmpegError, IndexError) as error:
        if row == 0 and len(records):
            raise FileError(f"cannot be read ({error})", where=str(video)) from error


def read_recording(video: Path) -> tuple[Index, int]:
    """Return the index of a recording and how many of its frames are really in the video.

    Raises:
        FileError: When either file is damaged beyond a cut end.
    """
    index = read_index(video.with_suffix(".times"))
    return index, sum(1 for _ in read_packets(video, index))


def bytes_per_second(
    size_px: tuple[int, int], channels: int, rate_hz: float, encoding: str
) -> float:
    """Return how fast a recording grows at most, for the check before arming."""
    return size_px[0] * size_px[1] * channels * rate_hz * EXPECTED_SHARE[encoding]


def check_disk(folder: Path, needed_bytes: float, rate_bytes: float) -> list[str]:
    """See that a recording fits; notes for the operator.

    Raises:
        DiskError: When the disk has not space for all of it and a reserve.
    """
    free = shutil.disk_usage(folder).free
    if needed_bytes + _RESERVE_BYTES > free:
        raise DiskError(
            f"the trial may take {needed_bytes / 1e9:.2f} GB and the disk has "
            f"{max(0, free - _RESERVE_BYTES) / 1e9:.2f} GB to give",
            where=str(folder),
            remedy="Collect and delete older trials, record shorter, or choose mjpeg.",
        )
    if rate_bytes > 150e6:
        return [f"records up to {rate_bytes / 1e6:.0f} MB/s: check that the disk keeps up"]
    return []
