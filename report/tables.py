"""The tables: times and distances, all values with their definitions, changes, references."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lab.gait import SIDES, Measure
from lab.trial import Norm, Trial
from report.change import change_between
from report.findings import FINDINGS
from report.numbers import (
    INTERVAL_FACTOR,
    display_of,
    measure_quantity,
    quantity,
    signed,
    spread_text,
)
from report.words import listing, measure_words, readable, sentence

_TIME_AND_DISTANCE = ("s", "m", "1/min")
_STANDING = ("pelvis_obliquity", "pelvis_tilt", "trunk_lean_forward", "trunk_lean_lateral")
_COMPARED = frozenset(
    {name for finding in FINDINGS for name in finding.measures}
    | {"pelvic_tilt_stance_mean", "trunk_lean_lateral_peak"}
    | {"cadence", "contact_time", "flight_time", "stride_length", "step_width"}
)


def _names(trial: Trial) -> list[str]:
    return list(dict.fromkeys(m.name for m in trial.measures))


def _label(name: str) -> dict[str, str]:
    words = measure_words(name)
    return {
        "plain": words.plain,
        "term": words.term,
        "clinical": sentence(words.term or words.plain),
    }


def _number(measure: Measure | None) -> dict[str, str] | None:
    if measure is None:
        return None
    printed = measure_quantity(measure)
    return {
        "value": printed.value,
        "interval": printed.interval,
        "unit": printed.unit,
        "spread": spread_text(measure),
        "n": str(measure.n),
    }


def spatiotemporal(trial: Trial) -> list[dict[str, Any]]:
    """Return the rows of times and distances, left and right, or both in one."""
    return [
        {
            **_label(name),
            "unit": display_of(name, unit).unit,
            **{side: _number(trial.measure(name, side)) for side in (*SIDES, "both")},
        }
        for name in _names(trial)
        if (unit := next(m.unit for m in trial.measures if m.name == name)) in _TIME_AND_DISTANCE
    ]


def values(trial: Trial) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Return the rows of all measures, and the definitions that their codes stand for."""
    codes: dict[str, str] = {}
    rows = []
    for name in _names(trial):
        measures = [m for m in trial.measures if m.name == name]
        for m in measures:
            codes.setdefault(m.definition, f"D{len(codes) + 1}")
        rows.append(
            {
                **_label(name),
                "unit": display_of(name, measures[0].unit).unit,
                "code": ", ".join(dict.fromkeys(codes[m.definition] for m in measures)),
                **{side: _number(trial.measure(name, side)) for side in (*SIDES, "both")},
            }
        )
    return rows, [{"code": code, "text": text} for text, code in codes.items()]


def withheld(trial: Trial) -> list[dict[str, str]]:
    """Return what is not given, and why; measures of one reason stand together."""
    sides_of: dict[str, dict[str, list[str]]] = {}
    for key, reason in trial.withheld.items():
        name, _, side = key.partition(" ")
        sides_of.setdefault(reason, {}).setdefault(name, []).append(side)
    reasons_of: dict[str, list[str]] = {}
    for reason, names in sides_of.items():
        labels = []
        for name, sides in names.items():
            words = measure_words(name)
            # A side is named where only one is missing and the reason does not name it.
            one = len(sides) == 1 and sides[0] in SIDES and sides[0] not in reason.lower()
            own = sides[0] if one else ""
            labels.append(sentence(words.term or words.plain) + (f" ({own})" if own else ""))
        reasons_of.setdefault("; ".join(labels), []).append(sentence(reason))
    return [{"names": names, "reason": "; ".join(why)} for names, why in reasons_of.items()]


def changes(
    trial: Trial, previous: Trial | None, revisit_sigma: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return the report's main numbers beside their last values, and what can be detected."""
    rows = []
    for now in trial.measures if previous is not None else ():
        before = previous.measure(now.name, now.side) if previous is not None else None
        if before is None or now.name not in _COMPARED:
            continue
        printed = measure_quantity(now)
        printed_before = measure_quantity(before)
        row = {
            **_label(now.name),
            "side": now.side,
            "before": {"value": printed_before.value, "interval": printed_before.interval},
            "now": {"value": printed.value, "interval": printed.interval},
            "unit": printed.unit,
            "difference": "\u2013",
            "limit": "\u2013",
        }
        if now.unit != before.unit or now.definition != before.definition:
            rows.append({**row, "word": "another definition"})
            continue
        change = change_between(now, before, revisit_sigma.get(now.name, math.nan))
        display = display_of(now.name, now.unit)
        difference = quantity(change.difference, change.limit / INTERVAL_FACTOR, display)
        row["difference"] = difference.value
        if not math.isfinite(change.limit):
            word = "interval not known"
        elif not change.detectable:
            word = "no detectable change"
        else:
            word = "changed" if change.landmarks_included else "more than noise"
        if math.isfinite(change.limit):
            row["limit"] = difference.interval
        rows.append({**row, "word": word})
    return rows


def _norm_value(norm: Norm) -> str:
    display = display_of(norm.measure, norm.unit)
    gap = "" if display.unit == "\u00b0" else "\u00a0"

    def shown(x: float) -> str:
        x *= display.factor
        whole = abs(x - round(x)) < 1e-6
        return signed(x, 0 if whole else max(display.decimals, 1))

    parts = []
    if math.isfinite(norm.low) and math.isfinite(norm.high):
        parts.append(f"{shown(norm.low)} to {shown(norm.high)}{gap}{display.unit}")
    elif math.isfinite(norm.low):
        parts.append(f"from {shown(norm.low)}{gap}{display.unit}")
    elif math.isfinite(norm.high):
        parts.append(f"up to {shown(norm.high)}{gap}{display.unit}")
    if math.isfinite(norm.mean):
        sd = f" (SD {shown(norm.sd)})" if math.isfinite(norm.sd) else ""
        parts.append(f"mean {shown(norm.mean)}{gap}{display.unit}{sd}")
    return ", ".join(parts)


def references(trial: Trial) -> list[dict[str, str]]:
    """Return the reference values of this activity that have a source."""
    rows = []
    for norm in trial.norms:
        if norm.activity != trial.activity or not norm.citation:
            continue
        speed = f"speed {norm.speed}" if norm.speed.startswith("not ") else norm.speed
        about = [norm.definition, norm.population, speed]
        rows.append(
            {
                **_label(norm.measure),
                "value": _norm_value(norm),
                "about": sentence("; ".join(a for a in about if a)),
                "citation": norm.citation,
                "grade": norm.grade,
            }
        )
    return rows


def standing(trial: Trial) -> str:
    """Return the standing reference as one line of text, empty without one."""
    values_text = [
        f"{readable(name)} {signed(math.degrees(value), 1)}\u00b0"
        for name, value in trial.static.items()
        if name in _STANDING and math.isfinite(value)
    ]
    return f"In the standing trial: {listing(values_text)}." if values_text else ""
