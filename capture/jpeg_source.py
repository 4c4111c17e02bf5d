"""JPEG images whose counter changes at almost no cost, as from a camera that encodes by itself.

A JPEG with a restart marker after every row of blocks is a list of independent strips. The first
strip, which carries the counter, is encoded for each frame; the others stay as they are.
"""

from __future__ import annotations

import cv2
import numpy as np

from capture.counter import STRIP_PX, Image, draw_counter


class CountedJpeg:
    """One grey picture (H, W), handed out as JPEG with any counter.

    Raises:
        ValueError: For an image that is not grey.
    """

    def __init__(self, image: Image, quality: int) -> None:
        if image.ndim != 2:
            raise ValueError("CountedJpeg: expected a grey image (H, W)")
        self._options = [
            cv2.IMWRITE_JPEG_QUALITY,
            quality,
            cv2.IMWRITE_JPEG_RST_INTERVAL,
            -(-image.shape[1] // 8),
        ]
        self._top = np.ascontiguousarray(image[: STRIP_PX[1]])
        whole = self._encode(image)
        start, end = _first_strip(whole)
        self._head, self._tail = whole[:start], whole[end:]

    def with_counter(self, counter: int) -> bytes:
        """Return the picture with this counter drawn in."""
        top = self._top.copy()
        draw_counter(top, counter)
        strip = self._encode(top)
        start, end = _first_strip(strip)
        return b"".join((self._head, memoryview(strip)[start:end], self._tail))

    def _encode(self, image: Image) -> bytes:
        return cv2.imencode(".jpg", image, self._options)[1].tobytes()


def _first_strip(jpeg: bytes) -> tuple[int, int]:
    """Return where the first strip of entropy-coded data begins and ends."""
    scan = jpeg.index(b"\xff\xda")
    start = scan + 2 + int.from_bytes(jpeg[scan + 2 : scan + 4], "big")
    restart, end = jpeg.find(b"\xff\xd0", start), jpeg.index(b"\xff\xd9", start)
    return start, end if restart < 0 else restart
