"""The process on each camera computer: answers the lab, records, publishes, and never gives up.

Clock exchanges and questions are answered at once by the loop that receives; what takes time (arm,
stop, files) is done by one worker beside it, so that no file keeps a clock exchange waiting.
"""

from __future__ import annotations

import importlib.metadata
import logging
import math
import os
import shutil
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import zmq

from capture import control
from capture.cameras import CameraSettings
from capture.door import Door, is_loopback
from capture.driver import open_cameras
from capture.host_clock import HostClock
from capture.keys import own_keys
from capture.lab_silence import LabSilence
from capture.publisher import PREVIEW_HZ, Publisher
from capture.shelf import Shelf
from capture.station import Station
from capture.trials import Trials
from capture.wire import (
    VERSION,
    BadMessage,
    Envelope,
    Intake,
    Kind,
    is_name,
    pack_header,
    unpack_body,
    unpack_envelope,
)
from lab.errors import LabError

DEFAULT_PORT = 5870
_log = logging.getLogger("gaitlab.node")
_FAULTS_KEPT = 100
_TICK_MS = 50


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """How a node is run.

    Attributes:
        name: Of the node.
        data: Where recordings go, a folder for each trial.
        cameras: Those of this node.
        host: Address to listen on; anything but loopback needs keys.
        port: Of the control channel; frames and previews are on the two after it. 0 for any.
        keys: Folder of keys, or None on loopback.
        clock: The node's one clock.
        preview_hz: Previews a second of each camera, at the most.
        end_after_s: Silence of the lab after which the node ends by itself, a trial under way being
            recorded to its end first; a node of a real camera computer waits for ever.
    """

    name: str
    data: Path
    cameras: tuple[CameraSettings, ...]
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    keys: Path | None = None
    clock: HostClock = field(default_factory=HostClock)
    preview_hz: float = PREVIEW_HZ
    end_after_s: float = math.inf


class Node:
    """See the module. Sockets are bound and cameras opened on construction.

    Raises:
        LabError: When it would listen beyond loopback without keys, a port is taken, or cameras
            do not open (all of them named).
    """

    def __init__(self, settings: NodeSettings) -> None:
        if not is_name(settings.name):
            raise LabError(
                f'"{settings.name}" cannot name a node',
                remedy="Use letters, digits, _ and -, at most 48.",
            )
        if settings.keys is None and not is_loopback(settings.host):
            raise LabError(
                f"a node on {settings.host} without keys would show its cameras to everybody",
                remedy="Enrol it with gaitlab node enrol, then run it with its keys.",
            )
        self.settings = settings
        self.intake = Intake()
        self._faults: deque[control.Fault] = deque(maxlen=_FAULTS_KEPT)
        self._fault_lock = threading.Lock()
        self._ending = threading.Event()
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._shelf = Shelf(settings.data)
        self._keys = own_keys(settings.keys) if settings.keys is not None else None
        self._context: zmq.Context[Any] = zmq.Context()
        self._door: Door | None = None
        drivers = open_cameras(settings.cameras, settings.clock)
        try:
            if settings.keys is not None:
                self._door = Door(self._context, settings.keys, self.report)
            self._control, frames, previews = self._bind()
        except BaseException:
            for driver in drivers.values():
                driver.close()
            self._close_context()
            raise
        self.port = _port_of(self._control)
        self._frames_port, self._previews_port = _port_of(frames), _port_of(previews)
        self._publisher = Publisher(frames, previews, self.report, settings.preview_hz)
        self.stations: Mapping[str, Station] = {
            camera.name: Station(
                camera, drivers[camera.name], settings.clock, self._publisher, self.report
            )
            for camera in settings.cameras
        }
        self._trials = Trials(
            settings.name, self._shelf, self.stations, settings.clock, self.report
        )
        self._lab = LabSilence(self.report, _log.warning)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="files")
        self._answers = self._context.socket(zmq.PULL)
        self._answers.bind("inproc://answers")
        self._busy = False

    def report(self, where: str, what: str, remedy: str = "") -> None:
        """Keep a fault for the operator, and log it."""
        _log.warning("%s: %s. %s", where, what, remedy)
        with self._fault_lock:
            self._faults.append(control.Fault(self.settings.clock.now_ns(), where, what, remedy))

    def end(self) -> None:
        """Ask `run` to return; a trial under way is recorded to its end first."""
        self._ending.set()

    def run(self) -> None:
        """Answer until `end` is called and no trial is under way."""
        for station in self.stations.values():
            station.start()
        poller = zmq.Poller()
        poller.register(self._control, zmq.POLLIN)
        poller.register(self._answers, zmq.POLLIN)
        try:
            while not (self._ending.is_set() and self._trials.state in ("idle", "armed")):
                ready = dict(poller.poll(_TICK_MS))
                if self._control in ready:
                    self._receive()
                if self._answers in ready:
                    self._control.send_multipart(self._answers.recv_multipart())
                self._lab.check(self._trials.name if self._trials.state == "recording" else "")
                if self._lab.silent_s > self.settings.end_after_s:
                    self.end()
                if self._trials.due and not self._busy:
                    self._busy = True
                    self._worker.submit(self._end_trial)
        finally:
            self.close()

    def close(self) -> None:
        """Close cameras, files and sockets."""
        self._worker.shutdown(wait=True)
        for station in self.stations.values():
            station.close()
        self._publisher.close()
        self._control.close(linger=200)
        self._answers.close(linger=0)
        self._close_context()

    # ---- control ----

    def _receive(self) -> None:
        parts = self._control.recv_multipart()
        t2_ns = self.settings.clock.now_ns()
        try:
            if len(parts) != 2:
                raise BadMessage("garbage")
            envelope = unpack_envelope(parts[1])
            if envelope.kind is not Kind.REQUEST:
                raise BadMessage("garbage")
            request: control.Request = unpack_body(parts[1], control.request_decoder)
            self.intake.admit(envelope)
        except BadMessage as bad:
            self.intake.drop(bad.reason)
            return
        self._lab.heard()
        quick = self._answer_at_once(request, t2_ns)
        if quick is not None:
            self._control.send_multipart([parts[0], _reply(envelope, quick)])
        else:
            self._worker.submit(self._answer_later, parts[0], envelope, request)

    def _answer_at_once(self, request: control.Request, t2_ns: int) -> control.Reply | None:
        if isinstance(request, control.ExchangeClock):
            return control.ClockStamps(request.t1_ns, t2_ns, self.settings.clock.now_ns())
        if isinstance(request, control.Describe):
            return self._describe()
        if isinstance(request, control.Health):
            return self._health()
        return None

    def _answer_later(self, identity: bytes, envelope: Envelope, request: control.Request) -> None:
        payload = b""
        try:
            reply, payload = self._carry_out(request)
        except LabError as error:
            reply = control.Refused(error.what, error.where, error.remedy)
        except OSError as error:
            reply = control.Refused(
                f"the node's disk failed ({error.strerror or error})",
                remedy="Check the disk of the node.",
            )
        parts = [identity, _reply(envelope, reply)] + ([payload] if payload else [])
        with self._context.socket(zmq.PUSH) as socket:
            socket.connect("inproc://answers")
            socket.send_multipart(parts)

    def _carry_out(self, request: control.Request) -> tuple[control.Reply, bytes]:
        match request:
            case control.Arm():
                return control.Done(self._trials.arm(request)), b""
            case control.Start():
                return control.Done(self._trials.start(request)), b""
            case control.Stop():
                return self._trials.stop(request), b""
            case control.Configure():
                return control.Done(self._configure(request)), b""
            case control.ListFiles():
                busy = self._trials.name
                return control.Files(self._shelf.files(request.trial, busy)), b""
            case control.ReadPiece():
                piece, sha256, size = self._shelf.read(
                    request.trial, request.file, request.offset, request.length
                )
                return control.Piece(request.offset, sha256, size), piece
            case control.Delete():
                if request.trial == self._trials.name:
                    raise LabError("that trial is under way")
                self._shelf.delete(request.trial, request.files)
                return control.Done(), b""
        raise LabError(f"a node does not know {type(request).__name__}")

    def _end_trial(self) -> None:
        self._trials.end_when_due()
        self._busy = False

    def _configure(self, asked: control.Configure) -> list[str]:
        station = self.stations.get(asked.camera)
        if station is None:
            raise LabError(f"the node has no camera {asked.camera}")
        if self._trials.state != "idle":
            raise LabError("cameras are not changed while a trial is armed")
        station.configure(asked.exposure_us, asked.gain_db, asked.rate_hz)
        return list(station.accepted.differences)

    def _describe(self) -> control.Description:
        return control.Description(
            node=self.settings.name,
            version=importlib.metadata.version("gaitlab"),
            wire=VERSION,
            process=os.getpid(),
            host_ns=self.settings.clock.now_ns(),
            frames_port=self._frames_port,
            previews_port=self._previews_port,
            public_key=self._keys.public if self._keys is not None else "",
            cameras=[s.describe() for s in self.stations.values()],
        )

    def _health(self) -> control.NodeHealth:
        with self._fault_lock:
            faults = list(self._faults)
        return control.NodeHealth(
            node=self.settings.name,
            state=self._trials.state,
            trial=self._trials.name,
            host_ns=self.settings.clock.now_ns(),
            disk_free_bytes=_disk_free(self.settings.data),
            cpu_percent=self._process.cpu_percent(),
            memory_bytes=self._process.memory_info().rss,
            cameras=[s.health() for s in self.stations.values()],
            faults=faults,
            dropped=dict(self.intake.dropped),
        )

    # ---- sockets ----

    def _bind(self) -> tuple[zmq.Socket[Any], zmq.Socket[Any], zmq.Socket[Any]]:
        sockets = [self._context.socket(kind) for kind in (zmq.ROUTER, zmq.PUB, zmq.PUB)]
        Publisher.prepare(sockets[1], sockets[2])
        sockets[0].maxmsgsize = 512 * 1024
        for number, socket in enumerate(sockets):
            if self._keys is not None:
                socket.curve_server = True
                socket.curve_publickey = self._keys.public.encode()
                socket.curve_secretkey = self._keys.secret.encode()
            port = self.settings.port + number if self.settings.port else "*"
            try:
                socket.bind(f"tcp://{self.settings.host}:{port}")
            except zmq.ZMQError as error:
                for opened in sockets:
                    opened.close(linger=0)
                raise LabError(
                    f"cannot listen on {self.settings.host}:{port} ({error.strerror})",
                    remedy="Another node may be running here; choose another --port.",
                ) from error
        return sockets[0], sockets[1], sockets[2]

    def _close_context(self) -> None:
        if self._door is not None:
            self._door.close()
        self._context.term()


def _reply(envelope: Envelope, reply: control.Reply) -> bytes:
    return pack_header(Kind.REPLY, envelope.sender, envelope.sequence, reply)


def _disk_free(folder: Path) -> int:
    """Return the free bytes; 0 when the disk is gone, which must not end the node."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _port_of(socket: zmq.Socket[Any]) -> int:
    return int(bytes(socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").rpartition(b":")[2])
