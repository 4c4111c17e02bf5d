"""The lab's end of one node's control channel: ask, and wait for the answer or say it is silent."""

from __future__ import annotations

import secrets
import time
from types import TracebackType
from typing import Any, TypeVar

import zmq

from capture import control
from capture.keys import ClientKeys
from capture.wire import (
    BadMessage,
    Intake,
    Kind,
    check_payload,
    pack_header,
    unpack_body,
    unpack_envelope,
)
from lab.errors import LabError

Answer = TypeVar("Answer")


class SilentNodeError(LabError):
    """The node did not answer in time."""


class NodeRefusedError(LabError):
    """The node answered that it will not."""


class NodeLink:
    """Requests to one node, one at a time. Not for several threads: each makes its own.

    Args:
        endpoint: As ZeroMQ writes it, tcp://host:port of the control channel.
        keys: The lab's key pair and the node's public key; None on loopback only.
        context: Of ZeroMQ; the process's own when None.
        timeout_s: How long to wait for an answer unless a request says otherwise.
    """

    def __init__(
        self,
        endpoint: str,
        keys: ClientKeys | None = None,
        *,
        context: zmq.Context[Any] | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        self.endpoint = endpoint
        self.timeout_s = timeout_s
        self.intake = Intake()
        self._sender = secrets.randbits(64)
        self._sequence = 0
        self._socket = (context or zmq.Context.instance()).socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        self._socket.maxmsgsize = 8 * 1024 * 1024
        if keys is not None:
            keys.apply(self._socket)
        self._socket.connect(endpoint)

    def close(self) -> None:
        """Close the channel; a request that has not left is dropped."""
        self._socket.close()

    def __enter__(self) -> NodeLink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(
        self, request: control.Request, expect: type[Answer], timeout_s: float | None = None
    ) -> Answer:
        """Ask and return the answer.

        Raises:
            SilentNodeError: When no answer came in time; the request may have been carried out.
            NodeRefusedError: When the node refused, with its reason.
        """
        return self.ask_with_payload(request, expect, timeout_s)[0]

    def ask_with_payload(
        self, request: control.Request, expect: type[Answer], timeout_s: float | None = None
    ) -> tuple[Answer, memoryview]:
        """Ask and return the answer and the payload that came with it (empty where none did)."""
        sequence = self._send(request)
        reply, payload, _ = self._await(sequence, timeout_s)
        if isinstance(reply, control.Refused):
            raise NodeRefusedError(
                reply.what, where=reply.where or self.endpoint, remedy=reply.remedy
            )
        if not isinstance(reply, expect):
            raise LabError(
                f"the node answered {type(reply).__name__} where {expect.__name__} belongs",
                where=self.endpoint,
                remedy="Run the same version of gaitlab on the lab's computer and on the node.",
            )
        return reply, payload

    def exchange_clock(self, timeout_s: float | None = None) -> tuple[int, int, int, int]:
        """Exchange four timestamps: t1, t4 on this computer's clock, t2, t3 on the node's; ns.

        Raises:
            SilentNodeError: When no answer came in time.
        """
        t1_ns = time.monotonic_ns()
        sequence = self._send(control.ExchangeClock(t1_ns))
        reply, _, t4_ns = self._await(sequence, timeout_s)
        if not isinstance(reply, control.ClockStamps) or reply.t1_ns != t1_ns:
            raise LabError("the node's answer to a clock exchange is no such", where=self.endpoint)
        return t1_ns, reply.t2_ns, reply.t3_ns, t4_ns

    def _send(self, request: control.Request) -> int:
        self._sequence += 1
        header = pack_header(Kind.REQUEST, self._sender, self._sequence, request)
        try:
            self._socket.send(header, flags=zmq.NOBLOCK)
        except zmq.Again as error:
            raise self._silent() from error
        return self._sequence

    def _await(
        self, sequence: int, timeout_s: float | None
    ) -> tuple[control.Reply, memoryview, int]:
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while True:
            left_ms = max(0, round((deadline - time.monotonic()) * 1000))
            if not self._socket.poll(left_ms):
                raise self._silent()
            parts = self._socket.recv_multipart(copy=False)
            t4_ns = time.monotonic_ns()
            try:
                reply = self._read([part.buffer for part in parts], sequence)
            except BadMessage as bad:
                self.intake.drop(bad.reason)
                continue
            return reply, parts[1].buffer if len(parts) == 2 else memoryview(b""), t4_ns

    def _read(self, parts: list[memoryview], sequence: int) -> control.Reply:
        if len(parts) not in (1, 2):
            raise BadMessage("garbage")
        envelope = unpack_envelope(parts[0])
        if envelope.kind is not Kind.REPLY or envelope.sender != self._sender:
            raise BadMessage("garbage")
        if envelope.sequence != sequence:
            raise BadMessage("late" if envelope.sequence < sequence else "garbage")
        if len(parts) == 2:
            check_payload(Kind.REPLY, parts[1])
        return unpack_body(parts[0], control.reply_decoder)

    def _silent(self) -> SilentNodeError:
        return SilentNodeError(
            "the node does not answer",
            where=self.endpoint,
            remedy="Check that gaitlab node runs there, the cable, the firewall, and that both "
            "are enrolled with each other.",
        )
