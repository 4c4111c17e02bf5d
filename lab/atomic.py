"""Writing a file so that it is either whole or as it was before, and the folder it goes to."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from lab.errors import FileError


def write_atomically(path: Path | str, content: bytes) -> None:
    """Put content under a name: temporary file beside it, fsync, rename, fsync of the folder.

    Whatever interrupts it, the name holds the old content or the new, never a part. A symbolic
    link stays one; the file it points to is replaced.

    Raises:
        FileError: When the file cannot be written; what was there before is untouched.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise FileError(
            f"could not be written ({error.strerror or error})",
            where=str(path),
            remedy="Check that the folder exists, may be written to, and has space left.",
        ) from error


def make_folder(path: Path, remedy: str) -> Path:
    """Make a folder to write into, with those above it; return it.

    Raises:
        FileError: When that cannot be; it says the remedy.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"the folder cannot be made ({error.strerror})", where=str(path), remedy=remedy
        ) from error
    return path


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder last through a power cut, where the system can do that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
