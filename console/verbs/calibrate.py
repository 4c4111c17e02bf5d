"""gaitlab calibrate: board videos to a rig."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from calibration.advice import advise
from calibration.board import Board
from calibration.detect import cameras_of, detect_videos, video_size
from calibration.detect_cache import cache_folder
from calibration.known_length import KnownLength
from calibration.rig_calibration import calibrate as solve
from calibration.solve import Shutter
from console.calibrating import solve_times
from console.floor import find_floor
from console.progress import counts
from console.results import rig_result
from console.synchrony import refuse_rig, refuse_unfit
from console.tables import show_advice, show_rig
from console.terminal import REFUSED, write_json
from console.verbs.options import USE_UNFIT, AsJson, Cache, UseUnfit, to_write
from lab.board_views import CameraViews
from lab.errors import LabError
from lab.store import save_rig

BoardFile = Annotated[Path, typer.Option("--board", help="The board's TOML file.")]
TimesFile = Annotated[
    Path | None,
    typer.Option(
        help="camera,frame,t of every frame to use; without it the videos' own times. Of a "
        "recording by gaitlab's nodes six instants a second are solved."
    ),
]


def calibrate(
    videos: Annotated[list[Path], typer.Argument(help="One video a camera; its name names it.")],
    board: BoardFile,
    output: Annotated[
        Path, typer.Option("-o", "--output", callback=to_write, help="The rig to write, RIG.h5.")
    ],
    times: TimesFile = None,
    lens: Annotated[
        list[Path] | None,
        typer.Option(help="A further video of the board for one camera's lens; may be repeated."),
    ] = None,
    floor: Annotated[
        list[Path] | None,
        typer.Option(help="A video of the board lying on the floor; may be repeated."),
    ] = None,
    known_length: Annotated[
        list[str] | None,
        typer.Option(
            help='A distance on the board measured with a rule, "c000 c023 612.5": two inner '
            "corners, counted row by row from the top left, and mm; checks the rig's scale."
        ),
    ] = None,
    second_board: Annotated[
        Path | None,
        typer.Option(help="TOML of a second board, its square measured apart: checks the scale."),
    ] = None,
    second: Annotated[
        list[Path] | None,
        typer.Option(help="A video of the second board, one a camera; may be repeated."),
    ] = None,
    shutter: Annotated[
        Shutter,
        typer.Option(
            help="When frames of one number were taken: by one trigger (common), by each camera at "
            "times of its own (own), with rows besides read out one after the other (rolling), or "
            "found out from the views (auto).",
        ),
    ] = "auto",
    level_sigma_deg: Annotated[
        float | None,
        typer.Option(
            help="How level the floor is known to be, or how well the inclinometer reads: one "
            "standard deviation."
        ),
    ] = None,
    inclinometer_deg: Annotated[
        tuple[float, float] | None,
        typer.Option(help="What an inclinometer reads on the board: as of gaitlab rig floor."),
    ] = None,
    heading: Annotated[
        str, typer.Option(help="The board's axis along the walkway or belt: +x, -x, +y or -y.")
    ] = "+x",
    use_unfit: UseUnfit = False,
    cache: Cache = True,
    json: AsJson = False,
) -> int:
    """Calibrate lenses and camera positions from videos of a ChArUco board."""
    plate = Board.from_toml(board)
    kept = cache_folder() if cache else None
    lengths = [KnownLength.from_words(text, plate) for text in known_length or []]
    if (second_board is None) != (not second):
        raise LabError(
            "a second board needs its file and its videos",
            where="calibrate",
            remedy="Give both --second-board and --second.",
        )
    recorded = [*videos, *(lens or []), *(floor or []), *(second or [])]
    if not use_unfit:
        refuse_unfit(recorded, USE_UNFIT)
    with counts() as progress:
        files = cameras_of(videos)
        seen = detect_videos(files, plate, times=solve_times(times), progress=progress, cache=kept)
        sizes = {name: video_size(path) for name, path in files.items()}
        lens_from = None
        if lens:
            lens_from = detect_videos(cameras_of(lens), plate, progress=progress, cache=kept)
        lying = find_floor(floor, plate, progress, kept) if floor else None
        other = None
        if second_board is not None and second:
            other_plate = Board.from_toml(second_board)
            found = detect_videos(cameras_of(second), other_plate, progress=progress, cache=kept)
            other = other_plate, found
        views: list[CameraViews] = []
        rig = solve(
            seen,
            sizes,
            plate,
            floor=lying,
            level="floor"
            if inclinometer_deg is None
            else (math.radians(inclinometer_deg[0]), math.radians(inclinometer_deg[1])),
            gravity_sigma_rad=None if level_sigma_deg is None else math.radians(level_sigma_deg),
            heading=heading,
            lens_from=lens_from,
            lengths=lengths,
            second=other,
            shutter=shutter,
            progress=progress,
            on_views=views.extend,
        )
    rig = refuse_rig(rig, recorded)
    save_rig(rig, output, views)
    advice = advise(rig, views)
    if json:
        write_json({**rig_result(rig, output), "film_next": [a.text for a in advice]})
    else:
        show_rig(rig, output)
        show_advice(advice)
    return 0 if rig.quality.accepted else REFUSED
