"""How a result came to be: software, time, configuration, and the files it was read from."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from lab.errors import FileError
from lab.trial import InputFile, Provenance


def software() -> str:
    """Return the product's name and version."""
    return f"gaitlab {importlib.metadata.version('gaitlab')}"


def now() -> str:
    """Return the time in ISO 8601, UTC, to the second.

    SOURCE_DATE_EPOCH, where set, stands for the clock, so that a result can be remade to the byte.
    """
    stated = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(stated), UTC) if stated else datetime.now(UTC)
    return moment.isoformat(timespec="seconds")


def trace(folder: Path, files: Iterable[Path], configuration: str) -> Provenance:
    """Return the provenance of a result made in `folder` from these files.

    Raises:
        FileError: When a file cannot be read.
    """
    inputs = []
    for path in files:
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as fault:
            raise FileError(
                f"cannot be read ({fault.strerror})", where=str(path), remedy="Check the path."
            ) from fault
        inputs.append(InputFile(os.path.relpath(path, folder), digest))
    return Provenance(software(), now(), configuration, tuple(inputs))
