"""The one clock function of a node: everything that a node stamps, it stamps from here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.errors import LabError


@dataclass(slots=True)
class HostClock:
    """The host's monotonic clock in ns, with faults on request.

    Namespaces and processes of one computer share its clock, so drift and steps for tests are
    put in here, where a real computer would have them.

    Attributes:
        ppm: How much faster than the computer's own clock this one runs, from that one's zero on:
            a node that is started anew has the clock that it had, as on a real computer.
        offset_ns: Constant difference.
        step_ns, step_after_ns: A jump, this long after the clock was made.
        source: The clock beneath.
    """

    ppm: float = 0.0
    offset_ns: int = 0
    step_ns: int = 0
    step_after_ns: int = 0
    source: Callable[[], int] = time.monotonic_ns
    _began_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self._began_ns = self.source()

    def now_ns(self) -> int:
        """Return the time; monotonic unless a step back was asked for."""
        true_ns = self.source()
        return self.from_true_ns(true_ns)

    def from_true_ns(self, true_ns: int) -> int:
        """Return what this clock shows when the clock beneath shows `true_ns`."""
        if not (self.ppm or self.offset_ns or self.step_ns):
            return true_ns
        shown = true_ns + self.offset_ns + round(true_ns * self.ppm * 1e-6)
        stepped = true_ns - self._began_ns >= self.step_after_ns
        return shown + self.step_ns if stepped else shown


def parse_clock(text: str) -> HostClock:
    """Read faults for tests: "ppm=50,offset_s=3,step_s=3600,step_after_s=10"; empty for none.

    Raises:
        LabError: For a word that is not one of these, or a value that is not a number.
    """
    values = {"ppm": 0.0, "offset_s": 0.0, "step_s": 0.0, "step_after_s": 0.0}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = item.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = None
        if name not in values or number is None:
            raise LabError(
                f'"{item}" is no clock setting', remedy=f"Use {', '.join(values)}, each =number."
            )
        values[name] = number
    return HostClock(
        ppm=values["ppm"],
        offset_ns=round(values["offset_s"] * 1e9),
        step_ns=round(values["step_s"] * 1e9),
        step_after_ns=round(values["step_after_s"] * 1e9),
    )
