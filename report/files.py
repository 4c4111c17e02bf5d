"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab.errors import FileError


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, then put it in its place in one step.

    Args:
        path: Where the file ends up; an older one stays until the new one is whole.
        write: Gets the path to write to, with the same suffix.

    Raises:
        FileError: When the folder is missing or the file cannot be written.
    """
    beside: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-", suffix=path.suffix)
        os.close(handle)
        beside = Path(name)
        write(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        beside.chmod(0o666 & ~mask)
        beside.replace(path)
    except OSError as error:
        raise FileError(
            f"cannot be written ({error.strerror or error})",
            where=str(path),
            remedy="Check that the folder exists, may be written to, and has room.",
        ) from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)
