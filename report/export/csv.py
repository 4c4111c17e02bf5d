"""CSV: curves, points, events and measures, a file each."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lab.gait import Curves
from lab.points import Points3D
from lab.trial import Trial
from report.files import replace_file

_NUMBER = ".9f"


def _text(value: float) -> str:
    return format(value, _NUMBER) if math.isfinite(value) else "nan"


def _write(path: Path, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    def write(beside: Path) -> None:
        with beside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(head)
            writer.writerows(rows)

    replace_file(path, write)
    return path


def _curves(path: Path, curves: Curves) -> Path:
    head = ["t", *(f"{n}{end}" for n in curves.names for end in ("_deg", "_sigma_deg"))]
    pairs = np.degrees(np.stack([curves.values, curves.sigma], axis=-1))
    flat = pairs.reshape(len(curves.t), 2 * len(curves.names))
    return _write(
        path,
        head,
        ([_text(t), *map(_text, row)] for t, row in zip(curves.t, flat, strict=True)),
    )


def _points(path: Path, points: Points3D) -> Path:
    head = ["t", *(f"{n}_{axis}" for n in points.names for axis in "xyz")]
    flat = points.xyz.reshape(len(points.t), 3 * len(points.names))
    return _write(
        path,
        head,
        ([_text(t), *map(_text, row)] for t, row in zip(points.t, flat, strict=True)),
    )


def _name_and_side(key: str) -> tuple[str, str]:
    name, _, side = key.partition(" ")
    return name, side


def write_csv(trial: Trial, directory: Path) -> list[Path]:
    """Write a trial as CSV, missing as `nan`, nine decimals.

    curves.csv: t in s, each curve and its sigma in deg. points.csv: t in s, x, y, z in m in the lab
    frame, as reconstructed or read; points_smoothed.csv the same after smoothing. events.csv: t
    and sigma in s. measures.csv: angles in deg, the rest in the unit named. withheld.csv: measures
    that are not given, and why.

    Raises:
        FileError: When a file cannot be written.
    """
    events = (
        (_text(e.t), e.kind, e.side, _text(e.sigma), e.source)
        for e in sorted(trial.events, key=lambda e: (e.t, e.side, e.kind))
    )
    measures = []
    for m in trial.measures:
        factor, unit = (180 / math.pi, "deg") if m.unit == "rad" else (1.0, m.unit)
        numbers = [_text(x * factor) for x in (m.value, m.sigma, m.spread)]
        measures.append((m.name, m.side, *numbers, unit, str(m.n), m.definition))
    return [
        _curves(directory / "curves.csv", trial.curves),
        _points(directory / "points.csv", trial.points),
        _points(directory / "points_smoothed.csv", trial.smoothed),
        _write(directory / "events.csv", ("t", "kind", "side", "sigma", "source"), events),
        _write(
            directory / "measures.csv",
            ("name", "side", "value", "sigma", "spread", "unit", "n", "definition"),
            measures,
        ),
        _write(
            directory / "withheld.csv",
            ("name", "side", "reason"),
            ((*_name_and_side(key), reason) for key, reason in trial.withheld.items()),
        ),
    ]
