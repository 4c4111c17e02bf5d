"""What the figures show, as fractions of their panels; the template draws them."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from lab.checks import FloatArray
from lab.gait import SIDES, Measure
from lab.trial import Trial
from report.cycles import (
    PERCENT,
    cycle_curves,
    foot_off_percent,
    side_cycles,
    side_of,
    stem_of,
)
from report.findings import Band
from report.numbers import INTERVAL_FACTOR, MINUS, display_of
from report.words import CURVES, PLANES, curve_words

_CURVE_MARGIN = 0.17  # of the panel's height, at each end, kept free for words
_DOT_MARGIN = 0.06
_LONGEST_LINE = 600  # points; a longer curve is drawn by the extremes of each bin
_SMALLEST_SPAN_DEG = 6.0  # so that a quiet curve is not blown up into drama


def nice_ticks(low: float, high: float, wanted: int) -> list[float]:
    """Return about `wanted` round ticks (steps of 1, 2 or 5 times a power of ten) within."""
    power = 10.0 ** math.floor(math.log10((high - low) / wanted))

    def ticks(step: float) -> list[float]:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]

    return min(
        (ticks(s * power) for s in (10, 5, 2, 1)), key=lambda found: abs(len(found) - wanted)
    )


def _tick_labels(ticks: list[float], low: float, high: float) -> list[dict[str, Any]]:
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [
        {
            "at": round((t - low) / (high - low), 5),
            "label": f"{MINUS if round(t, 9) < 0 else ''}{abs(t):.{decimals}f}",
        }
        for t in ticks
    ]


def _lines(x: FloatArray, y: FloatArray) -> list[list[list[float]]]:
    """Return the unbroken stretches of a line, at least two points each, rounded for the page."""
    known = np.isfinite(x) & np.isfinite(y)
    breaks = np.flatnonzero(np.diff(known.astype(int))) + 1
    pieces = np.split(np.arange(len(x)), breaks)
    return [
        np.column_stack([x[p], y[p]]).round(4).tolist()
        for p in pieces
        if known[p[0]] and len(p) > 1
    ]


def _mean(rows: FloatArray) -> FloatArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a percent that no cycle has stays NaN
        return np.nanmean(rows, axis=0) if len(rows) else np.full(len(PERCENT), np.nan)


def _scale(values: list[FloatArray]) -> tuple[float, float]:
    """Return one y range for all of these, with room for words at both ends."""
    flat = np.concatenate([v.ravel() for v in values]) if values else np.zeros(0)
    flat = flat[np.isfinite(flat)]
    low, high = (float(flat.min()), float(flat.max())) if len(flat) else (0.0, 0.0)
    # Zero is shown when it is near, so that small angles keep their sense.
    span = max(high - low, _SMALLEST_SPAN_DEG)
    if 0 < low < 0.5 * span:
        low = 0.0
    if -0.5 * span < high < 0:
        high = 0.0
    missing = max(0.0, _SMALLEST_SPAN_DEG - (high - low)) / 2
    low, high = low - missing, high + missing
    margin = _CURVE_MARGIN / (1 - 2 * _CURVE_MARGIN) * (high - low)
    return low - margin, high + margin


def _axis(low: float, high: float) -> dict[str, Any]:
    inner = _CURVE_MARGIN * (high - low) * 0.5
    ticks = nice_ticks(low + inner, high - inner, 4)
    zero = -low / (high - low)
    return {"ticks": _tick_labels(ticks, low, high), "zero": zero if 0 < zero < 1 else None}


def curve_stems(trial: Trial) -> list[str]:
    """Return the curves without their sides, in the order of the page."""
    order = {name: i for i, name in enumerate(CURVES)}
    stems = list(dict.fromkeys(stem_of(n) for n in trial.curves.names))
    return sorted(stems, key=lambda s: (order.get(s, len(order)), stems.index(s)))


def _curve_name(trial: Trial, stem: str, side: str) -> str | None:
    return next((n for n in (f"{stem}_{side}", stem) if n in trial.curves.names), None)


def cycle_row(trial: Trial, stem: str) -> dict[str, Any] | None:
    """Return the two panels of one curve over the cycle, or None where it has no value.

    Every cycle thin, the mean thick, left and right on the same scale.
    """
    rows = {
        side: np.degrees(cycle_curves(trial, name, side))
        for side in SIDES
        if (name := _curve_name(trial, stem, side)) is not None
    }
    if not any(np.isfinite(r).any() for r in rows.values()):
        return None
    low, high = _scale(list(rows.values()))
    panels = []
    for side in SIDES:
        values = rows.get(side, np.zeros((0, len(PERCENT))))
        values = values[np.isfinite(values).any(axis=1)]
        scaled = (values - low) / (high - low)
        off = foot_off_percent(trial, side)
        panels.append(
            {
                "side": side,
                "n": len(values),
                "cycles": [line for v in scaled for line in _lines(PERCENT / 100, v)],
                "mean": _lines(PERCENT / 100, _mean(scaled)),
                "off": round(off / 100, 5) if len(values) and math.isfinite(off) else None,
            }
        )
    words = curve_words(stem)
    return {
        "title": words.plain,
        "term": words.term,
        "up": words.up,
        "down": words.down,
        "axis": _axis(low, high),
        "panels": panels,
    }


def _thinned(t: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the line, or the extremes of each bin of a long one, so that no peak is lost."""
    if len(t) <= _LONGEST_LINE:
        return t, y
    keep: list[int] = []
    for piece in np.array_split(np.arange(len(t)), _LONGEST_LINE // 2):
        known = piece[np.isfinite(y[piece])]
        if len(known):
            keep += sorted({int(known[y[known].argmin()]), int(known[y[known].argmax()])})
        else:
            keep.append(int(piece[0]))
    return t[keep], y[keep]


def time_row(trial: Trial, stem: str) -> dict[str, Any] | None:
    """Return the panel of one curve over time, or None where it has no value."""
    names = [n for n in (f"{stem}_left", f"{stem}_right", stem) if n in trial.curves.names]
    curves = {n: np.degrees(trial.curves.curve(n)) for n in names}
    if not any(np.isfinite(c).any() for c in curves.values()):
        return None
    t = trial.curves.t
    start, length = float(t[0]), max(float(t[-1] - t[0]), 1e-9)
    low, high = _scale(list(curves.values()))
    words = curve_words(stem)
    lines = []
    for name, values in curves.items():
        x, y = _thinned((t - start) / length, (values - low) / (high - low))
        lines.append({"side": side_of(name), "lines": _lines(x, y)})
    return {
        "title": words.plain,
        "term": words.term,
        "up": words.up,
        "down": words.down,
        "axis": _axis(low, high),
        "x_ticks": _tick_labels(nice_ticks(start, start + length, 6), start, start + length),
        "lines": lines,
    }


def planes(trial: Trial) -> list[dict[str, Any]]:
    """Return the curve pages: for each plane its rows, over the cycle or, without, over time."""
    over_cycle = any(side_cycles(trial, side) for side in SIDES)
    result = []
    for plane in PLANES:
        stems = [s for s in curve_stems(trial) if curve_words(s).plane == plane]
        drawn = [(cycle_row if over_cycle else time_row)(trial, s) for s in stems]
        rows = [row for row in drawn if row is not None]
        if rows:
            result.append({"plane": plane, "rows": rows})
    return result


def dot_chart(name: str, sides: dict[str, Measure], band: Band | None) -> dict[str, Any]:
    """Return the dots and intervals of one measure on one axis, with the source's range.

    Args:
        name: The measure.
        sides: Its values by side.
        band: The range; an open end runs to the edge of the chart.
    """
    display = display_of(name, next(iter(sides.values())).unit)
    rows: list[tuple[str, float, float]] = []
    for side, measure in sides.items():
        half = INTERVAL_FACTOR * measure.sigma if math.isfinite(measure.sigma) else 0.0
        rows.append((side, measure.value * display.factor, half * display.factor))
    ends = [v for _, x, half in rows for v in (x - half, x + half)]
    if band is not None:
        ends += [e * display.factor for e in (band.low, band.high) if math.isfinite(e)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    span = max(high - low, 1e-9)
    low, high = low - _DOT_MARGIN * span, high + _DOT_MARGIN * span
    if band is not None:  # an open range needs room to be seen as one
        low -= 0.12 * span * math.isinf(band.low)
        high += 0.12 * span * math.isinf(band.high)

    def place(x: float) -> float:
        return round(min(max((x - low) / (high - low), 0.0), 1.0), 5)

    return {
        "ticks": _tick_labels(nice_ticks(low, high, 5), low, high),
        "zero": place(0.0),
        "unit": display.unit,
        "band": None
        if band is None
        else [place(band.low * display.factor), place(band.high * display.factor)],
        "rows": {
            side: {
                "at": place(x),
                "interval": [place(x - half), place(x + half)] if half > 0 else None,
            }
            for side, x, half in rows
        },
    }
