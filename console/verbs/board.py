"""gaitlab board: the board to print, and what the print measured."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from calibration.board import Board
from calibration.board_print import Sheet, write_board_pdf
from calibration.board_toml import write_measured
from console.terminal import out, write_json
from console.verbs.options import AsJson, to_write
from lab.errors import LabError


def board(
    file: Annotated[Path, typer.Argument(metavar="BOARD.toml", help="The board's TOML file.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", callback=to_write, help="The PDF to write.")
    ] = None,
    paper: Annotated[
        str | None,
        typer.Option(
            help="a4, a3, a2, a1, a0 or letter; a larger board is tiled. "
            "Without it the smallest A sheet that holds the board."
        ),
    ] = None,
    measured_mm: Annotated[
        float | None,
        typer.Option(help="What a steel rule reads on the print, mm; written into BOARD.toml."),
    ] = None,
    squares: Annotated[
        int, typer.Option(help="Over how many squares in a row it was measured.")
    ] = 1,
    json: AsJson = False,
) -> int:
    """Print a calibration board true to scale, or type in what its squares measure."""
    if output is None and measured_mm is None:
        raise LabError(
            "nothing to do",
            where=str(file),
            remedy="Give -o board.pdf to print it, or --measured-mm for what the print measures.",
        )
    plate = Board.from_toml(file)
    if measured_mm is not None:
        plate = write_measured(file, measured_mm, squares)
    sheets: tuple[Sheet, ...] = ()
    if output is not None:
        with resources.as_file(resources.files("report").joinpath("fonts")) as fonts:
            sheets = write_board_pdf(plate, output, paper=paper, fonts=fonts)
    if json:
        write_json(
            {
                "board": plate.words(),
                "square_mm": 1e3 * plate.square_m,
                "file": None if output is None else str(output),
                "pages": [{"page_mm": s.page, "part_mm": s.part} for s in sheets],
            }
        )
        return 0
    out.print(plate.words(), markup=False)
    if measured_mm is not None:
        part = plate.square_m / plate.print_square_m - 1
        out.print(
            f"{file}: the square is {1e3 * plate.square_m:.3f} mm, {100 * part:+.2f} % of what "
            "was sent to the printer",
            markup=False,
        )
    if output is not None and sheets:
        first = sheets[0].page
        out.print(
            f"{output}: {len(sheets)} page{'s' if len(sheets) > 1 else ''} of "
            f"{first[0]:g} x {first[1]:g} mm. Print at 100 %, then measure a row of squares and "
            "type it in with --measured-mm.",
            markup=False,
        )
    return 0
