"""TOML files: read into a struct that says what may stand in them, and written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
import tomli_w

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


def toml_bytes(content: object, note: str) -> bytes:
    """Return what stands in a TOML file.

    Args:
        content: A msgspec struct or a mapping; what is None or empty in it is left out.
        note: A line or more above it, for whoever opens the file.
    """
    head = "".join(f"# {line}\n" for line in note.splitlines())
    return (head + "\n" + tomli_w.dumps(_stated(msgspec.to_builtins(content)))).encode()


def _stated(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table without what TOML has no word for: nothing, and empty tables and lists."""
    stated = {key: _without_nothing(value) for key, value in table.items()}
    return {key: value for key, value in stated.items() if value not in (None, {}, [])}


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return _stated(cast("dict[str, Any]", value))
    if isinstance(value, list | tuple):
        return [_without_nothing(row) for row in cast("list[Any]", value)]
    return value
