"""The recordings on a node's disk: named, listed, read by pieces, deleted only when confirmed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from capture.control import FILE_PATTERN, Confirmed, FileEntry
from capture.wire import is_name
from lab.errors import LabError

_FILE = re.compile(FILE_PATTERN)


class Shelf:
    """One folder with a folder for each trial. Nothing outside it can be named."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._sums: dict[tuple[Path, int, int], str] = {}

    def new_trial(self, trial: str) -> Path:
        """Make the folder of a trial.

        Raises:
            LabError: When the trial has files already.
        """
        folder = self._folder(trial)
        if folder.exists() and any(folder.iterdir()):
            raise LabError(
                f'the node already holds a trial "{trial}"',
                remedy="Collect and delete it, or choose another name.",
            )
        folder.mkdir(exist_ok=True)
        return folder

    def drop_empty(self, trial: str) -> None:
        """Remove the folder of a trial that recorded nothing."""
        folder = self._folder(trial)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def files(self, trial: str | None, busy: str) -> list[FileEntry]:
        """Return the files of one trial or all, without those of the trial being recorded."""
        trials = sorted(p.name for p in self.folder.iterdir() if p.is_dir() and is_name(p.name))
        return [
            FileEntry(name, path.name, path.stat().st_size, self._sha256(path))
            for name in trials
            if name != busy and trial in (None, name)
            for path in sorted((self.folder / name).iterdir())
            if _FILE.match(path.name) and path.is_file() and not path.is_symlink()
        ]

    def read(self, trial: str, file: str, offset: int, length: int) -> tuple[bytes, str, int]:
        """Return a piece of a file, its checksum, and the size of the whole.

        Raises:
            LabError: When there is no such file, or the offset lies behind its end.
        """
        path = self._path(trial, file)
        size = path.stat().st_size
        if offset > size:
            raise LabError(f"{file} has {size} bytes; {offset} lies behind its end", where=trial)
        with path.open("rb") as opened:
            opened.seek(offset)
            piece = opened.read(length)
        return piece, hashlib.sha256(piece).hexdigest(), size

    def delete(self, trial: str, files: Sequence[Confirmed]) -> None:
        """Delete files that the lab has whole: all that it names, or none.

        Raises:
            LabError: When what it has is not what is here.
        """
        paths = [(self._path(trial, f.file), f.sha256) for f in files]
        for path, sha256 in paths:
            if self._sha256(path) != sha256:
                raise LabError(
                    f"{path.name} differs from what was collected; nothing was deleted",
                    where=trial,
                    remedy="Collect it again.",
                )
        for path, _ in paths:
            path.unlink()
        self.drop_empty(trial)

    def _folder(self, trial: str) -> Path:
        if not is_name(trial):
            raise LabError("a trial's name is letters, digits, _ and -, at most 48")
        return self.folder / trial

    def _path(self, trial: str, file: str) -> Path:
        if not _FILE.match(file):
            raise LabError("that is not the name of a recording")
        path = self._folder(trial) / file
        if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
            raise LabError(f"the node has no file {trial}/{file}", remedy="List the files again.")
        return path

    def _sha256(self, path: Path) -> str:
        status = path.stat()
        key = (path, status.st_size, status.st_mtime_ns)
        known = self._sums.get(key)
        if known is None:
            with path.open("rb") as file:
                known = hashlib.file_digest(file, "sha256").hexdigest()
            self._sums[key] = known
        return known
