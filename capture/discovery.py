"""Finding nodes on the local network by name (zeroconf), or from a list where that is blocked."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from zeroconf import ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

from capture.wire import is_name
from lab.atomic import write_atomically
from lab.errors import FileError, LabError
from lab.toml_file import read_toml, toml_bytes

_SERVICE = "_gaitlab._tcp.local."


class NodePlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a node says it is. Only its key, not its name, tells who it is."""

    host: str
    port: Annotated[int, Meta(ge=1, le=65535)]


class _List(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    nodes: dict[str, NodePlace]


def read_nodes(path: Path) -> dict[str, NodePlace]:
    """Read a list of nodes: `[nodes.left]`, `host = "192.168.7.2"`, `port = 5870`.

    Raises:
        FileError: When it is missing or wrong.
    """
    remedy = "Write [nodes.NAME], host and port for each."
    found = read_toml(path, _List, "a list of nodes", remedy).nodes
    wrong = [name for name in found if not is_name(name)]
    if wrong:
        raise FileError(f'"{wrong[0]}" cannot name a node', where=str(path))
    return found


def write_nodes(path: Path, nodes: Mapping[str, NodePlace]) -> None:
    """Write a list of nodes, by name.

    Raises:
        FileError: When it cannot be written.
    """
    note = "The camera computers; written by gaitlab."
    write_atomically(path, toml_bytes({"nodes": dict(sorted(nodes.items()))}, note))


@contextmanager
def advertise(name: str, port: int, address: str | None = None) -> Iterator[None]:
    """Make a node known on the local network while the block runs.

    Args:
        name: Of the node.
        port: Of its control channel.
        address: IPv4; this computer's own on the way out when None.

    Raises:
        LabError: When the network does not let it.
    """
    info = ServiceInfo(
        _SERVICE,
        f"{name}.{_SERVICE}",
        port=port,
        addresses=[socket.inet_aton(address or _own_address())],
        properties={"wire": "1"},
    )
    try:
        network = Zeroconf(interfaces=[address] if address else ["0.0.0.0"])
        network.register_service(info, allow_name_change=False)
    except (OSError, RuntimeError) as error:
        raise LabError(
            f"the node cannot be made known on this network ({error})",
            remedy="Give the lab's computer a list of nodes instead.",
        ) from error
    try:
        yield
    finally:
        network.unregister_service(info)
        network.close()


def find_nodes(timeout_s: float = 3.0, address: str | None = None) -> dict[str, NodePlace]:
    """Return the nodes that answer within a time, by name.

    Raises:
        LabError: When the network does not let it.
    """
    listener = _Listener()
    try:
        network = Zeroconf(interfaces=[address] if address else ["0.0.0.0"])
    except OSError as error:
        raise LabError(
            f"this network cannot be searched ({error})", remedy="Use a list of nodes."
        ) from error
    try:
        browser = ServiceBrowser(network, _SERVICE, listener)
        time.sleep(timeout_s)
        browser.cancel()
    finally:
        network.close()
    return dict(sorted(listener.found.items()))


class _Listener(ServiceListener):
    def __init__(self) -> None:
        self.found: dict[str, NodePlace] = {}

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        info = zc.get_service_info(type_, name, timeout=1000)
        short = name.removesuffix(f".{_SERVICE}")
        if info is None or not is_name(short) or not info.port:
            return
        addresses = info.parsed_addresses()
        if addresses:
            self.found[short] = NodePlace(addresses[0], info.port)

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.add_service(zc, type_, name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.found.pop(name.removesuffix(f".{_SERVICE}"), None)


def _own_address() -> str:
    """Return the address that this computer shows to others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
