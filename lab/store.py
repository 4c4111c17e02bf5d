"""Trial and Rig <-> HDF5; the layout is described in docs/file-formats.md."""

# h5py carries no type information.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lab.atomic import write_atomically
from lab.board_views import CameraViews
from lab.errors import FileError
from lab.rig import Rig
from lab.store_fields import MismatchError, read_fields, write_fields
from lab.trial import Trial

TRIAL_FORMAT = "gaitlab.trial"
RIG_FORMAT = "gaitlab.rig"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The fields of a trial that say what became of it."""

    accepted: bool
    reasons: tuple[str, ...]


_WORDS = {TRIAL_FORMAT: "trial", RIG_FORMAT: "rig"}
_MAKE_AGAIN = {
    TRIAL_FORMAT: "Make it again with `gaitlab process` on the trial folder, or take it from a "
    "backup.",
    RIG_FORMAT: "Make it again with `gaitlab calibrate`, or take it from a backup.",
}
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def save_trial(trial: Trial, path: Path | str) -> None:
    """Write a trial, whole or not at all. The same trial gives the same bytes.

    Raises:
        FileError: When the file cannot be written; what was there before is untouched.
        ValueError: For text that HDF5 cannot hold (a NUL character).
    """
    write_atomically(path, _image(trial, TRIAL_FORMAT))


def load_trial(path: Path | str) -> Trial:
    """Read a trial.

    Raises:
        FileError: When there is no such file, or it is not a whole and valid trial.
    """
    return _load(Path(path), TRIAL_FORMAT, Trial)


def load_verdict(path: Path | str) -> tuple[bool, tuple[str, ...]]:
    """Read whether a stored trial is accepted, and its reasons, without its data.

    Raises:
        FileError: As of `load_trial`.
    """
    verdict = _load(Path(path), TRIAL_FORMAT, _Verdict)
    return verdict.accepted, verdict.reasons


def save_rig(rig: Rig, path: Path | str, views: Sequence[CameraViews] = ()) -> None:
    """Write a rig, whole or not at all. The same rig gives the same bytes.

    Args:
        rig: The rig.
        path: The file.
        views: What its cameras saw of the board; kept beside the rig for those who look at it.

    Raises:
        FileError: When the file cannot be written; what was there before is untouched.
        ValueError: For text that HDF5 cannot hold (a NUL character).
    """
    write_atomically(path, _image(rig, RIG_FORMAT, tuple(views)))


def load_rig(path: Path | str) -> Rig:
    """Read a rig.

    Raises:
        FileError: When there is no such file, or it is not a whole and valid rig.
    """
    return _load(Path(path), RIG_FORMAT, Rig)


def load_views(path: Path | str) -> tuple[CameraViews, ...]:
    """Read what the cameras of a stored rig saw of the board; empty where that was not kept.

    Raises:
        FileError: When there is no such file, or it is not a whole and valid rig.
    """
    return _load(Path(path), RIG_FORMAT, _Views).board_views


@dataclass(frozen=True, slots=True)
class _Views:
    """The one field of a rig's file that `Rig` does not have."""

    board_views: tuple[CameraViews, ...]


def _image(value: Any, file_format: str, views: tuple[CameraViews, ...] = ()) -> bytes:
    """Return the bytes of the HDF5 file, built in memory, without times of day in it."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(1 << 20, False)
    # From this version on HDF5 protects its own structures with checksums.
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    identifier = h5py.h5f.create(b"in memory", h5py.h5f.ACC_TRUNC, creation, access)
    with h5py.File(identifier) as file:
        file.attrs["format"] = file_format
        file.attrs["schema"] = np.int64(SCHEMA)
        write_fields(file, value)
        if views:
            write_fields(file, _Views(views))
        file.flush()
        return identifier.get_file_image()


def _load(path: Path, file_format: str, kind: type) -> Any:
    where = str(path)
    try:
        _check_signature(path)
        with h5py.File(path, "r") as file:
            _check_header(file, where, file_format)
            if kind is _Views and "board_views" not in file:
                return _Views(())
            return read_fields(file, kind)
    except MismatchError as error:
        raise FileError(
            f"the {_WORDS[file_format]} in this file is damaged: {error}",
            where=where,
            remedy=_MAKE_AGAIN[file_format],
        ) from error
    # What HDF5 raises for a file that is cut short or whose checksums do not fit.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise FileError(
            f"the file is truncated or damaged ({_one_line(error)})",
            where=where,
            remedy=_MAKE_AGAIN[file_format],
        ) from error


def _check_signature(path: Path) -> None:
    """Tell apart a file that is not there, not readable, empty, and not HDF5."""
    where = str(path)
    try:
        with path.open("rb") as file:
            start = file.read(len(_SIGNATURE))
    except FileNotFoundError as error:
        raise FileError("no such file", where=where, remedy="Check the name.") from error
    except OSError as error:
        raise FileError(
            f"cannot be read ({error.strerror or error})",
            where=where,
            remedy="Check that it is a file and that you may read it.",
        ) from error
    if not start:
        raise FileError(
            "the file is empty", where=where, remedy="Make it again, or take it from a backup."
        )
    if not _SIGNATURE.startswith(start):
        raise FileError(
            "not an HDF5 file", where=where, remedy="Name the .h5 file that gaitlab wrote."
        )


def _check_header(file: Any, where: str, file_format: str) -> None:
    wanted = _WORDS[file_format]
    found = file.attrs.get("format")
    if not isinstance(found, str) or found != file_format:
        held = _WORDS.get(found) if isinstance(found, str) else None
        raise FileError(
            f"holds a {held}, expected a {wanted}"
            if held
            else "an HDF5 file, but not one that gaitlab wrote",
            where=where,
            remedy=f"Name the file of a {wanted}.",
        )
    schema = file.attrs.get("schema")
    if not isinstance(schema, np.integer) or schema < 1:
        raise MismatchError("the attribute 'schema' is missing or wrong")
    if schema > SCHEMA:
        raise FileError(
            f"written by a newer gaitlab: layout version {schema}, this program reads up to "
            f"{SCHEMA}",
            where=where,
            remedy="Update gaitlab.",
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
