"""The thresholds of the calibration's gates: configs/calibration.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources


@cache
def thresholds() -> dict[str, dict[str, float]]:
    """Return them by section and name."""
    text = resources.files("configs").joinpath("calibration.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
