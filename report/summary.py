"""The first page: what was measured, how it lies to a range, how sure, what changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lab.gait import SIDES, Measure
from lab.trial import Trial
from report.change import change_between
from report.cycles import side_cycles
from report.figures import dot_chart
from report.findings import (
    FINDINGS,
    Band,
    FindingText,
    Verdict,
    band_for,
    finding_measures,
    judge,
)
from report.numbers import (
    INTERVAL_FACTOR,
    PLUS_MINUS,
    display_of,
    measure_quantity,
    quantity,
    signed,
)
from report.words import listing, measure_words, sentence

NOT_KNOWN = "interval not known"
WITHOUT_CALIBRATION = "interval without calibration error"
RESEARCH_NOTE = (
    "Studies so far do not support these four, taken by themselves, as markers of low-back pain "
    "(Drozda 2024; Smith 2022). What they mean for you is for you and your clinician to judge."
)
_NOT_COMPARED = {
    "sides": "",
    "sign": "",
    "state": "plain",
    "word": "Not compared: the measurement was refused",
}
_MORE = ("cadence", "contact_time", "flight_time", "stride_length", "step_width")
_MORE_SHOWN = 4


def calibration_known(trial: Trial) -> bool:
    """Return whether calibration error could be part of the intervals."""
    return trial.rig is not None and trial.rig.has_covariance


def interval_note(trial: Trial, measure: Measure) -> str:
    """Return what the reader must know of a measure's interval, empty when it is whole."""
    if not math.isfinite(measure.sigma):
        return NOT_KNOWN
    return "" if calibration_known(trial) else WITHOUT_CALIBRATION


def _note(trial: Trial, sides: Mapping[str, Measure]) -> str:
    """Return what must be known of a finding's intervals, once where both sides agree."""
    notes: dict[str, list[str]] = {}
    for side, measure in sides.items():
        notes.setdefault(interval_note(trial, measure), []).append(side)
    if len(notes) == 1:
        return next(iter(notes))
    return "; ".join(f"{listing(names)}: {note}" for note, names in notes.items() if note)


def withheld_reason(trial: Trial, name: str, side: str = "") -> str:
    """Return why a measure is not given, or an empty text; without a side, of any side."""
    sides = (side,) if side else (*SIDES, "both")
    keys = (name, *(f"{name} {s}" for s in sides))
    return sentence(next((trial.withheld[k] for k in keys if k in trial.withheld), ""))


def _place_words(band: Band, verdict: Verdict) -> str:
    if band.is_range:
        words = {"inside": "within the range", "above": "above the range"}
        words["below"] = "below the range"
    else:
        words = {"inside": f"within the group's mean {PLUS_MINUS}\u00a01\u00a0SD"}
        words["above"] = f"above the group's mean {PLUS_MINUS}\u00a01\u00a0SD"
        words["below"] = f"below the group's mean {PLUS_MINUS}\u00a01\u00a0SD"
    place = words.get(verdict.place, "too close to call")
    return place if verdict.sure else f"perhaps {place}"


def _verdicts(band: Band | None, sides: Mapping[str, Measure]) -> list[dict[str, str]]:
    """Return the verdicts as word, sign and state; both sides in one where they agree."""
    if band is None:
        return [
            {"sides": "", "sign": "", "state": "plain", "word": "No published range to compare"}
        ]
    found: dict[str, tuple[Verdict, list[str]]] = {}
    for side, measure in sides.items():
        verdict = judge(measure, band)
        found.setdefault(_place_words(band, verdict), (verdict, []))[1].append(side)
    lines = []
    for word, (verdict, names) in found.items():
        state, sign = "plain", ""
        if band.cut_off and verdict.place == "inside" and verdict.sure:
            state, sign = "accepted", "\u2713"
        elif band.cut_off and verdict.place in ("above", "below") and verdict.sure:
            state, sign = "look", "\u25b2" if verdict.place == "above" else "\u25bc"
        who = sentence(listing(names)) if names != ["both"] else ""
        lines.append({"sides": who, "sign": sign, "state": state, "word": word})
    return lines


def _range_text(band: Band) -> str:
    display = display_of(band.norm.measure, band.norm.unit)
    gap = "" if display.unit == "\u00b0" else "\u00a0"
    ends = [e * display.factor for e in (band.low, band.high)]
    decimals = 0 if all(math.isinf(e) or abs(e - round(e)) < 1e-6 for e in ends) else 1
    low, high = (signed(e, decimals) if math.isfinite(e) else "" for e in ends)
    if not low:
        return f"up to {high}{gap}{display.unit}"
    if not high:
        return f"from {low}{gap}{display.unit}"
    return f"{low} to {high}{gap}{display.unit}"


def _source(band: Band | None) -> str:
    """Return the caption of the grey band: whose range, of whom, from where."""
    if band is None:
        return ""
    kind = "" if band.is_range else f" (mean {PLUS_MINUS} 1 SD)"
    of = f", {band.norm.population}" if band.norm.population else ""
    return f"Grey: {_range_text(band)}{kind}{of}. {band.norm.citation}"


def _finding(
    trial: Trial, name: str, sides: dict[str, Measure], text: FindingText | None, refused: bool
) -> dict[str, Any]:
    words = measure_words(name)
    band = band_for(trial, name)
    wanted = [s for s in ("both",) if s in sides] or list(SIDES)
    rows = []
    for side in wanted:
        measure = sides.get(side)
        if measure is None:
            # There is room for little beside the other side; the whole stands with all values.
            reason = withheld_reason(trial, name, side).partition(";")[0]
            rows.append({"side": side, "known": False, "note": reason or "not measured"})
            continue
        printed = measure_quantity(measure)
        rows.append(
            {
                "side": side,
                "known": True,
                "value": printed.value,
                "interval": printed.interval,
                "unit": printed.unit,
                "note": "",
            }
        )
    return {
        "note": _note(trial, sides),
        "title": words.plain,
        "term": words.term,
        "low": words.low,
        "high": words.high,
        "rows": rows,
        "reason": ""
        if sides
        else withheld_reason(trial, name) or "The trial holds no such number.",
        "chart": dot_chart(name, sides, band) if sides else None,
        "verdicts": [_NOT_COMPARED] if refused else _verdicts(band, sides) if sides else [],
        "source": _source(band) if sides else "",
        "consequence": text.consequence if text and sides else "",
        "exercise": text.exercise if text and sides else "",
    }


def _measured(trial: Trial) -> str:
    verb = "ran" if trial.activity == "run" else "walked"
    where = (
        f" on a treadmill at {trial.treadmill_speed_m_s:.1f}\u00a0m/s"
        if math.isfinite(trial.treadmill_speed_m_s)
        else ""
    )
    points = len(trial.points.names)
    seen = len(trial.keypoints)
    body = f"{points} points on your body"
    if seen:
        how = f"{sentence(_count(seen))} cameras followed {body} while you {verb}{where}"
    else:
        how = f"The paths of {body} while you {verb}{where} were read from a file"
    left, right = (len(side_cycles(trial, s)) for s in SIDES)
    if not left and not right:
        return f"{how}. No complete stride was found, so no number per stride is given."
    return (
        f"{how}. The numbers are means over {_strides(left, 'left')} and "
        f"{_strides(right, 'right')}. The side named is that of the leg on the ground."
    )


def _count(n: int) -> str:
    small = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return small[n] if n < len(small) else str(n)


def _strides(n: int, side: str) -> str:
    return f"{_count(n)} {side} stride{'' if n == 1 else 's'}"


def _outside(findings: list[dict[str, Any]]) -> str:
    by_word: dict[str, list[str]] = {}
    for finding in findings:
        for verdict in finding["verdicts"]:
            side = f" ({verdict['sides'].lower()})" if len(finding["verdicts"]) > 1 else ""
            by_word.setdefault(verdict["word"], []).append(f"{_lower(finding['title'])}{side}")
    if not by_word:
        return "That cannot be said: none of the four could be measured."
    parts = [f"{sentence(word)}: {listing(names)}." for word, names in by_word.items()]
    return " ".join(parts)


def _sure(trial: Trial, measures: list[Measure]) -> str:
    known = [m for m in measures if math.isfinite(m.sigma) and m.unit == "rad"]
    if not measures:
        return "There is no number to be sure of. The last pages show how good the recording was."
    if not known:
        return (
            "How exact the points are is not known, so no interval can be given: read the numbers "
            f"with care ({NOT_KNOWN})."
        )
    halves = sorted((INTERVAL_FACTOR * m.sigma, measure_quantity(m).interval) for m in known)
    low, high = halves[0][1], halves[-1][1]
    width = (
        f"{PLUS_MINUS} {low}\u00b0"
        if low == high
        else (f"{PLUS_MINUS} {low}\u00b0 to {PLUS_MINUS} {high}\u00b0")
    )
    landmarks = (
        " the finding of landmarks on the body,"
        if "landmark_sigma_most_mm" in trial.quality
        else ""
    )
    holds = (
        f"It holds the noise of the cameras,{landmarks} their calibration and the direction of "
        "gravity."
        if calibration_known(trial)
        else f"It is an {WITHOUT_CALIBRATION}: how well the cameras were calibrated is not known."
    )
    # What all cameras get wrong of a joint together leaves no residual to know it by.
    lasting = (
        " What all cameras get wrong alike of the joints found in the pictures is not in it."
        if trial.keypoints and not landmarks
        else ""
    )
    some = "" if len(known) == len(measures) else " For some numbers it is not known."
    return (
        f"Every number stands with its 95 % interval; for the findings that is {width}. "
        f"{holds}{lasting}{some}"
    )


def _changed(
    trial: Trial, previous: Trial | None, names: list[str], revisit: Mapping[str, float]
) -> str:
    if previous is None:
        return "There is no earlier measurement to compare with."
    found: dict[str, list[str]] = {}
    none = missing = False
    landmarks = True
    for name in names:
        for now in (m for m in trial.measures if m.name == name):
            before = previous.measure(name, now.side)
            change = None
            if before is not None and before.unit == now.unit:
                change = change_between(now, before, revisit.get(name, math.nan))
            if change is None or not change.comparable or not math.isfinite(change.limit):
                missing = True
                continue
            if not change.detectable:
                none = True
                continue
            landmarks = landmarks and change.landmarks_included
            display = display_of(name, now.unit)
            by = quantity(change.difference, change.limit / INTERVAL_FACTOR, display)
            plus = "+" if change.difference > 0 else ""
            side = "" if now.side == "both" else f"{now.side} "
            found.setdefault(name, []).append(f"{side}{plus}{by.value}{by.unit}")
    parts = []
    if found:
        head = "Changed" if landmarks else "Differs by more than the measurement's noise"
        items = [f"{_lower(measure_words(n).plain)} {', '.join(v)}" for n, v in found.items()]
        parts.append(f"{head}: {'; '.join(items)}.")
    if none:
        where = "the others" if found else "the four findings"
        parts.append(f"No detectable change in {where}.")
    if found and not landmarks:
        parts.append("Whether the body points were found alike on both days is not known.")
    if missing:
        parts.append("Some numbers cannot be compared.")
    return " ".join(parts)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _more(trial: Trial) -> list[dict[str, Any]]:
    cells = []
    for name in _MORE:
        sides = [
            m
            for side in (*SIDES, "both")
            if (m := trial.measure(name, side)) is not None and math.isfinite(m.value)
        ]
        if not sides:
            continue
        words = measure_words(name)
        cells.append(
            {
                "label": words.plain,
                "term": words.term,
                "values": [
                    {
                        "side": m.side,
                        "text": measure_quantity(m).text,
                        "note": interval_note(trial, m),
                    }
                    for m in sides
                ],
            }
        )
    return cells[:_MORE_SHOWN]


def summary(
    trial: Trial,
    texts: Mapping[str, FindingText],
    previous: Trial | None,
    revisit_sigma: Mapping[str, float],
    *,
    refused: bool,
) -> dict[str, Any]:
    """Return the first page as the template reads it.

    A refused measurement shows its numbers, but says nothing about ranges, certainty, change or
    exercise.

    Args:
        trial: The walk.
        texts: Consequence and exercise by finding.
        previous: The visit to compare with.
        revisit_sigma: Standard uncertainty of finding the landmarks anew, by measure, in its unit.
        refused: Whether the measurement was refused.
    """
    texts = {} if refused else texts
    chosen = [(finding, *finding_measures(trial, finding)) for finding in FINDINGS]
    findings = [
        _finding(trial, name, sides, texts.get(f.name), refused) for f, name, sides in chosen
    ]
    measured = [m for _, _, sides in chosen for m in sides.values()]
    names = [name for _, name, sides in chosen if sides]
    if refused:
        outside = "That is not said: the measurement was refused."
        sure = (
            "Not sure enough. The reasons stand at the head of every page, and the intervals "
            "printed here may be too narrow."
        )
        changed = "No comparison is made with a refused measurement."
    else:
        outside, sure = _outside(findings), _sure(trial, measured)
        changed = _changed(trial, previous, names, revisit_sigma)
    return {
        "answers": [
            {"question": "What was measured", "text": _measured(trial)},
            {"question": "Outside a range?", "text": outside},
            {"question": "How sure are we?", "text": sure},
            {"question": "Since last time", "text": changed},
        ],
        "findings": findings if measured else [],
        "advice": listing(list(dict.fromkeys(t.citation for t in texts.values()))),
        "more": _more(trial),
        "head": "The four numbers" if refused else "What to talk about",
        "note": RESEARCH_NOTE if measured else "",
    }
