"""What the analysis says of a walk: curves, events, cycles, measures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from lab.checks import FloatArray, frozen_array, rising_times, unique_names

SIDES = ("left", "right")
EVENT_KINDS = ("foot_strike", "foot_off")
ACTIVITIES = ("walk", "run")


def _check_side(side: str, what: str, allowed: tuple[str, ...] = SIDES) -> None:
    if side not in allowed:
        raise ValueError(f"{what}: side must be one of {allowed}, got {side!r}")


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Named curves over time, angles in rad. Missing is NaN; an unknown sigma is NaN too.

    Attributes:
        names: N names.
        t: (T,) s on the lab clock.
        values: (T, N) rad.
        sigma: (T, N) rad, one standard deviation.
    """

    names: tuple[str, ...]
    t: FloatArray = field(metadata={"unit": "s", "frame": "lab clock"})
    values: FloatArray = field(metadata={"unit": "rad"})
    sigma: FloatArray = field(metadata={"unit": "rad"})

    def __post_init__(self) -> None:
        names = unique_names(self.names, "Curves.names")
        t = rising_times(self.t, "Curves.t")
        shape = (len(t), len(names))
        sigma = frozen_array(self.sigma, shape, "Curves.sigma")
        if (sigma < 0).any():
            raise ValueError("Curves.sigma: negative")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "t", t)
        object.__setattr__(self, "values", frozen_array(self.values, shape, "Curves.values"))
        object.__setattr__(self, "sigma", sigma)

    def curve(self, name: str) -> FloatArray:
        """Return one curve (T,); ValueError when it is not among the names."""
        return self.values[:, self.names.index(name)]

    def curve_sigma(self, name: str) -> FloatArray:
        """Return the sigma (T,) of one curve; ValueError when it is not among the names."""
        return self.sigma[:, self.names.index(name)]


@dataclass(frozen=True, slots=True)
class Event:
    """A foot touching or leaving the ground.

    Attributes:
        kind: foot_strike or foot_off.
        side: left or right.
        t: s on the lab clock.
        sigma: s, one standard deviation; NaN when not known.
        source: The detector's name, "operator", or the file it was read from.
    """

    kind: str
    side: str
    t: float = field(metadata={"unit": "s", "frame": "lab clock"})
    sigma: float = field(metadata={"unit": "s"})
    source: str

    def __post_init__(self) -> None:
        _check_side(self.side, "Event")
        if self.kind not in EVENT_KINDS:
            raise ValueError(f"Event.kind must be one of {EVENT_KINDS}, got {self.kind!r}")
        if not math.isfinite(self.t) or self.sigma < 0:
            raise ValueError("Event: t must be finite and sigma not negative")


@dataclass(frozen=True, slots=True)
class Cycle:
    """One gait cycle of one side, from its foot strike to the next of the same foot.

    Walking: strike < opposite_off < opposite_strike < off < next_strike.
    Running: strike < off < opposite_strike < opposite_off < next_strike.

    Attributes:
        side: left or right.
        activity: walk or run; it sets the order of the times.
        strike, off, opposite_strike, opposite_off, next_strike: s on the lab clock.
    """

    side: str
    activity: str
    strike: float = field(metadata={"unit": "s", "frame": "lab clock"})
    off: float = field(metadata={"unit": "s", "frame": "lab clock"})
    opposite_strike: float = field(metadata={"unit": "s", "frame": "lab clock"})
    opposite_off: float = field(metadata={"unit": "s", "frame": "lab clock"})
    next_strike: float = field(metadata={"unit": "s", "frame": "lab clock"})

    def __post_init__(self) -> None:
        _check_side(self.side, "Cycle")
        if self.activity not in ACTIVITIES:
            raise ValueError(f"Cycle.activity must be one of {ACTIVITIES}, got {self.activity!r}")
        inner = (
            (self.opposite_off, self.opposite_strike, self.off)
            if self.activity == "walk"
            else (self.off, self.opposite_strike, self.opposite_off)
        )
        times = np.array([self.strike, *inner, self.next_strike])
        if not (np.diff(times) > 0).all():
            raise ValueError(f"Cycle: events of a {self.activity} out of order: {times.tolist()}")


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of the report.

    Attributes:
        name: As in the list of measures, for example pelvic_drop_peak.
        side: left, right, or both.
        value: In `unit`.
        sigma: Standard uncertainty of the value over these cycles; NaN when not known. The
            printed interval is value +- 1.96 sigma.
        spread: Standard deviation between cycles; NaN below two cycles.
        unit: rad, m, s, 1/min, or 1.
        n: Number of cycles.
        definition: One sentence, with its source.
    """

    name: str
    side: str
    value: float
    sigma: float
    spread: float
    unit: str
    n: int
    definition: str

    def __post_init__(self) -> None:
        _check_side(self.side, "Measure", (*SIDES, "both"))
        if not self.name or not self.unit or not self.definition:
            raise ValueError("Measure: name, unit and definition must not be empty")
        if self.sigma < 0 or self.spread < 0 or self.n < 0:
            raise ValueError("Measure: sigma, spread and n cannot be negative")
