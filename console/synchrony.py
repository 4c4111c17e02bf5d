"""What a recording says of its own frames and clocks: sync.json beside its videos."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec

from lab.errors import FileError, RefusedError
from lab.rig import Rig

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
    sync = _read(folder)
    if sync is None:
        return {}, ()
    figures = {k: float("nan") if v is None else v for k, v in sync.figures.items()}
    return figures, tuple(f"the recording is unfit: {reason}" for reason in _why_unfit(sync))


def unfit_recordings(files: Iterable[Path]) -> dict[Path, tuple[str, ...]]:
    """Return why recordings are unfit, by their folders; those that are fit are not there.

    Args:
        files: Of one recording or several: their videos, or what lies beside them.

    Raises:
        FileError: When a sync.json is there and damaged.
    """
    folders = dict.fromkeys(file.parent for file in files)
    found = {folder: _read(folder) for folder in folders}
    return {f: _why_unfit(sync) for f, sync in found.items() if sync is not None and not sync.fit}


def refuse_unfit(files: Iterable[Path], otherwise: str = "") -> None:
    """Raise RefusedError where a recording of the board is unfit: no rig is made from it.

    Args:
        files: Of one recording or several: as for `unfit_recordings`.
        otherwise: How it can be used all the same.

    Raises:
        RefusedError: With every reason.
        FileError: When a sync.json is there and damaged.
    """
    unfit = unfit_recordings(files)
    if unfit:
        raise RefusedError(
            "the recording is unfit: "
            + "; ".join(r for reasons in unfit.values() for r in reasons),
            where=", ".join(str(folder) for folder in unfit),
            remedy=f"Record it again. {otherwise}".strip(),
        )


def refuse_rig(rig: Rig, files: Iterable[Path]) -> Rig:
    """Return the rig, refused where a recording that it was made from is unfit."""
    reasons = tuple(
        f"the recording {folder.resolve().name} is unfit and was used all the same: {reason}"
        for folder, why in unfit_recordings(files).items()
        for reason in why
    )
    if not reasons:
        return rig
    quality = replace(rig.quality, accepted=False, reasons=(*reasons, *rig.quality.reasons))
    return replace(rig, quality=quality)


def _read(folder: Path) -> _Sync | None:
    path = folder / SYNC_FILE
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Sync)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FileError(
            f"is damaged ({error})",
            where=str(path),
            remedy="Take it from the recording again; without it the times have no interval.",
        ) from error


def _why_unfit(sync: _Sync) -> tuple[str, ...]:
    return () if sync.fit else sync.reasons or ("it was marked so",)
