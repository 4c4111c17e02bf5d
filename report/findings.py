"""The four findings: which number stands for each, and how it lies to its source's range."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from lab.errors import FileError
from lab.gait import Measure
from lab.trial import Norm, Trial
from report.numbers import INTERVAL_FACTOR


@dataclass(frozen=True, slots=True)
class Finding:
    """One of the four findings.

    Attributes:
        name: As in the findings file.
        measures: The measures that can stand for it, best first; a later one is taken, under its
            own name, where the earlier ones could not be measured.
    """

    name: str
    measures: tuple[str, ...]


FINDINGS = (
    Finding("pelvic_drop", ("pelvic_drop_peak",)),
    Finding("trunk_lean", ("trunk_lean_forward_stance_mean",)),
    Finding("over_stride", ("over_stride_angle_heel", "over_stride_angle_ankle")),
    Finding(
        "hip_extension",
        ("hip_extension_peak", "thigh_trunk_extension_peak", "thigh_extension_peak"),
    ),
)


@dataclass(frozen=True, slots=True)
class FindingText:
    """What a source says of a finding.

    Attributes:
        consequence: What it names as the consequence.
        exercise: What it suggests, for discussion with the clinician.
        citation: The source.
    """

    consequence: str
    exercise: str
    citation: str


_TEXT_KEYS = ("name", "consequence", "exercise", "citation")


def load_findings() -> dict[str, FindingText]:
    """Return consequence and exercise by finding, from configs/norms/findings.toml.

    Raises:
        FileError: When the file lacks a text.
    """
    return read_findings(files("configs").joinpath("norms", "findings.toml"))


def read_findings(path: Path | Traversable) -> dict[str, FindingText]:
    """Read consequence and exercise by finding from a TOML file of [[finding]] tables.

    Raises:
        FileError: When the file cannot be read, is no TOML, lacks a text, or speaks of risk:
            published evidence does not support these findings as such by themselves.
    """
    where = path.name
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("finding", [])
    except OSError as error:
        raise FileError(
            f"the file cannot be read ({error.strerror})", where=where, remedy="Check the path."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(
            f"the file is not valid TOML ({error})", where=where, remedy="Mend the line."
        ) from error
    texts: dict[str, FindingText] = {}
    for entry in entries:
        name = entry.get("name") or "a finding without name"
        missing = [k for k in _TEXT_KEYS if not str(entry.get(k, "")).strip()]
        if missing:
            raise FileError(
                f"{name} lacks {', '.join(missing)}",
                where=where,
                remedy="Give each finding a name, a consequence, an exercise and its citation.",
            )
        if "risk" in f"{entry['consequence']} {entry['exercise']}".lower():
            raise FileError(
                f"{name} speaks of risk, which the published evidence does not support",
                where=where,
                remedy="Say what the source names as a consequence, without the word.",
            )
        texts[name] = FindingText(entry["consequence"], entry["exercise"], entry["citation"])
    return texts


def finding_measures(trial: Trial, finding: Finding) -> tuple[str, dict[str, Measure]]:
    """Return the measure that stands for a finding, and its values by side.

    Returns:
        Name and values; the first name and no values where none could be measured.
    """
    for name in finding.measures:
        sides = {m.side: m for m in trial.measures if m.name == name and math.isfinite(m.value)}
        if sides:
            return name, sides
    return finding.measures[0], {}


@dataclass(frozen=True, slots=True)
class Band:
    """A source's range in the measure's unit; an end that it leaves open is infinite.

    Attributes:
        low, high: Ends.
        is_range: Whether the source calls it a range; else it is its mean +- 1 SD.
        norm: The reference value it comes from.
    """

    low: float
    high: float
    is_range: bool
    norm: Norm

    @property
    def cut_off(self) -> bool:
        """Whether the source speaks of a finding outside."""
        return self.norm.finding and self.is_range


def band_for(trial: Trial, name: str) -> Band | None:
    """Return the range that a measure is drawn against; None where no source gives one.

    Only a reference value of the trial's activity with a citation counts; a cut-off goes before
    a range, and a range before a mean with its standard deviation.
    """
    bands: list[Band] = []
    for norm in trial.norms:
        if norm.measure != name or norm.activity != trial.activity or not norm.citation:
            continue
        if math.isfinite(norm.low) or math.isfinite(norm.high):
            low = norm.low if math.isfinite(norm.low) else -math.inf
            high = norm.high if math.isfinite(norm.high) else math.inf
            bands.append(Band(low, high, True, norm))
        elif math.isfinite(norm.mean) and math.isfinite(norm.sd):
            bands.append(Band(norm.mean - norm.sd, norm.mean + norm.sd, False, norm))
    return min(bands, key=lambda b: (not b.cut_off, not b.is_range), default=None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a value lies to a range.

    Attributes:
        place: inside, above, below, or edge (the interval holds an end of the range).
        sure: Whether the interval was known.
    """

    place: str
    sure: bool


def judge(measure: Measure, band: Band) -> Verdict:
    """Compare a value and its 95 % interval with a range.

    Inside and outside are said only when the whole interval lies there.
    """
    sure = math.isfinite(measure.sigma)
    half = INTERVAL_FACTOR * measure.sigma if sure else 0.0
    low, high = measure.value - half, measure.value + half
    if low > band.high:
        return Verdict("above", sure)
    if high < band.low:
        return Verdict("below", sure)
    if low >= band.low and high <= band.high:
        return Verdict("inside", sure)
    return Verdict("edge", sure)
