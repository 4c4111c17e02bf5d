"""How numbers are printed: value, 95 % interval, unit, with no more digits than are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lab.gait import Measure

INTERVAL_FACTOR = 1.96  # two-sided 95 % of a normal distribution
MINUS = "\u2212"
PLUS_MINUS = "\u00b1"
DEGREE = "\u00b0"


@dataclass(frozen=True, slots=True)
class Display:
    """How a quantity is shown.

    Attributes:
        unit: As printed, for example \u00b0, ms or steps/min.
        factor: Shown value per stored value.
        decimals: Where no interval is known.
        finest: The most decimals ever shown; a smaller interval is rounded up to its last digit.
    """

    unit: str
    factor: float
    decimals: int
    finest: int


_BY_UNIT = {
    "rad": Display(DEGREE, 180 / math.pi, 1, 2),
    "s": Display("s", 1.0, 2, 4),
    "m": Display("m", 1.0, 2, 3),
    "1/min": Display("per min", 1.0, 0, 1),
    "1": Display("", 1.0, 2, 3),
}
_MILLISECONDS = Display("ms", 1000.0, 0, 1)
_CENTIMETRES = Display("cm", 100.0, 1, 2)
_BY_NAME = {
    "cadence": Display("steps/min", 1.0, 0, 1),
    "contact_time": _MILLISECONDS,
    "flight_time": _MILLISECONDS,
    "step_width": _CENTIMETRES,
    "over_stride_distance_heel": _CENTIMETRES,
    "over_stride_distance_ankle": _CENTIMETRES,
}


def display_of(name: str, unit: str) -> Display:
    """Return how a measure of this name and stored unit is shown."""
    special = _BY_NAME.get(name)
    if special is not None:
        return special
    return _BY_UNIT.get(unit, Display(unit, 1.0, 2, 3))


def interval_decimals(interval: float) -> int:
    """Return the decimals that an interval leaves standing; negative for tens, hundreds, ...

    One or two significant digits by the rounding rule of the Particle Data Group (Review of
    Particle Physics, Introduction, section 5.3): two where the leading digits are 10 to 35, one
    from 36 to 94, and 95 to 99 is rounded up to 100 with two.

    Raises:
        ValueError: Unless the interval is positive and finite.
    """
    if not (math.isfinite(interval) and interval > 0):
        raise ValueError(f"interval must be positive and finite, got {interval}")
    order = math.floor(math.log10(interval))
    leading = round(interval / 10.0**order, 9)
    return 1 - order if leading < 3.55 else -order


def signed(value: float, decimals: int) -> str:
    """Return the value with a true minus sign, without a negative zero.

    Args:
        value: In the unit shown.
        decimals: May be negative; then tens, hundreds, ... are rounded.
    """
    text = f"{abs(round(value, decimals)):.{max(decimals, 0)}f}"
    negative = value < 0 and float(text) != 0
    return f"{MINUS}{text}" if negative else text


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number ready to print.

    Attributes:
        value: As text, for example 7.9.
        interval: Half width of the 95 % interval as text; empty where it is not known.
        unit: As printed.
    """

    value: str
    interval: str
    unit: str

    @property
    def text(self) -> str:
        """The whole, for example `7.9 \u00b1 0.6\u00b0` or `252 \u00b1 4 ms`."""
        number = f"{self.value} {PLUS_MINUS} {self.interval}" if self.interval else self.value
        gap = "" if self.unit in ("", DEGREE) else "\u00a0"
        return f"{number}{gap}{self.unit}"


def quantity(value: float, sigma: float, display: Display) -> Quantity:
    """Return a stored value and its sigma (NaN when not known) as they are printed."""
    shown = value * display.factor
    if not math.isfinite(shown):
        return Quantity("\u2013", "", "")
    if not math.isfinite(sigma):
        return Quantity(signed(shown, display.decimals), "", display.unit)
    interval = INTERVAL_FACTOR * sigma * display.factor
    smallest = 10.0**-display.finest
    # Never a tighter interval than can be shown: what is below the last digit is rounded up.
    interval = max(interval, smallest)
    decimals = min(interval_decimals(interval), display.finest)
    return Quantity(signed(shown, decimals), signed(interval, decimals), display.unit)


def time_text(iso: str) -> str:
    """Return an ISO 8601 date or time as it is printed, to the minute; empty stays empty."""
    date, _, clock = iso.partition("T")
    return f"{date} {clock[:5]}".strip()


def measure_quantity(measure: Measure) -> Quantity:
    """Return a measure as it is printed."""
    return quantity(measure.value, measure.sigma, display_of(measure.name, measure.unit))


def spread_text(measure: Measure) -> str:
    """Return the spread between cycles with its unit's usual decimals, or a dash."""
    display = display_of(measure.name, measure.unit)
    if not math.isfinite(measure.spread):
        return "\u2013"
    return signed(measure.spread * display.factor, display.decimals)
