"""Everything that is known of one walk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.gait import Curves, Cycle, Event, Measure
from lab.points import Keypoints2D, Points3D
from lab.rig import Rig

# Opens each line of a refused trial's reasons that is a note and no reason for the refusal.
NOTED = "noted besides:"


@dataclass(frozen=True, slots=True, eq=False)
class InputFile:
    """A file that the trial was made from.

    Attributes:
        path: Relative to the trial folder.
        sha256: Of its bytes.
    """

    path: str
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Provenance:
    """How the trial came to be, so that it can be made again.

    Attributes:
        software: Name and version.
        created: ISO 8601, UTC.
        configuration: The settings used, as TOML text.
        inputs: The files read.
    """

    software: str
    created: str
    configuration: str
    inputs: tuple[InputFile, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A reference value, by value, with what is needed to judge whether it applies.

    Attributes:
        measure: The measure's name.
        low, high: Range in `unit`; NaN where the source gives none.
        mean, sd: In `unit`; NaN where the source gives none.
        unit: rad, m, s, 1/min, or 1.
        activity: walk or run.
        definition, population, speed, citation, grade: In words.
        finding: Whether the source gives a cut-off beyond which it speaks of a finding.
    """

    measure: str
    low: float
    high: float
    mean: float
    sd: float
    unit: str
    activity: str
    definition: str
    population: str
    speed: str
    citation: str
    grade: str
    finding: bool


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One walk: what was seen, what follows from it, and how it was made.

    Attributes:
        patient: A code, never a name.
        activity: walk or run.
        treadmill_speed_m_s: NaN overground.
        recorded: ISO 8601 date or time of the recording; empty when not known.
        subject: What a marker model needs, by name with unit suffix.
        rig: The cameras, by value; None where the input was 3D.
        keypoints: What each camera saw; empty where the input was 3D.
        points: As reconstructed or read, unsmoothed.
        smoothed: After smoothing, gaps bridged only within the limit.
        curves: Angles over time.
        events: Foot strikes and foot offs.
        cycles: The cycles used.
        measures: The numbers of the report.
        withheld: Measures that could not be given, by name, with the reason.
        norms: The reference values used, by value.
        static: Standing reference by curve name, rad; empty without a standing trial.
        accepted: Whether the trial may be reported.
        reasons: Why not; or what to note.
        quality: Figures of the reconstruction and the analysis by name with unit suffix.
        provenance: How it was made.
    """

    patient: str
    activity: str
    treadmill_speed_m_s: float = field(metadata={"unit": "m/s"})
    recorded: str
    subject: Mapping[str, float]
    rig: Rig | None
    keypoints: tuple[Keypoints2D, ...]
    points: Points3D
    smoothed: Points3D
    curves: Curves
    events: tuple[Event, ...]
    cycles: tuple[Cycle, ...]
    measures: tuple[Measure, ...]
    withheld: Mapping[str, str]
    norms: tuple[Norm, ...]
    static: Mapping[str, float] = field(metadata={"unit": "rad"})
    accepted: bool
    reasons: tuple[str, ...]
    quality: Mapping[str, float]
    provenance: Provenance

    def __post_init__(self) -> None:
        if not self.patient:
            raise ValueError("Trial.patient: a code is needed")
        if self.activity not in ("walk", "run"):
            raise ValueError(f"Trial.activity must be walk or run, got {self.activity!r}")

    def measure(self, name: str, side: str) -> Measure | None:
        """Return one measure, or None when the trial does not have it."""
        for measure in self.measures:
            if measure.name == name and measure.side == side:
                return measure
        return None
