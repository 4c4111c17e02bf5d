"""gaitlab demo: everything, on a simulated lab, against known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.demonstration import run_demo
from console.progress import steps_and_counts
from console.results import measure_result, trial_result
from console.tables import show_truth
from console.terminal import FAILED, log, out, write_json
from console.verbs.options import AsJson


def demo(
    out_folder: Annotated[Path, typer.Option("--out", help="The lab folder to make.")] = Path(
        "demo"
    ),
    activity: Annotated[
        str, typer.Option(help="run (on a treadmill) or walk (overground).")
    ] = "run",
    seed: Annotated[int, typer.Option(help="Another number is another person.")] = 1,
    quick: Annotated[
        bool, typer.Option("--quick", help="Begin with keypoints, not with images of the person.")
    ] = False,
    noise_px: Annotated[float, typer.Option(help="Noise of the keypoints of --quick, px.")] = 1.0,
    json: AsJson = False,
) -> int:
    """Calibrate, film, reconstruct and report in a simulated lab, beside the truth.

    From pixels to the page: a person with tag plates on is rendered into every camera's images,
    which gaitlab node processes then record.
    """
    with steps_and_counts(
        ("filming the board", "finding the board", "calibrating", "filming the person",
         "recording", "processing", "report")
    ) as (progress, progress_of_frames):  # fmt: skip
        result = run_demo(
            out_folder,
            activity=activity,
            seed=seed,
            quick=quick,
            noise_px=noise_px,
            progress=progress,
            progress_of_frames=progress_of_frames,
            say=lambda line: log.print(f"! {line}", markup=False),
        )
    if json:
        answer = trial_result(result.trial, result.record, result.report)
        answer["passed"] = not result.failures
        answer["failures"] = list(result.failures)
        answer["rig"] = str(result.rig)
        answer["views"] = [str(path) for path in result.views]
        answer["measures"] = [
            measure_result(m)
            | {
                "truth": result.truth[m.name, m.side]
                * (measure_result(m)["value"] / m.value if m.value else 1.0)
            }
            for m in result.trial.measures
            if (m.name, m.side) in result.truth
        ]
        write_json(answer)
    else:
        show_truth(result.trial, result.truth)
        for failure in result.failures:
            out.print(f"✗ {failure}", style="bold red", markup=False)
        if not result.failures:
            out.print("✓ every angle is within 0.5° of the truth", style="bold green")
        out.print(
            f"record  {result.record}\nreport  {result.report}\nrig     {result.rig}", markup=False
        )
        if result.views:
            out.print(f"views   {result.views[0].parent}", markup=False)
    return FAILED if result.failures else 0
