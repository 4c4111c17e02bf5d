"""gaitlab rig: stored rigs, their floor, and the files of other systems."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from calibration.advice import advise, film_next
from calibration.board import Board
from calibration.detect_cache import cache_folder
from calibration.floor import place_floor
from calibration.formats.door import FORMATS, read_rig, write_rig_as
from calibration.pelvis import with_pelvis
from calibration.plumb import read_plumb
from calibration.quality import gate_limits
from calibration.sigma_map import room_slices
from console.floor import find_floor
from console.progress import counts
from console.results import rig_result
from console.synchrony import refuse_rig, refuse_unfit
from console.tables import show_advice, show_rig
from console.terminal import REFUSED, out, write_json
from console.verbs.calibrate import BoardFile
from console.verbs.options import USE_UNFIT, AsJson, Cache, UseUnfit, to_write
from console.verbs.rig_check import check
from lab.errors import LabError
from lab.store import load_rig, load_views, save_rig
from report.rig_page import write_rig_page

app = typer.Typer(
    help="Stored rigs, their floor, and the files of other systems.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_Rig = Annotated[Path, typer.Argument(metavar="RIG.h5", help="The stored rig.")]


@app.command("show")
def show(
    rig: _Rig,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            callback=to_write,
            help="A PDF to write: coverage and residuals of each camera, where they stand, what to "
            "film next.",
        ),
    ] = None,
    json: AsJson = False,
) -> int:
    """Show a rig's quality, and what to film next where it is poor."""
    stored = load_rig(rig)
    views = load_views(rig)
    advice = advise(stored, views)
    if output is not None:
        write_rig_page(
            stored,
            output,
            views=views,
            advice=film_next(advice),
            limits=gate_limits(max(max(camera.size_px) for camera in stored.cameras)),
            slices=room_slices(stored, "gravity_sigma_rad" in stored.quality.figures),
        )
    if json:
        page = {} if output is None else {"page": str(output)}
        write_json({**rig_result(stored, rig), "film_next": [a.text for a in advice], **page})
    else:
        show_rig(stored, rig)
        show_advice(advice)
        if output is not None:
            out.print(f"page  {output}", markup=False)
    return 0 if stored.quality.accepted else REFUSED


@app.command("floor")
def floor(
    rig: _Rig,
    videos: Annotated[list[Path], typer.Argument(help="Videos of the board lying on the floor.")],
    board: BoardFile,
    output: Annotated[
        Path, typer.Option("-o", "--output", callback=to_write, help="The rig to write.")
    ],
    level_sigma_deg: Annotated[
        float, typer.Option(help="How level the floor is known to be, one standard deviation.")
    ] = 0.1,
    level: Annotated[
        bool,
        typer.Option("--level", help="The floor is level; so it is taken without an inclinometer."),
    ] = False,
    inclinometer_deg: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="What an inclinometer reads along the board's x axis (its columns) and y axis "
            "(down its rows), positive where the axis rises; on an inclined belt it must be given."
        ),
    ] = None,
    plumb: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file with two points on a hanging line in two cameras or more: "
            "[cameras.NAME] top = [x, y], bottom = [x, y]. It tells up; the incline is measured."
        ),
    ] = None,
    heading: Annotated[
        str, typer.Option(help="The board's axis along the walkway or belt: +x, -x, +y or -y.")
    ] = "+x",
    thickness_mm: Annotated[
        float, typer.Option(help="Of the plate: the print lies so far above the floor.")
    ] = 0.0,
    use_unfit: UseUnfit = False,
    cache: Cache = True,
    json: AsJson = False,
) -> int:
    """Put the lab frame on the floor, from the board lying on it along the walkway."""
    if level + (inclinometer_deg is not None) + (plumb is not None) > 1:
        raise LabError(
            "up is told in more than one way",
            where="rig floor",
            remedy="Give one of --level, --inclinometer-deg and --plumb.",
        )
    if not use_unfit:
        refuse_unfit(videos, USE_UNFIT)
    hanging = None if plumb is None else read_plumb(plumb)
    plate = Board.from_toml(board)
    with counts() as progress:
        seen = find_floor(videos, plate, progress, cache_folder() if cache else None)
    placed = place_floor(
        load_rig(rig),
        seen,
        plate,
        level="floor"
        if inclinometer_deg is None
        else (math.radians(inclinometer_deg[0]), math.radians(inclinometer_deg[1])),
        gravity_sigma_rad=math.radians(level_sigma_deg),
        heading=heading,
        thickness_m=thickness_mm / 1000,
        plumb=hanging,
    )
    placed = refuse_rig(with_pelvis(placed, None, floor=True), videos)
    save_rig(placed, output, load_views(rig))
    if json:
        write_json(rig_result(placed, output))
    else:
        show_rig(placed, output)
    return 0 if placed.quality.accepted else REFUSED


@app.command("import")
def import_rig(
    source: Annotated[
        Path, typer.Argument(help="A calibration of another system: a file, or its folder.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", callback=to_write, help="The rig to write, RIG.h5.")
    ],
    unit: Annotated[
        str, typer.Option(help="Of lengths, where the file does not say it: m, cm or mm.")
    ] = "m",
    size_px: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Width and height of the images, where the file does not say them."),
    ] = None,
    json: AsJson = False,
) -> int:
    """Read another system's calibration; its format is found out by its content.

    aniposelib, Pose2Sim and Caliscope .toml, Qualisys .qca.txt, Vicon .xcp, OpenCV .yml and .json,
    Kalibr camchain.yaml, mrcal .cameramodel, EasyMocap intri.yml and extri.yml.
    """
    rig = read_rig(source, unit=unit, size_px=size_px)
    save_rig(rig, output)
    if json:
        write_json(rig_result(rig, output))
    else:
        show_rig(rig, output)
    return 0 if rig.quality.accepted else REFUSED


@app.command("export")
def export_rig(
    rig: _Rig,
    to: Annotated[str, typer.Option("--to", "--format", help=f"{', '.join(FORMATS)}.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The file to write (mrcal, easymocap: the folder)."),
    ],
    json: AsJson = False,
) -> int:
    """Write a rig for another system, and say what its format cannot hold."""
    stored = load_rig(rig)
    written = write_rig_as(stored, to, output)
    refused = not stored.quality.accepted
    if json:
        write_json(
            {
                "files": [str(file) for file in written.files],
                "not_held": list(written.not_held),
                "refits": [
                    {"camera": r.camera, "model": r.after, "rms_px": r.rms_px, "max_px": r.max_px}
                    for r in written.refits
                ],
                "accepted": not refused,
            }
        )
    else:
        for file in written.files:
            out.print(str(file), markup=False)
        for line in written.not_held:
            out.print(f"not held by this format: {line}", markup=False)
        for refit in written.refits:
            out.print(refit.text, markup=False)
        if refused:
            out.print("the rig was REFUSED by its calibration; the file does not say so")
    return 0


app.command("check")(check)
