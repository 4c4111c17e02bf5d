"""The demo's trials beside the truth: who runs before its cameras is known exactly."""

from __future__ import annotations

from dataclasses import dataclass

from console.demo_films import DemoSet
from lab.trial import Trial
from simulation.truth import true_cycles, true_measures


@dataclass(frozen=True, slots=True)
class Beside:
    """A measure beside its true value, SI.

    Attributes:
        name, side, unit: Of the measure.
        value, sigma: As reported.
        truth: Of the person filmed.
    """

    name: str
    side: str
    unit: str
    value: float
    sigma: float
    truth: float

    @property
    def inside(self) -> bool:
        """Whether the truth lies within the printed interval of 95 %."""
        return abs(self.value - self.truth) <= 1.96 * self.sigma


def beside_truth(trial: Trial, made: DemoSet) -> tuple[Beside, ...]:
    """Return every measure of a running trial of the demo that has a true value.

    The runner's strides are all alike, so that the truth of one is that of any.
    """
    runner = made.runner()
    truth = true_measures(runner, true_cycles(runner))
    return tuple(
        Beside(m.name, m.side, m.unit, m.value, m.sigma, truth[m.name, m.side])
        for m in trial.measures
        if (m.name, m.side) in truth
    )
