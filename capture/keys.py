"""Who may talk to whom: CURVE key pairs in files that only their owner can read.

A folder of keys holds `own.key` (the pair of this computer) and, for every computer that it was
enrolled with, `trusted/<name>.pub`. Keys are written as ZeroMQ does, 40 characters of Z85.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
import zmq.auth
from zmq.utils import z85

from capture.wire import is_name
from lab.atomic import write_atomically
from lab.errors import FileError, LabError

_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}\Z")
_OWN = "own.key"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The CURVE keys of this computer, Z85."""

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r})"  # a secret never ends in a log


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What a connecting socket needs: its own pair and the key that the other end must have."""

    own: KeyPair
    server_public: str

    def apply(self, socket: zmq.Socket[Any]) -> None:
        """Make a socket, not yet connected, talk CURVE and only to that server."""
        socket.curve_publickey = self.own.public.encode()
        socket.curve_secretkey = self.own.secret.encode()
        socket.curve_serverkey = self.server_public.encode()


def check_key(text: str, where: str) -> str:
    """Return a public key that is one.

    Raises:
        FileError: When it is not 40 characters of Z85.
    """
    key = text.strip()
    if not _Z85.match(key):
        raise FileError("is not a public key", where=where, remedy="Enrol the computers again.")
    try:
        z85.decode(key.encode())
    except (ValueError, KeyError) as error:
        raise FileError("is not a public key", where=where, remedy="Enrol again.") from error
    return key


def own_keys(folder: Path) -> KeyPair:
    """Return this computer's keys; made at the first call.

    Raises:
        FileError: When the file is damaged, or others than its owner can read it.
    """
    path = folder / _OWN
    if not path.exists():
        _make_private(folder)
        public, secret = (k.decode() for k in zmq.curve_keypair())
        _write_private(path, f"{public}\n{secret}\n")
        return KeyPair(public, secret)
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise FileError(
            "holds a secret key and can be read by others than its owner",
            where=str(path),
            remedy=f"Run chmod 600 {path}; if others have had access, delete it and enrol again.",
        )
    words = path.read_text(encoding="ascii", errors="replace").split()
    if len(words) != 2 or not all(_Z85.match(w) for w in words):
        raise FileError(
            "is damaged", where=str(path), remedy="Delete it and enrol the computers again."
        )
    if zmq.curve_public(words[1].encode()).decode() != words[0]:
        raise FileError(
            "holds two keys that do not belong together",
            where=str(path),
            remedy="Delete it and enrol the computers again.",
        )
    return KeyPair(words[0], words[1])


def trusted_keys(folder: Path) -> dict[str, str]:
    """Return the public keys of the computers this one was enrolled with, by name.

    Raises:
        FileError: When one of the files holds no key.
    """
    return {
        path.stem: check_key(path.read_text(encoding="ascii", errors="replace"), str(path))
        for path in sorted((folder / "trusted").glob("*.pub"))
        if is_name(path.stem)
    }


def trust(folder: Path, name: str, public: str) -> Path:
    """Keep a computer's public key under its name; an older key of that name is replaced.

    Raises:
        LabError: For a name that is not letters, digits, _ and -.
        FileError: For a key that is none.
    """
    if not is_name(name):
        raise LabError(
            f'"{name}" cannot name a computer',
            remedy="Use letters, digits, _ and -, at most 48.",
        )
    key = check_key(public, name)
    _make_private(folder)
    _make_private(folder / "trusted")
    path = folder / "trusted" / f"{name}.pub"
    write_atomically(path, f"{key}\n".encode())
    return path


def distrust(folder: Path, name: str) -> bool:
    """Forget a computer; whether it was known."""
    if not is_name(name):
        return False
    path = folder / "trusted" / f"{name}.pub"
    known = path.exists()
    path.unlink(missing_ok=True)
    return known


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if os.name == "posix":
        folder.chmod(0o700)


def _write_private(path: Path, content: str) -> None:
    """Write a secret under a name so that nobody else could read it at any moment."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
