"""Curves over 0 to 100 % of each cycle."""

from __future__ import annotations

import numpy as np

from lab.checks import FloatArray
from lab.gait import SIDES, Cycle
from lab.trial import Trial

PERCENT = np.linspace(0.0, 100.0, 101)


def side_of(name: str) -> str:
    """Return left or right for a curve that ends so, else an empty text."""
    return next((side for side in SIDES if name.endswith(f"_{side}")), "")


def stem_of(name: str) -> str:
    """Return a curve's name without its side."""
    side = side_of(name)
    return name.removesuffix(f"_{side}") if side else name


def side_cycles(trial: Trial, side: str) -> tuple[Cycle, ...]:
    """Return the cycles of one side, in their order."""
    return tuple(c for c in trial.cycles if c.side == side)


def cycle_curves(trial: Trial, name: str, side: str = "") -> FloatArray:
    """Resample a curve over each cycle, from foot strike (0 %) to the next (100 %).

    Linear between samples. A point beside a missing sample is missing too, and a cycle that
    reaches outside the recording is missing there: nothing is bridged.

    Args:
        trial: The walk.
        name: The curve's name; one that ends in _left or _right is cut by that side's cycles.
        side: left or right, for a curve without a side; without it, the cycles of both.

    Returns:
        (n_cycles, 101) rad.

    Raises:
        ValueError: When the trial has no curve of that name.
    """
    t = trial.curves.t
    values = trial.curves.curve(name)
    wanted = side_of(name) or side
    cycles = [c for c in trial.cycles if not wanted or c.side == wanted]
    rows = np.full((len(cycles), len(PERCENT)), np.nan)
    if len(t) < 2:
        return rows
    for row, cycle in zip(rows, cycles, strict=True):
        at = cycle.strike + PERCENT / 100 * (cycle.next_strike - cycle.strike)
        right = np.clip(np.searchsorted(t, at), 1, len(t) - 1)
        left = right - 1
        share = (at - t[left]) / (t[right] - t[left])
        inside = (at >= t[0]) & (at <= t[-1])
        # A sample that is hit exactly needs no neighbour, and 0 * NaN must not spoil it.
        from_left = np.where(share == 1, 0.0, (1 - share) * values[left])
        from_right = np.where(share == 0, 0.0, share * values[right])
        row[:] = np.where(inside, from_left + from_right, np.nan)
    return rows


def foot_off_percent(trial: Trial, side: str) -> float:
    """Return the mean foot off of one side in % of its cycles, NaN without cycles."""
    cycles = side_cycles(trial, side)
    if not cycles:
        return float("nan")
    shares = [100 * (c.off - c.strike) / (c.next_strike - c.strike) for c in cycles]
    return float(np.mean(shares))
