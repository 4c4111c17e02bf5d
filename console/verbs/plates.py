"""gaitlab plates: tag plates to print, and where to wear them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.terminal import out, write_json
from console.verbs.options import AsJson, to_write
from lab.plates import read_plates
from report.plates_print import write_plates_pdf


def plates(
    output: Annotated[
        Path, typer.Option("-o", "--output", callback=to_write, help="The PDF to write.")
    ],
    source: Annotated[
        str, typer.Argument(metavar="[NAME|FILE]", help="A set of configs/plates, or a file.")
    ] = "gait-ring",
    paper: Annotated[str, typer.Option(help="a4, a3 or letter.")] = "a4",
    json: AsJson = False,
) -> int:
    """Print tag plates true to scale, with a page that says where each is worn."""
    path = Path(source)
    worn = read_plates(path if path.is_file() else source)
    pages = write_plates_pdf(worn, output, paper=paper)
    if json:
        write_json(
            {
                "plates": worn.name,
                "file": str(output),
                "pages": pages,
                "tags": [tag.number for tag in worn.tags],
            }
        )
        return 0
    out.print(
        f"{output}: {pages} pages, {len(worn.plates)} plates with {len(worn.tags)} tags. Print at "
        "100 %, and measure a black square before gluing. How to tie them: docs/tag-plates.md",
        markup=False,
    )
    return 0
