"""Pairing a lab's computer with a node: keys exchanged, and a short code that people compare.

    lab -> node    commitment to (the lab's public key, a nonce)
    node -> lab    the node's public key, a nonce
    lab -> node    the lab's public key, its nonce

Both then derive the code from both keys and both nonces. It is shown on both screens and never
sent. Someone in between must present keys of his own; as the lab is bound by its commitment before
it sees the node's nonce, and the node shows its own before it sees the lab's, he has one guess at
six digits, and a wrong one is seen by the people who compare.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import zmq
from msgspec import Meta

from capture.control import Name
from capture.keys import check_key, own_keys, trust
from lab.errors import LabError

ENROL_PORT = 5873
_NONCE_BYTES = 16
_MAX_BYTES = 1024
_CONTEXT = b"gaitlab enrol 1\0"

_Key = Annotated[str, Meta(min_length=40, max_length=40)]
_Nonce = Annotated[bytes, Meta(min_length=_NONCE_BYTES, max_length=_NONCE_BYTES)]

Confirm = Callable[[str, str], bool]  # the other's name and the code; whether it is the same there


class _Commit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="commit"):
    name: Name
    commitment: Annotated[bytes, Meta(min_length=32, max_length=32)]


class _Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="offer"):
    name: Name
    public: _Key
    nonce: _Nonce


class _Reveal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="reveal"):
    public: _Key
    nonce: _Nonce


class _Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="shown"):
    pass


_Any = _Commit | _Offer | _Reveal | _Shown
_decoder = msgspec.msgpack.Decoder(_Any)
_encoder = msgspec.msgpack.Encoder()
_Answer = TypeVar("_Answer")


def commitment(public: str, nonce: bytes) -> bytes:
    """Return what binds the lab to its key and nonce without showing either."""
    return hashlib.sha256(_CONTEXT + b"commit" + public.encode() + nonce).digest()


def pairing_code(lab: str, node: str, lab_nonce: bytes, node_nonce: bytes) -> str:
    """Return the six digits that both screens show."""
    mixed = lab.encode() + node.encode() + lab_nonce + node_nonce
    number = int.from_bytes(hashlib.sha256(_CONTEXT + b"code" + mixed).digest()[:8], "big")
    return f"{number % 1_000_000:06d}"


def await_lab(
    folder: Path,
    name: str,
    confirm: Confirm,
    *,
    host: str = "0.0.0.0",
    port: int = ENROL_PORT,
    timeout_s: float = 300.0,
    bound: Callable[[int], None] = lambda _: None,
) -> str:
    """On the node: wait for one lab, have the code compared, keep its key; its name.

    One exchange and no more: a second attempt needs the operator again.

    Raises:
        LabError: When no lab came, it broke its commitment, or the codes differ.
    """
    own, nonce = own_keys(folder), secrets.token_bytes(_NONCE_BYTES)
    context: zmq.Context[Any] = zmq.Context()
    socket = context.socket(zmq.REP)
    socket.linger, socket.maxmsgsize = 500, _MAX_BYTES
    try:
        chosen = socket.bind_to_random_port(f"tcp://{host}") if port == 0 else port
        if port != 0:
            socket.bind(f"tcp://{host}:{port}")
        bound(chosen)
        deadline = time.monotonic() + timeout_s
        first = _receive(socket, _Commit, deadline)
        socket.send(_encoder.encode(_Offer(name, own.public, nonce)))
        second = _receive(socket, _Reveal, min(deadline, time.monotonic() + 30.0))
        if not hmac.compare_digest(commitment(second.public, second.nonce), first.commitment):
            raise LabError(
                "the other computer changed its key halfway; it was not enrolled",
                remedy="Somebody may be listening in. Try again on a cable of your own.",
            )
        socket.send(_encoder.encode(_Shown()))
    except zmq.ZMQError as error:
        raise LabError(
            f"cannot listen on port {port} ({error.strerror})", remedy="Choose another --port."
        ) from error
    finally:
        socket.close()
        context.term()
    code = pairing_code(second.public, own.public, second.nonce, nonce)
    return _keep(folder, first.name, second.public, code, confirm)


def enrol_with(
    folder: Path, name: str, endpoint: str, confirm: Confirm, *, timeout_s: float = 10.0
) -> str:
    """On the lab's computer: pair with a node that waits; the node's name.

    Raises:
        LabError: When no node waits there, or the codes differ.
    """
    own, nonce = own_keys(folder), secrets.token_bytes(_NONCE_BYTES)
    context: zmq.Context[Any] = zmq.Context()
    socket = context.socket(zmq.REQ)
    socket.linger, socket.maxmsgsize = 0, _MAX_BYTES
    try:
        socket.connect(endpoint)
        deadline = time.monotonic() + timeout_s
        socket.send(_encoder.encode(_Commit(name, commitment(own.public, nonce))))
        offer = _receive(socket, _Offer, deadline)
        socket.send(_encoder.encode(_Reveal(own.public, nonce)))
        _receive(socket, _Shown, deadline)
    except zmq.ZMQError as error:
        raise LabError(f"{endpoint} is no address ({error.strerror})") from error
    finally:
        socket.close()
        context.term()
    code = pairing_code(own.public, offer.public, nonce, offer.nonce)
    return _keep(folder, offer.name, offer.public, code, confirm)


def _keep(folder: Path, name: str, public: str, code: str, confirm: Confirm) -> str:
    check_key(public, name)
    if not confirm(name, code):
        raise LabError(
            "the codes differ; nothing was enrolled",
            remedy="Somebody may be listening in. Try again on a cable of your own.",
        )
    trust(folder, name, public)
    return name


def _receive(socket: zmq.Socket[Any], expect: type[_Answer], deadline: float) -> _Answer:
    left_ms = max(0, round((deadline - time.monotonic()) * 1000))
    if not socket.poll(left_ms):
        raise LabError(
            "the other computer did not answer",
            remedy="Run gaitlab node enrol on the node first, then --to its address on the lab's.",
        )
    try:
        message = _decoder.decode(socket.recv())
    except msgspec.DecodeError as error:
        raise LabError("the other computer sent something else", remedy="Try again.") from error
    if not isinstance(message, expect):
        raise LabError("the other computer answered out of turn", remedy="Try again.")
    return message
