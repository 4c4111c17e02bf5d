"""Corners found once are kept, by what they were found in and how.

The key is the content of the video, the board as printed, the frames asked for and the version of
the detector; nothing in the cache needs to be trusted or kept: it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.board import Board
from lab.atomic import write_atomically
from lab.checks import FloatArray
from lab.errors import FileError

# To be raised with every change that moves a corner or its covariance.
DETECTOR_VERSION = 3


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What was found in a video: times (T,) s, corners (T, K, 2) px, covariances (T, K, 2, 2)."""

    t: FloatArray
    xy_px: FloatArray
    cov_px: FloatArray


def cache_folder() -> Path:
    """Return the folder of the cache: GAITLAB_CACHE, or the user's own place for such files."""
    named = os.environ.get("GAITLAB_CACHE")
    if named:
        return Path(named) / "corners"
    home = Path.home()
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
    elif sys.platform == "darwin":
        root = home / "Library" / "Caches"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME", home / ".cache"))
    return root / "gaitlab" / "corners"


def cache_key(video: Path, board: Board, frames: Iterable[int] | None) -> str:
    """Return the key of a video's corners: a hash of all that decides them."""
    digest = hashlib.sha256()
    with video.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    # Sizes and names do not move a pixel; the marker's share of the square does.
    printed = (
        board.columns,
        board.rows,
        round(board.marker_m / board.square_m, 9),
        board.dictionary,
        board.legacy,
        board.inverted,
        board.mirrored,
        board.two_sided,
        len(board.corner_names),
    )
    asked = "all" if frames is None else sorted(frames)
    digest.update(f"|{printed}|{asked}|{DETECTOR_VERSION}".encode())
    return digest.hexdigest()


def load_found(folder: Path, key: str, corners: int) -> Found | None:
    """Return what was found before; None where there is none, or it is not whole."""
    try:
        content = io.BytesIO((folder / f"{key}.npz").read_bytes())
        with np.load(content, allow_pickle=False) as file:
            found = Found(file["t"], file["xy_px"], file["cov_px"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    count = len(found.t)
    fits = found.xy_px.shape == (count, corners, 2) and found.cov_px.shape == (
        count,
        corners,
        2,
        2,
    )
    return found if fits else None


def save_found(folder: Path, key: str, found: Found) -> None:
    """Keep what was found; a folder that cannot be written to is no fault, only slower."""
    content = io.BytesIO()
    np.savez_compressed(content, t=found.t, xy_px=found.xy_px, cov_px=found.cov_px)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / f"{key}.npz", content.getvalue())
    except (OSError, FileError):
        return
