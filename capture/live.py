"""What the cameras see now: small previews of all, and full frames of those looked at closely.

A thread keeps the newest image of each camera and drops the rest; whoever shows them asks when it
likes. A full frame is subscribed to for as long as it takes to get one, so that looking costs the
network a few frames a second and not the whole stream.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import zmq
from numpy.typing import NDArray

from capture.control import Description
from capture.watch import NodeAddress
from capture.wire import BadMessage, FrameHeader, Intake, Kind, topic_of, unpack_frame

_FRAMES_WAITING = 4
_PREVIEWS_WAITING = 4  # of each camera of a node
_POLL_MS = 20
_FULL_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image as it came.

    Attributes:
        camera: Its camera.
        index: The camera's counter.
        image: (H, W) uint8, or (H, W, 3) blue green red.
        received_s: When it came, on this computer's monotonic clock.
    """

    camera: str
    index: int
    image: NDArray[np.uint8]
    received_s: float


class LiveView:
    """See the module. `add` nodes in any order and at any time."""

    def __init__(self) -> None:
        self._context: zmq.Context[Any] = zmq.Context()
        self._lock = threading.Lock()
        self._new: list[tuple[NodeAddress, Description]] = []
        self._newest: dict[str, Picture] = {}
        self._full: dict[str, Picture] = {}
        self._wanted: dict[str, float] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)
        self._thread.start()

    def add(self, address: NodeAddress, description: Description) -> None:
        """Show a node's cameras; again, after it was started anew, where its ports have moved."""
        with self._lock:
            self._new.append((address, description))

    def newest(self) -> dict[str, Picture]:
        """Return the newest preview of each camera."""
        with self._lock:
            return dict(self._newest)

    def look_at(self, rates_hz: dict[str, float]) -> None:
        """Say of which cameras full frames are wanted, and how many a second at the most."""
        with self._lock:
            self._wanted = dict(rates_hz)
            self._full = {c: p for c, p in self._full.items() if c in rates_hz}

    def newest_full(self) -> dict[str, Picture]:
        """Return the newest full frame of each camera that is looked at."""
        with self._lock:
            return dict(self._full)

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        nodes: dict[str, _Node] = {}
        poller = zmq.Poller()
        try:
            while not self._ending.is_set():
                with self._lock:
                    new, self._new = self._new, []
                    wanted = dict(self._wanted)
                for address, description in new:
                    old = nodes.pop(address.name, None)
                    if old is not None:
                        old.close(poller)
                    nodes[address.name] = _Node(self._context, poller, address, description)
                now = time.monotonic()
                for node in nodes.values():
                    node.want(wanted, now)
                ready = dict(poller.poll(_POLL_MS)) if nodes else {}
                if not nodes:
                    self._ending.wait(_POLL_MS / 1000)
                for node in nodes.values():
                    self._take(node, ready)
        finally:
            for node in nodes.values():
                node.close(poller)
            self._context.term()

    def _take(self, node: _Node, ready: dict[Any, int]) -> None:
        if node.previews in ready:
            found = _decoded(node.newest(node.previews, Kind.PREVIEW))
            with self._lock:
                self._newest.update(found)
        if node.frames in ready:
            found = _decoded(node.newest(node.frames, Kind.FRAME))
            node.got(found)
            with self._lock:
                self._full.update({c: p for c, p in found.items() if c in self._wanted})


class _Node:
    """The two sockets of one node."""

    def __init__(
        self,
        context: zmq.Context[Any],
        poller: zmq.Poller,
        address: NodeAddress,
        description: Description,
    ) -> None:
        host = address.endpoint.rpartition(":")[0]
        self.cameras = tuple(c.camera for c in description.cameras)
        self.intake = Intake()
        waiting = _PREVIEWS_WAITING * max(1, len(self.cameras))
        previews, frames = (
            f"{host}:{port}" for port in (description.previews_port, description.frames_port)
        )
        self.previews = _subscriber(context, address, previews, waiting)
        self.frames = _subscriber(context, address, frames, _FRAMES_WAITING)
        for camera in self.cameras:
            self.previews.subscribe(topic_of(Kind.PREVIEW, camera))
        self._asked: dict[str, float] = {}
        self._last: dict[str, float] = {}
        for socket in (self.previews, self.frames):
            poller.register(socket, zmq.POLLIN)

    def want(self, rates_hz: dict[str, float], now: float) -> None:
        """Subscribe to the full frames that are due, and no longer to those that came."""
        for camera in self.cameras:
            rate = rates_hz.get(camera, 0.0)
            due = rate > 0 and now - self._last.get(camera, 0.0) >= 1.0 / rate
            asked = self._asked.get(camera)
            if asked is None and due:
                self.frames.subscribe(topic_of(Kind.FRAME, camera))
                self._asked[camera] = now
            elif asked is not None and (not rate or now - asked > _FULL_TIMEOUT_S):
                self._drop(camera, now)

    def got(self, found: dict[str, Picture]) -> None:
        for camera in found:
            if camera in self._asked:
                self._drop(camera, time.monotonic())

    def _drop(self, camera: str, now: float) -> None:
        self.frames.unsubscribe(topic_of(Kind.FRAME, camera))
        del self._asked[camera]
        self._last[camera] = now

    def newest(self, socket: zmq.Socket[Any], kind: Kind) -> dict[str, tuple[FrameHeader, bytes]]:
        """Drain a socket and return the last message of each camera."""
        found = {}
        while True:
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return found
            try:
                envelope, header, payload = unpack_frame(parts)
                if envelope.kind is not kind or header.camera not in self.cameras:
                    raise BadMessage("garbage")
                self.intake.admit(envelope, int(kind))
            except BadMessage as bad:
                self.intake.drop(bad.reason)
                continue
            found[header.camera] = (header, bytes(payload))

    def close(self, poller: zmq.Poller) -> None:
        for socket in (self.previews, self.frames):
            poller.unregister(socket)
            socket.close(linger=0)


def _subscriber(
    context: zmq.Context[Any], address: NodeAddress, endpoint: str, waiting: int
) -> zmq.Socket[Any]:
    socket = context.socket(zmq.SUB)
    socket.rcvhwm, socket.linger = waiting, 0
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
    if address.keys is not None:
        address.keys.apply(socket)
    socket.connect(endpoint)
    return socket


def _decoded(found: dict[str, tuple[FrameHeader, bytes]]) -> dict[str, Picture]:
    """Decode what an image can be made of by itself; other encodings are left out."""
    pictures = {}
    for camera, (header, payload) in found.items():
        width, height = header.size_px
        if header.encoding == "raw":
            shape = (height, width) if header.channels == 1 else (height, width, 3)
            image = np.frombuffer(payload, np.uint8).reshape(shape)
        elif header.encoding == "mjpeg":
            decoded = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_UNCHANGED)
            if decoded is None:
                continue
            image = np.asarray(decoded, np.uint8)
        else:
            continue
        pictures[camera] = Picture(camera, header.index, image, time.monotonic())
    return pictures
