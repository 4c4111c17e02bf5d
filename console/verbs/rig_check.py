"""gaitlab rig check: whether a stored rig still stands."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from calibration.board import Board
from calibration.check import CameraCheck, RigCheck, check_rig
from calibration.detect import cameras_of, detect_videos, video_size
from calibration.detect_cache import cache_folder
from console.calibrating import solve_times
from console.progress import counts
from console.synchrony import refuse_unfit
from console.terminal import REFUSED, out, write_json
from console.verbs.calibrate import BoardFile, TimesFile
from console.verbs.options import AsJson, Cache, to_write
from lab.errors import LabError
from lab.store import load_rig, save_rig

_VIDEOS = frozenset((".mp4", ".mkv", ".avi", ".mov", ".m4v", ".mts", ".ts", ".webm"))


def check(
    recording: Annotated[
        list[Path], typer.Argument(help="Videos, one a camera and named after it, or their folder.")
    ],
    rig: Annotated[Path, typer.Option("--rig", help="The stored rig, RIG.h5.")],
    board: BoardFile,
    still: Annotated[
        bool,
        typer.Option("--still", help="The board lay still, for example on the floor."),
    ] = False,
    times: TimesFile = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            callback=to_write,
            help="Where to write the rig with what moved solved anew.",
        ),
    ] = None,
    cache: Cache = True,
    json: AsJson = False,
) -> int:
    """Check a stored rig against a fresh recording of the board: did a camera move?

    Wave the board for a minute where several cameras see it, or lay it on the floor (--still). A
    camera that moved is solved anew against the others, which are kept, and written with -o.
    Exit status 1 when anything changed.
    """
    stored, plate = load_rig(rig), Board.from_toml(board)
    files = cameras_of(_videos_of(recording))
    refuse_unfit(files.values())
    for name, path in files.items():
        if name in stored.names and video_size(path) != stored.camera(name).size_px:
            width, height = stored.camera(name).size_px
            raise LabError(
                f"the video is {video_size(path)[0]} x {video_size(path)[1]}, the rig was "
                f"calibrated with {width} x {height}",
                where=str(path),
                remedy="Record with the camera settings of the calibration.",
            )
    with counts() as progress:
        seen = detect_videos(
            files,
            plate,
            times=solve_times(times),
            progress=progress,
            cache=cache_folder() if cache else None,
        )
    verdict = check_rig(stored, seen, plate, still=still)
    written = output if verdict.moved else None
    if written is not None:
        save_rig(verdict.rig, written)
    if json:
        write_json(_result(verdict, rig, written))
    else:
        _show(verdict, written, output is not None)
    return 0 if verdict.stands else REFUSED


def _videos_of(given: list[Path]) -> list[Path]:
    """Return the videos named, and those in the folders named."""
    videos: list[Path] = []
    for path in given:
        inside = [path]
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in _VIDEOS)
        if not inside:
            raise LabError("no video is in this folder", where=str(path))
        videos += inside
    return videos


def _sentences(verdict: RigCheck) -> list[str]:
    """Say in words what the check found, what is wrong first."""
    said = []
    for one in verdict.cameras:
        if one.moved:
            said.append(
                f"{one.camera} has moved by {one.shift_mm:.1f} ± {1.96 * one.shift_sigma_mm:.1f} "
                f"mm and turned by {one.turn_deg:.2f} degrees ({_chance(one.p_value)})"
            )
        elif one.refocused:
            said.append(
                f"the lens of {one.camera} was turned: its focal length is "
                f"{100 * one.focal_change:+.2f} % different ({_chance(one.p_value)}); calibrate "
                "the rig again"
            )
    if not verdict.explained:
        beyond = " beyond that" if said else ""
        said.append(
            f"the views contradict the stored rig{beyond}, and no one camera's move explains it "
            f"({_chance(verdict.p_left)}): did several move, are the times right, is it the right "
            "board? Calibrate the rig again"
        )
    blind = [one.camera for one in verdict.cameras if not one.views]
    if blind:
        said.append(f"nothing is known of {', '.join(blind)}: not seen together with other cameras")
    return said


def _chance(p_value: float) -> str:
    if p_value > 1e-3:
        return f"p = {p_value:.3f}"
    return f"p = {p_value:.0e}" if p_value > 1e-15 else "p < 1e-15"


def _show(verdict: RigCheck, written: Path | None, wanted: bool) -> None:
    if verdict.stands:
        out.print("✓ the rig stands: no camera has moved", style="bold green")
    else:
        out.print("✗ the rig does not stand as stored", style="bold red")
    for line in _sentences(verdict):
        out.print(f"  - {line}", markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("camera", "views", "shift mm ± 95 %", "turn deg", "p", ""):
        table.add_column(name, justify="left" if name in ("camera", "") else "right")
    for one in verdict.cameras:
        table.add_row(one.camera, str(one.views), *_cells(one))
    out.print(table)
    out.print(f"all cameras together: {_chance(verdict.p_value)}", markup=False)
    if written is not None:
        state = "accepted" if verdict.rig.quality.accepted else "REFUSED"
        out.print(f"rig  {written}  ({state}; only {', '.join(verdict.moved)} solved anew)")
        if not verdict.rig.quality.accepted:
            for line in verdict.rig.quality.reasons:
                out.print(f"  - {line}", markup=False)
    elif wanted:
        out.print("no camera is known to have moved, so no rig was written")


def _cells(one: CameraCheck) -> tuple[str, str, str, str]:
    if not one.views:
        return "", "", "", "not seen with others"
    state = "MOVED" if one.moved else "LENS TURNED" if one.refocused else "stands"
    shift = f"{one.shift_mm:.1f} ± {1.96 * one.shift_sigma_mm:.1f}"
    return shift, f"{one.turn_deg:.2f}", f"{one.p_value:.2g}", state


def _result(verdict: RigCheck, rig: Path, written: Path | None) -> dict[str, Any]:
    return {
        "rig": str(rig),
        "stands": verdict.stands,
        "moved": list(verdict.moved),
        "refocused": list(verdict.refocused),
        "explained": verdict.explained,
        "p_value": verdict.p_value,
        "p_left": verdict.p_left,
        "said": _sentences(verdict),
        "cameras": {
            one.camera: {
                "views": one.views,
                "moved": one.moved,
                "refocused": one.refocused,
                "shift_mm": one.shift_mm,
                "shift_sigma_mm": one.shift_sigma_mm,
                "turn_deg": one.turn_deg,
                "focal_change": one.focal_change if one.refocused else math.nan,
                "p_value": one.p_value,
            }
            for one in verdict.cameras
        },
        "written": None if written is None else str(written),
        "written_accepted": verdict.rig.quality.accepted if written is not None else None,
    }
