"""Frames of a video one after the other, each with its time, from any place in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from lab.errors import FileError, LabError
from reconstruct.detect.detector import COLOUR, Image

_AGAIN = "Copy or record it again."


@dataclass(frozen=True, slots=True, eq=False)
class VideoIndex:
    """Where the frames of a video lie.

    Attributes:
        path: The file.
        size_px: (width, height).
        t: (T,) s of each frame.
        frame: (T,) index of each in the video, from 0.
        stamps: (T,) its presentation time stamps in the stream's unit.
        keyframe: (T,) whether decoding can begin there.
    """

    path: Path
    size_px: tuple[int, int]
    t: Any
    frame: Any
    stamps: Any
    keyframe: Any


def index_video(path: Path | str, times: Mapping[int, float] | None = None) -> VideoIndex:
    """Find the frames of a video and their times without decoding it.

    Args:
        path: The file.
        times: s on the lab clock by frame from 0; frames not listed are not used. Without it the
            stream's own presentation time stamps are the times.

    Raises:
        FileError: When the video is missing, damaged, or no video, or its frames have no times.
        LabError: When the times do not fit the video.
    """
    path = Path(path)
    stamps: list[int] = []
    keys: list[bool] = []
    with open_video(path) as container:
        stream = container.streams.video[0]
        size, unit = (int(stream.width), int(stream.height)), stream.time_base
        try:
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                if packet.pts is None:
                    raise FileError(
                        "its frames have no time stamps",
                        where=str(path),
                        remedy="Put it into a container that has them: "
                        "ffmpeg -i FILE -c copy FILE.mkv",
                    )
                stamps.append(int(packet.pts))
                keys.append(bool(packet.is_keyframe))
        except (av.error.FFmpegError, OSError) as fault:
            raise FileError(
                f"damaged after frame {len(stamps)}", where=str(path), remedy=_AGAIN
            ) from fault
        stated = int(stream.frames)
    if not stamps:
        raise FileError("there is no frame in it", where=str(path), remedy=_AGAIN)
    if len(stamps) < stated:
        raise FileError(
            f"truncated: {len(stamps)} of {stated} frames are there",
            where=str(path),
            remedy=_AGAIN,
        )
    order = np.argsort(stamps, kind="stable")
    pts, keyframe = np.array(stamps)[order], np.array(keys)[order]
    if (np.diff(pts) <= 0).any():
        raise FileError(
            "two frames have the same time stamp",
            where=str(path),
            remedy="Record it again; a times file cannot tell which frame is which.",
        )
    frame = np.arange(len(pts))
    if times is None:
        t = pts * float(unit)
    else:
        _check_times(times, len(pts), path)
        frame = np.array(sorted(times))
        t = np.array([times[int(i)] for i in frame])
    return VideoIndex(path, size, t, frame, pts[frame], keyframe[frame])


def read_video(
    index: VideoIndex, start: int = 0, stop: int | None = None, pixel_format: str = COLOUR
) -> Iterator[tuple[float, Image]]:
    """Yield t and image of the rows [start, stop) of an index, decoding as they are asked for.

    Args:
        index: From `index_video`.
        start: First row.
        stop: After the last row; the end of the video by default.
        pixel_format: `GRAY` gives (H, W) uint8, `COLOUR` (H, W, 3) uint8 blue green red.

    Raises:
        FileError: When a frame cannot be decoded.
    """
    last = len(index.t) if stop is None else min(stop, len(index.t))
    if start >= last:
        return
    wanted = {int(pts): row for row, pts in enumerate(index.stamps[start:last], start)}
    expected = start
    try:
        for pts, frame in _decode_from(index.path, int(index.stamps[start])):
            row = wanted.get(pts)
            if row is None:
                continue
            if row != expected:
                raise _lost(index, expected)
            expected += 1
            yield float(index.t[row]), frame.to_ndarray(format=pixel_format)
            if expected == last:
                return
    except av.error.FFmpegError as fault:
        raise _lost(index, expected) from fault
    raise _lost(index, expected)


def open_video(path: Path) -> Any:
    """Open a video; the caller closes it.

    Raises:
        FileError: When it is missing, no video, or holds no pictures.
    """
    if not path.is_file():
        raise FileError("there is no such video", where=str(path), remedy="Check the path.")
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError) as fault:
        raise FileError(
            "not a video, or its end is missing", where=str(path), remedy=_AGAIN
        ) from fault
    if not container.streams.video:
        container.close()
        raise FileError(
            "there is no picture in it", where=str(path), remedy="Give the camera's video."
        )
    return container


def _decode_from(path: Path, stamp: int) -> Iterator[tuple[int, Any]]:
    """Decode from the last keyframe at or before a stamp, from the start where seeking fails."""
    for seek in (True, False):
        with open_video(path) as container:
            stream = container.streams.video[0]
            # One thread a decoder: cameras and parts of videos are what runs side by side.
            stream.codec_context.thread_count = 1
            if seek:
                try:
                    container.seek(stamp, stream=stream, backward=True)
                except av.error.FFmpegError:
                    continue
            frames = ((int(f.pts), f) for f in container.decode(stream) if f.pts is not None)
            first = next(frames, None)
            if seek and (first is None or first[0] > stamp):
                continue
            if first is not None:
                yield first
                yield from frames
            return


def _lost(index: VideoIndex, row: int) -> FileError:
    frame = int(index.frame[row])
    return FileError(
        f"damaged: frame {frame} of {int(index.frame[-1]) + 1} cannot be decoded",
        where=str(index.path),
        remedy=_AGAIN,
    )


def _check_times(times: Mapping[int, float], count: int, path: Path) -> None:
    if not times:
        raise LabError(
            "the times list no frame of this camera",
            where=str(path),
            remedy="Give the times file of this recording.",
        )
    if max(times) >= count or min(times) < 0:
        raise LabError(
            f"the times list frame {max(times)}, the video has {count} frames, counted from 0",
            where=str(path),
            remedy="Give the times file of this recording.",
        )
    ordered = np.array([times[i] for i in sorted(times)])
    if not np.isfinite(ordered).all() or (np.diff(ordered) <= 0).any():
        raise LabError(
            "the times do not rise from frame to frame",
            where=str(path),
            remedy="Give the times file of this recording.",
        )
