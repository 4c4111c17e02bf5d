"""gaitlab process: a trial folder to its record and report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.pipeline import process_folder
from console.progress import steps_and_counts
from console.records import write_record
from console.results import trial_result
from console.settings import read_settings
from console.tables import show_trial
from console.terminal import REFUSED, write_json
from console.verbs.options import AsJson, UseRefusedRig


def process(
    folder: Annotated[Path, typer.Argument(help="The trial folder, with trial.toml.")],
    use_refused_rig: UseRefusedRig = False,
    json: AsJson = False,
) -> int:
    """Reconstruct, analyse and report one trial; writes trial.h5 and report.pdf in its folder."""
    names = ("reading", "reconstructing", "smoothing", "measuring", "writing")
    with steps_and_counts(names) as (progress, progress_of_frames):
        trial = process_folder(
            folder,
            use_refused_rig=use_refused_rig,
            progress=progress,
            progress_of_frames=progress_of_frames,
        )
        progress("writing")
        record, report = write_record(trial, folder, read_settings(folder)[0])
    if json:
        write_json(trial_result(trial, record, report))
    else:
        show_trial(trial, record, report)
    return 0 if trial.accepted else REFUSED
