"""Writing videos: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

# As a recorder stores them: each image by itself, at the codec's best.
MJPEG = ("mjpeg", "yuvj420p", {"qmin": "1", "qmax": "2"})
LOSSLESS = ("ffv1", "gray", {})


def write_video(
    path: Path,
    images: Iterable[Any],
    size_px: tuple[int, int],
    rate_hz: int,
    *,
    first: int = 0,
    kind: tuple[str, str, dict[str, str]] = LOSSLESS,
) -> None:
    """Write grey images (H, W) uint8.

    Args:
        path: The file, a Matroska video; its folder is made.
        images: One after the other.
        size_px: Width and height.
        rate_hz: Images a second.
        first: The time stamp of the first image, in intervals.
        kind: Codec, pixel format and options.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with av.open(str(part), "w", format="matroska") as container:
            stream: Any = container.add_stream(kind[0], rate=rate_hz)
            stream.width, stream.height = size_px
            stream.pix_fmt, stream.options = kind[1], kind[2]
            stream.time_base = Fraction(1, rate_hz)
            stream.codec_context.thread_count = 1
            for index, image in enumerate(images, first):
                frame = av.VideoFrame.from_ndarray(image, format="gray")
                if kind[1] != "gray":
                    frame = frame.reformat(format=kind[1])
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
