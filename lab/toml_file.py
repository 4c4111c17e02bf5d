"""Reading a TOML file into a struct that says what may stand in it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from lab.errors import FileError

T = TypeVar("T")


def read_toml(path: Path, kind: type[T], what: str, remedy: str) -> T:
    """Return a file's content as `kind`.

    Args:
        path: The file.
        kind: A msgspec struct.
        what: What the file should be, as in "is not a list of nodes".
        remedy: What to do where it is not.

    Raises:
        FileError: When the file is missing, not readable, not TOML, or holds something else.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise FileError(
            f"cannot be read ({error.strerror or error})",
            where=str(path),
            remedy="Check the path and the rights to it.",
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        why = str(error).replace("`", "")
        raise FileError(f"is not {what} ({why})", where=str(path), remedy=remedy) from error
