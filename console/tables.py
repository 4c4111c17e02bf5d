"""Tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from calibration.advice import Advice, film_next
from calibration.quality import gate_limits
from console.results import measure_result
from console.terminal import out
from lab.rig import Rig
from lab.trial import Trial
from report.numbers import measure_quantity
from report.rig_rows import camera_table, figure_rows
from report.tables import withheld
from report.words import readable


def show_trial(trial: Trial, record: Path, report: Path) -> None:
    """Print a trial's verdict, measures and files."""
    _verdict(trial.accepted, trial.reasons)
    if trial.measures:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("measure")
        table.add_column("side")
        table.add_column("value ± 95 %", justify="right")
        table.add_column("cycles", justify="right")
        for measure in trial.measures:
            table.add_row(
                readable(measure.name), measure.side, measure_quantity(measure).text, str(measure.n)
            )
        out.print(table)
    else:
        out.print("No measures over gait cycles.")
    for row in withheld(trial):
        out.print(f"not given: {row['names']}: {row['reason']}", markup=False)
    out.print(f"record  {record}\nreport  {report}", markup=False)


def show_truth(trial: Trial, truth: Mapping[tuple[str, str], float]) -> None:
    """Print measures beside what they truly are."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("measure")
    table.add_column("side")
    for name in ("measured ± 95 %", "truth", "error"):
        table.add_column(name, justify="right")
    table.add_column("unit")
    for measure in trial.measures:
        key = (measure.name, measure.side)
        if key not in truth:
            continue
        shown = measure_result(measure)
        scale = 180 / math.pi if measure.unit == "rad" else 1.0
        true = truth[key] * scale
        digits = 2 if shown["unit"] in ("deg", "1/min") else 4
        table.add_row(
            readable(measure.name),
            measure.side,
            f"{shown['value']:.{digits}f} ± {1.96 * shown['sigma']:.{digits}f}",
            f"{true:.{digits}f}",
            f"{shown['value'] - true:+.{digits}f}",
            shown["unit"],
        )
    out.print(table)


def show_rig(rig: Rig, path: Path) -> None:
    """Print a rig's verdict and what its page says in figures."""
    _verdict(rig.quality.accepted, rig.quality.reasons)
    limits = gate_limits(max(max(camera.size_px) for camera in rig.cameras))
    figures = Table(box=None, pad_edge=False, show_header=False)
    figures.add_column()
    figures.add_column(justify="right")
    figures.add_column()
    for row in figure_rows(rig, limits):
        figures.add_row(row["label"], row["value"], row["limit"])
    out.print(figures)
    every = camera_table(rig)
    if every["rows"]:
        cameras = Table(box=None, pad_edge=False, header_style="bold")
        for i, name in enumerate(every["head"]):
            # A value is never folded; a heading may be.
            longest = max(len(row[i]) for row in every["rows"])
            cameras.add_column(name, justify="right" if i else "left", min_width=longest)
        for row in every["rows"]:
            cameras.add_row(*row)
        out.print(cameras)
    out.print(f"rig  {path}", markup=False)


def show_advice(advice: Sequence[Advice]) -> None:
    """Print what to film next; nothing where the cameras have seen enough."""
    if advice:
        out.print("film next, and calibrate again with all of it:", style="bold")
        for text in film_next(advice):
            out.print(f"  - {text}", markup=False)


def _verdict(accepted: bool, reasons: tuple[str, ...]) -> None:
    out.print(
        "✓ accepted" if accepted else "✗ REFUSED", style="bold green" if accepted else "bold red"
    )
    for reason in reasons:
        out.print(f"  - {reason}", markup=False)
