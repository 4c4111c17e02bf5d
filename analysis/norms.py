"""Reference values from configs/norms, each with its source."""

from __future__ import annotations

import math
import tomllib
from importlib.resources import files
from typing import Any

from lab.errors import FileError
from lab.gait import ACTIVITIES
from lab.trial import Norm

_NUMBERS = ("low", "high", "mean", "sd")
_WORDS = ("measure", "unit", "definition", "population", "speed", "citation", "grade")
_UNITS = ("rad", "m", "s", "1/min", "1")


def load_norms(activity: str) -> tuple[Norm, ...]:
    """Return the reference values of an activity, in the order of configs/norms/<activity>.toml.

    Args:
        activity: walk or run.

    Raises:
        FileError: When an entry lacks its source or cannot be read.
        ValueError: When the activity is neither.
    """
    if activity not in ACTIVITIES:
        raise ValueError(f"activity must be one of {ACTIVITIES}, got {activity!r}")
    path = files("configs").joinpath("norms", f"{activity}.toml")
    return parse_norms(path.read_text(encoding="utf-8"), activity, f"norms/{activity}.toml")


def parse_norms(text: str, activity: str, where: str) -> tuple[Norm, ...]:
    """Return the reference values in a TOML text of [[norm]] tables.

    Args:
        text: TOML.
        activity: walk or run.
        where: The file's name, for messages.

    Raises:
        FileError: When an entry lacks its source, has no number, or cannot be read.
    """
    try:
        entries = tomllib.loads(text).get("norm", [])
    except tomllib.TOMLDecodeError as error:
        raise FileError(
            f"the file is not valid TOML ({error})", where=where, remedy="Mend the line."
        ) from error
    return tuple(_norm(entry, activity, where) for entry in entries)


def _norm(entry: dict[str, Any], activity: str, where: str) -> Norm:
    name = entry.get("measure") or "a norm without measure"
    missing = [key for key in _WORDS if not str(entry.get(key, "")).strip()]
    if missing:
        raise FileError(
            f"{name} lacks {', '.join(missing)}",
            where=where,
            remedy="Give every reference value all of its words; without a source it is not used.",
        )
    if entry["unit"] not in _UNITS:
        raise FileError(
            f"{name} has the unit {entry['unit']!r}",
            where=where,
            remedy=f"Use one of {', '.join(_UNITS)}; angles are given under keys in _deg.",
        )
    suffix = "_deg" if entry["unit"] == "rad" else ""
    allowed = {*_WORDS, "finding", *(key + suffix for key in _NUMBERS)}
    unknown = sorted(set(entry) - allowed)
    if unknown:
        raise FileError(
            f"{name} has keys that are not known: {', '.join(unknown)}",
            where=where,
            remedy=f"Use {', '.join(sorted(allowed))}.",
        )
    numbers = {key: _number(entry, key + suffix, name, where) for key in _NUMBERS}
    if all(math.isnan(value) for value in numbers.values()):
        raise FileError(
            f"{name} has no number", where=where, remedy="Give a range, or a mean and its sd."
        )
    if not isinstance(entry.get("finding"), bool):
        raise FileError(
            f"{name}: finding is not true or false",
            where=where,
            remedy="Write true only where the source itself names a cut-off.",
        )
    if numbers["low"] > numbers["high"] or numbers["sd"] < 0:
        raise FileError(
            f"{name}: low lies above high, or sd is negative",
            where=where,
            remedy="Correct the numbers.",
        )
    if suffix:
        numbers = {key: math.radians(value) for key, value in numbers.items()}
    words = {key: str(entry[key]) for key in _WORDS}
    return Norm(
        measure=words["measure"],
        low=numbers["low"],
        high=numbers["high"],
        mean=numbers["mean"],
        sd=numbers["sd"],
        unit=words["unit"],
        activity=activity,
        definition=words["definition"],
        population=words["population"],
        speed=words["speed"],
        citation=words["citation"],
        grade=words["grade"],
        finding=entry["finding"],
    )


def _number(entry: dict[str, Any], key: str, name: str, where: str) -> float:
    value = entry.get(key, math.nan)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FileError(
            f"{name}: {key} is not a number", where=where, remedy="Write it without quotes."
        )
    return float(value)
