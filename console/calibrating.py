"""A calibration as the console makes it: what is there of it, and the verb that solves it.

A rig's folder holds the recordings `calibrate` and `floor` as capture lands them, and, once solved,
calibration.h5.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np

from calibration.board import Board
from console.lab_folder import BOARDS, RIG_FILE, find_rigs, read_lab
from console.synchrony import refuse_unfit, sync_files, unfit_recordings
from lab.atomic import write_atomically
from lab.errors import FileError, LabError
from lab.rig import Rig
from lab.store import load_rig

MOVED, FLOOR = "calibrate", "floor"
# Written by capture/landing.py, which is long to import: what landed has it.
TIMES, SOLVE_TIMES = "times.csv", "solve-times.csv"
# Neighbouring frames of a board that is carried say nearly the same: a few a second are solved.
SOLVE_HZ = 6.0
FLOOR_HZ = 2.0


@dataclass(frozen=True, slots=True)
class BoardChoice:
    """A board that can be chosen; without `board` its file cannot be read, and `words` say why."""

    name: str
    path: Path
    words: str
    board: Board | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RigState:
    """How a calibration stands.

    Attributes:
        folder: Of the rig.
        moved, lying: Whether the two recordings are there.
        rig: None before it is solved.
        age_days: Since it was solved; NaN before.
        fault: Why its file cannot be read.
        solved_s: When its file was written, s since the epoch; 0 where there is none.
        unfit: Why no rig is made from a recording that is there, by its name.
    """

    folder: Path
    moved: bool
    lying: bool
    rig: Rig | None
    age_days: float
    fault: str = ""
    solved_s: float = 0.0
    unfit: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def to_record(self) -> str:
        """The recording that is to be made next; empty where both are there and fit."""
        there = {MOVED: self.moved, FLOOR: self.lying}
        return next((k for k, done in there.items() if not done or k in self.unfit), "")

    @property
    def path(self) -> Path:
        """Of its file, there or not."""
        return self.folder / RIG_FILE

    @property
    def accepted(self) -> bool:
        """Whether it is solved and may be used for patients."""
        return self.rig is not None and self.rig.quality.accepted

    @property
    def made(self) -> str:
        """When it was solved, to the minute; empty before."""
        return "" if self.rig is None else self.rig.created[:16].replace("T", " ")


def boards(lab: Path) -> list[BoardChoice]:
    """Return the boards that can be chosen: the lab's own first, then those of gaitlab."""
    own = sorted((lab / BOARDS).glob("*.toml"))
    carried = resources.files("configs") / "boards"
    files = [*own, *sorted(Path(str(f)) for f in carried.iterdir() if f.name.endswith(".toml"))]
    found: dict[str, BoardChoice] = {}
    for path in files:
        if path.stem in found:
            continue
        try:
            board = Board.from_toml(path)
        except LabError as error:
            found[path.stem] = BoardChoice(path.stem, path, f"cannot be read: {error.what}")
            continue
        found[path.stem] = BoardChoice(path.stem, path, board.words(), board)
    chosen = read_lab(lab).board
    return sorted(found.values(), key=lambda b: b.name != chosen)


def rig_state(folder: Path) -> RigState:
    """Say how a calibration stands, from its folder."""
    moved, lying = ((folder / k / TIMES).is_file() for k in (MOVED, FLOOR))
    unfit = {k: why for k in (MOVED, FLOOR) if (why := _why_unfit(folder / k))}
    path = folder / RIG_FILE
    if not path.is_file():
        return RigState(folder, moved, lying, None, float("nan"), unfit=unfit)
    found = path.stat()
    try:
        rig = _load(path, found.st_mtime_ns, found.st_size)
    except FileError as error:
        return RigState(folder, moved, lying, None, float("nan"), str(error), unfit=unfit)
    age_days = _age_days(rig, path)
    return RigState(folder, moved, lying, rig, age_days, solved_s=found.st_mtime, unfit=unfit)


def _why_unfit(take: Path) -> tuple[str, ...]:
    try:
        return unfit_recordings([take / TIMES]).get(take, ())
    except FileError as error:
        return (str(error),)


@lru_cache(maxsize=32)
def _load(path: Path, mtime_ns: int, size: int) -> Rig:
    """Read a rig; of one that is the same file still, nothing is read again."""
    return load_rig(path)


def rig_in_use(lab: Path) -> RigState | None:
    """Return the newest accepted rig, or the newest where none is accepted; None without any."""
    newest = None
    for path in find_rigs(lab):
        state = rig_state(path.parent)
        newest = newest or state
        if state.accepted:
            return state
    return newest


def solve_verb(folder: Path, board: Path, into: str = RIG_FILE) -> tuple[str, ...]:
    """Return the verb that solves a calibration.

    Args:
        folder: Of the rig.
        board: Its file.
        into: Name of the file in the folder that is written.

    Raises:
        LabError: When a recording is not there, or unfit.
    """
    moved, lying = folder / MOVED, folder / FLOOR
    for take, what in ((moved, "the board carried about"), (lying, "the board on the floor")):
        if not (take / TIMES).is_file():
            raise LabError(f"{what} is not recorded yet", where=str(take), remedy="Record it.")
    refuse_unfit([moved / TIMES, lying / TIMES])
    words = ["calibrate", *(str(p) for p in sorted(moved.glob("*.mkv")))]
    words += ["--board", str(board), "--times", str(moved / TIMES)]
    for film in sorted(lying.glob("*.mkv")):
        words += ["--floor", str(film)]
    return (*words, "-o", str(folder / into))


def solve_times(times: Path | None) -> Path | None:
    """Return the times of the frames that are solved.

    Of a captured recording they are a few instants a second, written beside its times file:
    neighbouring frames repeat each other's errors, which is no chance. Other times stay.
    """
    if times is None or not sync_files(times.parent):
        return times
    thinned = times.with_name(SOLVE_TIMES)
    thin_times(times, thinned, SOLVE_HZ)
    return thinned


def thin_times(times: Path, into: Path, rate_hz: float) -> int:
    """Keep of a times file a few frames a second, of every camera those of the same instants.

    The first camera's frames nearest to a grid are kept, and of the others those nearest to them:
    so that cameras with a common shutter keep the very frames that were exposed together.

    Returns:
        How many instants are kept.

    Raises:
        FileError: When the times file cannot be read.
    """
    rows: dict[str, list[tuple[int, float]]] = {}
    try:
        with times.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                rows.setdefault(row["camera"], []).append((int(row["frame"]), float(row["t"])))
    except (OSError, KeyError, ValueError) as error:
        raise FileError(f"cannot be read ({error})", where=str(times)) from error
    if not rows:
        raise FileError("lists no frame", where=str(times), remedy="Record it again.")
    first = max(r[0][1] for r in rows.values())
    last = min(r[-1][1] for r in rows.values())
    grid = np.arange(first, last, 1.0 / rate_hz)
    kept = ["camera,frame,t"]
    lead = np.array([x for _, x in next(iter(rows.values()))])
    instants = lead[sorted({int(np.abs(lead - g).argmin()) for g in grid})]
    for camera, frames in rows.items():
        t = np.array([x for _, x in frames])
        nearest = sorted({int(np.abs(t - at).argmin()) for at in instants})
        kept += [f"{camera},{frames[i][0]},{frames[i][1]:.9f}" for i in nearest]
    write_atomically(into, ("\n".join(kept) + "\n").encode())
    return len(instants)


def camera_sigmas_mm(rig: Rig) -> Mapping[str, float]:
    """Return how well each camera's place is known, mm; NaN where not known."""
    return {
        name: float(own.get("position_sigma_mm", float("nan")))
        for name, own in ((c.name, rig.quality.cameras.get(c.name, {})) for c in rig.cameras)
    }


def relative_rig(rig: Path, session: Path) -> Path:
    """Return a rig's path as a session names it."""
    return Path(os.path.relpath(rig, session))


def _age_days(rig: Rig, path: Path) -> float:
    try:
        made = datetime.fromisoformat(rig.created)
    except ValueError:
        made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    made = made if made.tzinfo else made.replace(tzinfo=UTC)
    return (datetime.now(UTC) - made).total_seconds() / 86400
