"""What the recording of a trial says of its own clocks: sync.json beside trial.toml."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lab.errors import FileError

SYNC_FILE = "sync.json"


class _Sync(msgspec.Struct, frozen=True):
    fit: bool
    reasons: tuple[str, ...]
    figures: dict[str, float | None]


def sync_files(folder: Path) -> list[Path]:
    """Return sync.json where a trial has one: an input of it."""
    return [folder / SYNC_FILE] if (folder / SYNC_FILE).is_file() else []


def read_synchrony(folder: Path) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the figures of a captured trial, and why it is unfit; nothing where there are none.

    Raises:
        FileError: When sync.json is there and damaged.
    """
    path = folder / SYNC_FILE
    if not path.is_file():
        return {}, ()
    try:
        sync = msgspec.json.decode(path.read_bytes(), type=_Sync)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FileError(
            f"is damaged ({error})",
            where=str(path),
            remedy="Take it from the recording again; without it the times have no interval.",
        ) from error
    reasons = () if sync.fit else sync.reasons or ("the recording was marked unfit",)
    figures = {k: float("nan") if v is None else v for k, v in sync.figures.items()}
    return figures, tuple(f"the recording is unfit: {reason}" for reason in reasons)
