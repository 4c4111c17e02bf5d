"""Tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from calibration.advice import Advice
from console.results import measure_result
from console.terminal import out
from lab.rig import Rig
from lab.trial import Trial
from report.numbers import measure_quantity
from report.words import readable

# Columns of figures that a terminal of 80 characters holds beside their names.
_CAMERAS_A_BLOCK = 6


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
    """Print a rig's verdict and figures."""
    _verdict(rig.quality.accepted, rig.quality.reasons)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rig.quality.figures.items():
        table.add_row(readable(name), f"{value:.3f}")
    out.print(table)
    all_cameras = list(rig.quality.cameras.items())
    for first in range(0, len(all_cameras), _CAMERAS_A_BLOCK):
        block = all_cameras[first : first + _CAMERAS_A_BLOCK]
        names = dict.fromkeys(name for _, figures in block for name in figures)
        cameras = Table(box=None, pad_edge=False, header_style="bold")
        cameras.add_column("camera")
        for camera, _ in block:
            cameras.add_column(camera, justify="right")
        for name in names:
            cells = [f"{figures[name]:.3f}" if name in figures else "" for _, figures in block]
            cameras.add_row(readable(name), *cells)
        out.print(cameras)
    out.print(f"rig  {path}", markup=False)


def show_advice(advice: Sequence[Advice]) -> None:
    """Print what to film next; nothing where the cameras have seen enough."""
    if advice:
        out.print("film next, and calibrate again with all of it:", style="bold")
        for item in advice:
            out.print(f"  - {item.text}", markup=False)


def _verdict(accepted: bool, reasons: tuple[str, ...]) -> None:
    out.print(
        "✓ accepted" if accepted else "✗ REFUSED", style="bold green" if accepted else "bold red"
    )
    for reason in reasons:
        out.print(f"  - {reason}", markup=False)
