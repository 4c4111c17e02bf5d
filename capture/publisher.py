"""What a node publishes: full frames as recorded, and small previews; no reader slows it down."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import cv2
import zmq

from capture.driver import Shot
from capture.encoder import Encoder, decode_jpeg
from capture.wire import FrameHeader, Kind, pack_header, topic_of

PREVIEW_PX = (320, 180)
PREVIEW_HZ = 30.0
_PREVIEW_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 70]
_FRAMES_WAITING = 32  # for each subscriber; then frames are left out for that one only
_PREVIEWS_WAITING = 32  # all cameras of a node send at the same instant
_TOLD_EVERY_S = 30.0
_CALLED = {Kind.FRAME: "frames", Kind.PREVIEW: "previews"}


class Publisher:
    """Two PUB sockets, used by all cameras of a node under one lock.

    A PUB socket never waits: a subscriber that is behind by more than the high-water mark misses
    frames, sees it by their counters, and nobody else is touched. That it happens is reported, at
    most twice a minute.

    Args:
        frames, previews: Bound, after `prepare`.
        report: Called with where, what and remedy.
        preview_hz: Previews a second of each camera, at the most.
    """

    def __init__(
        self,
        frames: zmq.Socket[Any],
        previews: zmq.Socket[Any],
        report: Callable[[str, str, str], None],
        preview_hz: float = PREVIEW_HZ,
    ) -> None:
        self._preview_ns = round(1e9 / preview_hz)
        self._frames, self._previews, self._report = frames, previews, report
        self._told_s: dict[Kind, float] = {}
        self._sender = secrets.randbits(64)
        self._sequence = 0
        self._lock = threading.Lock()
        self._preview_due_ns: dict[str, int] = {}

    @staticmethod
    def prepare(frames: zmq.Socket[Any], previews: zmq.Socket[Any]) -> None:
        """Set the limits of both sockets, before they are bound."""
        frames.sndhwm, previews.sndhwm = _FRAMES_WAITING, _PREVIEWS_WAITING
        frames.linger = previews.linger = 0
        for socket in (frames, previews):
            socket.setsockopt(zmq.XPUB_NODROP, 1)  # refuses when someone is behind: see _send

    def publish(
        self,
        camera: str,
        trial: str,
        shot: Shot,
        encoder: Encoder,
        content: bytes | memoryview,
        key: bool,
    ) -> None:
        """Send one encoded frame, and a preview when one is due; never waits."""
        size_px, channels = frame_shape(shot, encoder)
        header = FrameHeader(
            camera=camera,
            trial=trial,
            index=shot.index,
            device_ns=shot.device_ns,
            host_ns=shot.host_ns,
            mid_device_ns=shot.mid_device_ns,
            exposure_ns=shot.exposure_ns,
            size_px=size_px,
            channels=channels,
            encoding=encoder.encoding,
            key=key,
            extradata=encoder.extradata,
        )
        self._send(self._frames, Kind.FRAME, header, content)
        due_ns = self._preview_due_ns.get(camera, shot.host_ns)
        if shot.host_ns >= due_ns:
            # Counted on from when it was due, so that the rate holds whatever the camera's own is.
            self._preview_due_ns[camera] = max(due_ns + self._preview_ns, shot.host_ns)
            self._send_preview(header, shot)

    def close(self) -> None:
        """Close both sockets."""
        with self._lock:
            self._frames.close()
            self._previews.close()

    def _send_preview(self, header: FrameHeader, shot: Shot) -> None:
        image = decode_jpeg(shot.image, True) if isinstance(shot.image, bytes) else shot.image
        scale = min(PREVIEW_PX[0] / image.shape[1], PREVIEW_PX[1] / image.shape[0], 1.0)
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        content = cv2.imencode(".jpg", small, _PREVIEW_QUALITY)[1]
        preview = FrameHeader(
            camera=header.camera,
            trial=header.trial,
            index=header.index,
            device_ns=header.device_ns,
            host_ns=header.host_ns,
            mid_device_ns=header.mid_device_ns,
            exposure_ns=header.exposure_ns,
            size_px=size,
            channels=1 if small.ndim == 2 else 3,
            encoding="mjpeg",
        )
        self._send(self._previews, Kind.PREVIEW, preview, content.data.cast("B"))

    def _send(
        self,
        socket: zmq.Socket[Any],
        kind: Kind,
        header: FrameHeader,
        content: bytes | memoryview,
    ) -> None:
        topic = topic_of(kind, header.camera)
        behind = False
        with self._lock:
            if socket.closed:
                return
            self._sequence += 1
            packed = pack_header(kind, self._sender, self._sequence, header)
            try:
                socket.send(topic, zmq.SNDMORE | zmq.NOBLOCK)
            except zmq.Again:
                # The message goes to all but the one that is behind; that one is left out silently
                # until it has caught up, so that a spell is noticed once.
                behind = True
                socket.setsockopt(zmq.XPUB_NODROP, 0)
                socket.send(topic, zmq.SNDMORE)
            socket.send(packed, zmq.SNDMORE)
            socket.send(content, copy=False)
            if behind:
                socket.setsockopt(zmq.XPUB_NODROP, 1)
        if behind:
            self._note_slow(kind, header.camera)

    def _note_slow(self, kind: Kind, camera: str) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s.get(kind, -_TOLD_EVERY_S) < _TOLD_EVERY_S:
            return
        self._told_s[kind] = now_s
        self._report(
            camera,
            f"somebody who watches the {_CALLED[kind]} is too slow and misses some; the recording "
            "and everybody else have them all",
            "Look at the computers that watch: their load and their network.",
        )


def frame_shape(shot: Shot, encoder: Encoder) -> tuple[tuple[int, int], int]:
    """Return width and height, and channels, of a shot; of a JPEG, those of the camera."""
    if isinstance(shot.image, bytes):
        return encoder.size_px, encoder.channels
    height, width = shot.image.shape[:2]
    return (width, height), 1 if shot.image.ndim == 2 else 3
