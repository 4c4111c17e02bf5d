"""Images to bytes, once: the same bytes go to disk and to the wire."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext

from capture.driver import Image
from lab.errors import LabError

ENCODINGS = ("mjpeg", "raw", "ffv1", "h264")
_GLOBAL_HEADER = 1 << 22
# Lengths before each unit, as Matroska stores them: otherwise the muxer would change the bytes.
_AS_STORED = {"x264-params": "annexb=0"}

# How many bytes a frame takes at most, a share of its raw size, for the check of disk and rate.
EXPECTED_SHARE = {"raw": 1.0, "ffv1": 0.7, "mjpeg": 0.35, "h264": 0.2}


def codec_settings(encoding: str, channels: int, rate_hz: float) -> tuple[str, str, dict[str, str]]:
    """Return the codec's name, pixel format and options; the recorder opens the same.

    Raises:
        LabError: For raw colour, which Matroska does not hold.
    """
    if encoding == "raw":
        if channels != 1:
            raise LabError(
                "raw recording is for grey cameras", remedy="Choose ffv1, which loses nothing."
            )
        return "rawvideo", "gray", {}
    if encoding == "ffv1":
        return "ffv1", "gray" if channels == 1 else "bgr0", {"level": "3", "slicecrc": "1"}
    group = str(max(1, round(rate_hz)))
    return (
        "libx264",
        "yuv420p",
        {"preset": "ultrafast", "tune": "zerolatency", "crf": "16", "g": group, **_AS_STORED},
    )


class Encoder:
    """One camera's images to bytes, one in, one out.

    Args:
        encoding: mjpeg, raw, ffv1 or h264.
        size_px, channels, rate_hz: Of the camera.
        quality: Of mjpeg.
    """

    def __init__(
        self, encoding: str, size_px: tuple[int, int], channels: int, rate_hz: float, quality: int
    ) -> None:
        self.encoding, self.size_px, self.channels = encoding, size_px, channels
        self.extradata = b""
        self._quality = [cv2.IMWRITE_JPEG_QUALITY, quality]
        self._format = "gray" if channels == 1 else "bgr24"
        self._context: VideoCodecContext | None = None
        self._count = 0
        if encoding in ("ffv1", "h264"):
            self._context = _open_context(encoding, size_px, channels, rate_hz)
            self.extradata = bytes(self._context.extradata or b"")
        elif encoding == "raw":
            codec_settings(encoding, channels, rate_hz)

    def encode(self, image: Image | bytes) -> tuple[bytes | memoryview, bool]:
        """Return the bytes and whether they can be decoded without those before.

        A camera's own JPEG passes as it is when the encoding is mjpeg.

        Raises:
            LabError: When the camera delivers JPEG that cannot be decoded.
        """
        if isinstance(image, bytes):
            if self.encoding == "mjpeg":
                return image, True
            image = decode_jpeg(image)
        if self.encoding == "mjpeg":
            return cv2.imencode(".jpg", image, self._quality)[1].data.cast("B"), True
        if self._context is None:
            return np.ascontiguousarray(image).data.cast("B"), True
        frame = av.VideoFrame.from_ndarray(image, format=self._format)
        if frame.format.name != self._context.pix_fmt:
            frame = frame.reformat(format=self._context.pix_fmt)
        frame.pts = self._count
        self._count += 1
        packets = self._context.encode(frame)
        key = any(p.is_keyframe for p in packets)
        return b"".join(bytes(p) for p in packets), key


def decode_jpeg(content: bytes, reduced: bool = False) -> Image:
    """Return the image of a JPEG, at a quarter of its size where that is enough.

    Raises:
        LabError: When it cannot be decoded.
    """
    flags = cv2.IMREAD_REDUCED_GRAYSCALE_4 if reduced else cv2.IMREAD_UNCHANGED
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if image is None:
        raise LabError("a JPEG of the camera cannot be decoded", remedy="Check its cable.")
    return np.asarray(image, dtype=np.uint8)


def _open_context(
    encoding: str, size_px: tuple[int, int], channels: int, rate_hz: float
) -> VideoCodecContext:
    name, pixels, options = codec_settings(encoding, channels, rate_hz)
    context = av.CodecContext.create(name, "w")
    if not isinstance(context, VideoCodecContext):
        raise ValueError(f"{name} is no video codec")
    prepare_context(context, pixels, size_px, rate_hz, options)
    context.open()
    return context


def prepare_context(
    context: VideoCodecContext,
    pixels: str,
    size_px: tuple[int, int],
    rate_hz: float,
    options: dict[str, str],
) -> None:
    """Set a codec up as every encoder and recorder here does, so that their headers agree."""
    context.width, context.height = size_px
    context.pix_fmt = pixels
    context.time_base = Fraction(1, 1000)
    context.framerate = Fraction(rate_hz).limit_denominator(1000)
    context.options = options
    context.flags |= _GLOBAL_HEADER
    if context.name == "ffv1":
        context.gop_size = 1
