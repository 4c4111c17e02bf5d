"""Recordings from a node to the lab: by pieces, each checked, resumed after a break."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from capture.control import Confirmed, Delete, Done, FileEntry, Files, ListFiles, Piece, ReadPiece
from capture.link import NodeLink, SilentNodeError
from capture.watch import NodeAddress
from lab.errors import FileError, LabError

_PIECE_BYTES = 1024 * 1024
_TRIES = 3

Answer = TypeVar("Answer")
Progress = Callable[[int, int, str], None]


def collect_trial(
    address: NodeAddress,
    trial: str,
    folder: Path,
    *,
    patience_s: float = 60.0,
    progress: Progress = lambda done, total, what: None,
) -> list[FileEntry]:
    """Bring every file of one trial into a folder; files that are there whole are not sent again.

    Args:
        address: Of the node.
        trial: Its name on the node.
        folder: Made when it does not exist.
        patience_s: How long the node may stay silent.
        progress: Called with bytes done, bytes in all, and what.

    Returns:
        What the node holds of this trial, each file verified here by its checksum.

    Raises:
        LabError: When the node stays silent, or a file cannot be had whole; what came is kept and
            the next call goes on from there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with address.link(timeout_s=3.0) as link:
        patience = _Patience(address.name, patience_s)
        files = patience.ask(lambda: link.ask(ListFiles(trial), Files).files)
        total = sum(f.size for f in files)
        done = 0
        for entry in files:
            before = done
            _fetch(
                link,
                entry,
                folder,
                patience,
                lambda n, at=before: progress(at + n, total, f"collecting {trial}"),
            )
            done += entry.size
        return files


def release_trial(address: NodeAddress, trial: str, folder: Path) -> None:
    """Tell the node that it may delete what the lab has whole, read back from the lab's disk.

    Raises:
        LabError: When the node is silent or holds something else; nothing is deleted then.
    """
    with address.link(timeout_s=10.0) as link:
        files = link.ask(ListFiles(trial), Files).files
        confirmed = []
        for entry in files:
            path = folder / entry.file
            if not path.is_file() or _sha256(path) != entry.sha256:
                raise LabError(
                    f"{entry.file} of {trial} is not here whole, so that the node keeps it",
                    where=str(path),
                    remedy="Collect the trial again.",
                )
            confirmed.append(Confirmed(entry.file, entry.sha256))
        if confirmed:
            link.ask(Delete(trial, confirmed), Done)


class _Patience:
    """Asks again while a node is silent, for so long and no longer."""

    def __init__(self, node: str, patience_s: float) -> None:
        self._node, self._patience_s = node, patience_s

    def ask(self, question: Callable[[], Answer]) -> Answer:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return question()
            except SilentNodeError as silence:
                if time.monotonic() >= deadline:
                    raise LabError(
                        f"node {self._node} stayed silent for {self._patience_s:.0f} s while its "
                        "files were collected",
                        remedy="Nothing is lost: it keeps them. Mend the connection and run the "
                        "same command again; it goes on where it stopped.",
                    ) from silence


def _fetch(
    link: NodeLink,
    entry: FileEntry,
    folder: Path,
    patience: _Patience,
    progress: Callable[[int], None],
) -> None:
    target = folder / entry.file
    if target.is_file() and target.stat().st_size == entry.size and _sha256(target) == entry.sha256:
        progress(entry.size)
        return
    part = folder / f".{entry.file}.part"
    for _ in range(_TRIES):
        try:
            _fill(link, entry, part, patience, progress)
            if _sha256(part) == entry.sha256:
                part.replace(target)
                return
            part.unlink()  # what was there from before belongs to another recording
        except OSError as error:
            raise FileError(
                f"cannot be written ({error.strerror or error})",
                where=str(part),
                remedy="Make space on the lab's disk and run the same command again.",
            ) from error
    raise LabError(
        f"{entry.file} arrived {_TRIES} times with another checksum than it has on the node",
        where=str(target),
        remedy="Check the node's disk and memory; the node keeps the file.",
    )


def _fill(
    link: NodeLink,
    entry: FileEntry,
    part: Path,
    patience: _Patience,
    progress: Callable[[int], None],
) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have > entry.size:
        part.unlink()
        have = 0
    with part.open("ab") as file:
        while have < entry.size:
            request = ReadPiece(entry.trial, entry.file, have, min(_PIECE_BYTES, entry.size - have))
            reply, payload = patience.ask(lambda r=request: link.ask_with_payload(r, Piece))
            if hashlib.sha256(payload).hexdigest() != reply.sha256 or not len(payload):
                return  # what is here now fails the checksum of the whole, and is asked for again
            file.write(payload)
            have += len(payload)
            progress(have)
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
