"""gaitlab report and gaitlab export: views of a stored trial."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.records import RECORD, write_page_pictures, write_report
from console.settings import TRIAL_FILE, read_settings
from console.terminal import REFUSED, out, write_json
from console.verbs.options import AsJson, to_write
from lab.errors import LabError
from lab.store import load_trial
from lab.trial import Trial
from report.export.formats import export

_Trial = Annotated[Path, typer.Argument(metavar="TRIAL.h5", help="The stored trial.")]


def report(
    trial: _Trial,
    output: Annotated[Path, typer.Option("-o", "--output", help="The PDF to write.")],
    previous: Annotated[
        Path | None, typer.Option(help="An earlier visit's trial.h5 to compare with.")
    ] = None,
    pages: Annotated[
        bool, typer.Option("--pages", help="OUTPUT is a folder: a PNG of each page instead.")
    ] = False,
    json: AsJson = False,
) -> int:
    """Write the report again from the stored trial."""
    if not pages:
        to_write(output)
    stored = load_trial(trial)
    folder = trial.resolve().parent
    at_hand = trial.name == RECORD and (folder / TRIAL_FILE).is_file()
    settings = read_settings(folder)[0] if at_hand else None
    before = None if previous is None else _earlier(previous, stored)
    beside = folder if at_hand else None
    if pages:
        files = write_page_pictures(stored, output, beside, settings, before)
        if json:
            write_json({"pages": [str(f) for f in files], "accepted": stored.accepted})
        else:
            out.print("\n".join(str(f) for f in files), markup=False)
        return 0 if stored.accepted else REFUSED
    write_report(stored, output, beside, settings, before)
    if json:
        write_json({"report": str(output), "accepted": stored.accepted})
    else:
        out.print(f"report  {output}", markup=False)
    return 0 if stored.accepted else REFUSED


def _earlier(path: Path, stored: Trial) -> Trial:
    before = load_trial(path)
    if before.patient != stored.patient:
        raise LabError(
            f"is a trial of patient {before.patient}; this one is of {stored.patient}",
            where=str(path),
            remedy="Choose an earlier trial of the same patient.",
        )
    if _sources(before) == _sources(stored):
        raise LabError(
            "is made from the very recording that is reported",
            where=str(path),
            remedy="Choose a trial of an earlier visit.",
        )
    return before


def _sources(trial: Trial) -> set[str]:
    return {file.sha256 for file in trial.provenance.inputs}


def export_trial(
    trial: _Trial,
    to: Annotated[str, typer.Option("--to", help="csv, trc, c3d or mot.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write into.")],
    json: AsJson = False,
) -> int:
    """Write a stored trial as files for other programs."""
    files = export(load_trial(trial), to, output)
    if json:
        write_json({"files": [str(f) for f in files]})
    else:
        for file in files:
            out.print(str(file), markup=False)
    return 0
