"""The report as PDF/A: a Trial in, one file out, the same bytes for the same trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lab.errors import LabError
from lab.gait import SIDES
from lab.trial import NOTED, Trial
from report.cycles import side_cycles
from report.figures import planes
from report.files import replace_file
from report.findings import FindingText, load_findings
from report.numbers import time_text
from report.quality import quality
from report.summary import summary
from report.tables import changes, references, spatiotemporal, standing, values, withheld
from report.typesetting import typeset, typeset_pages
from report.words import sentence

if TYPE_CHECKING:
    from report.stills import Still

_TEMPLATES = ("report.typ", "style.typ", "plots.typ", "pages.typ")
_JPEG_QUALITY = 90
_REASONS_ON_EVERY_PAGE = 4
_REASON_LENGTH = 240
_CODE_LENGTH = 28
_NOTHING: Mapping[Any, Any] = MappingProxyType({})


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}\u2026"


def refusals(trial: Trial, flags: Sequence[str] = ()) -> list[str]:
    """Return why the report must not be relied on; empty when nothing speaks against it."""
    reasons = [*flags]
    if not trial.accepted:
        reasons += trial.reasons or ("The trial was refused without a reason.",)
    if trial.rig is not None and not trial.rig.quality.accepted:
        why = trial.rig.quality.reasons or ("no reason given",)
        said = " ".join(reasons)
        reasons += [f"Calibration refused: {r}" for r in why if r not in said]
    return list(dict.fromkeys(sentence(r) for r in reasons))


def _meta(trial: Trial) -> list[dict[str, str]]:
    activity = "Running" if trial.activity == "run" else "Walking"
    speed = trial.treadmill_speed_m_s
    if speed == speed:  # not NaN: a treadmill
        activity = f"{activity}, {speed:.1f}\u00a0m/s"
    counts = [len(side_cycles(trial, s)) for s in SIDES]
    strides = ", ".join(f"{n} {s}" for n, s in zip(counts, SIDES, strict=True))
    items = [
        ("Patient code", trial.patient),
        ("Recorded", time_text(trial.recorded) or "not known"),
        ("Activity", activity if speed == speed else f"{activity}, overground"),
        ("Strides", strides if any(counts) else "none complete"),
    ]
    subject = [
        f"{trial.subject[key]:.{digits}f}\u00a0{unit}"
        for key, digits, unit in (
            ("age_years", 0, "years"),
            ("height_m", 2, "m"),
            ("mass_kg", 0, "kg"),
        )
        if key in trial.subject
    ]
    if subject:
        items.append(("Person", ", ".join(subject)))
    return [{"label": label, "value": value} for label, value in items]


def _state(trial: Trial, refused: list[str]) -> dict[str, str]:
    if refused:
        return {"state": "refused", "sign": "\u2717", "word": "Measurement refused"}
    if trial.reasons:
        return {"state": "look", "sign": "!", "word": "Measurement accepted, with notes"}
    return {"state": "accepted", "sign": "\u2713", "word": "Measurement accepted"}


def _banner(refused: list[str]) -> dict[str, Any] | None:
    if not refused:
        return None
    shown = [_shortened(r, _REASON_LENGTH) for r in refused if not r.casefold().startswith(NOTED)]
    if len(shown) > _REASONS_ON_EVERY_PAGE:
        left = len(shown) - _REASONS_ON_EVERY_PAGE + 1
        shown = [
            *shown[: _REASONS_ON_EVERY_PAGE - 1],
            f"and {left} more reasons, all on the page \u201cQuality of the measurement\u201d",
        ]
    return {
        "head": "\u2717 REFUSED: do not base treatment on these numbers",
        "reasons": shown,
    }


def page_content(
    trial: Trial,
    *,
    stills: Sequence[Still] = (),
    findings_text: Mapping[str, FindingText] | None = None,
    flags: Sequence[str] = (),
    previous: Trial | None = None,
    revisit_sigma: Mapping[str, float] = _NOTHING,
) -> dict[str, Any]:
    """Return everything the template prints, as plain values; arguments as in `make_pdf`."""
    refused = refusals(trial, flags)
    rows, definitions = values(trial)
    kind = "Running" if trial.activity == "run" else "Walking"
    return {
        "title": f"{kind} gait report",
        "patient": _shortened(trial.patient, _CODE_LENGTH),
        "trial": f"{kind}, {trial.recorded[:10] or 'date not known'}",
        "software": trial.provenance.software,
        "meta": _meta(trial),
        "state": _state(trial, refused),
        "banner": _banner(refused),
        "notes": refused or [sentence(r) for r in trial.reasons],
        "refused": bool(refused),
        "summary": summary(
            trial,
            load_findings() if findings_text is None else findings_text,
            previous,
            revisit_sigma,
            refused=bool(refused),
        ),
        "spatiotemporal": spatiotemporal(trial),
        "over_cycle": bool(trial.cycles),
        "planes": planes(trial),
        "stills": [
            {
                "file": f"still{i}.jpg",
                "caption": s.caption,
                "place": ", ".join(p for p in (s.camera, f"{s.t:.2f} s") if p not in s.caption),
            }
            for i, s in enumerate(stills)
        ],
        "landscape": bool(stills) and all(s.image.shape[1] > s.image.shape[0] for s in stills),
        "values": rows,
        "definitions": definitions,
        "standing": standing(trial),
        "changes": [] if refused else changes(trial, previous, revisit_sigma),
        "withheld": withheld(trial),
        "quality": quality(trial),
        "references": references(trial),
    }


def _timestamp(trial: Trial) -> datetime:
    created = trial.provenance.created
    try:
        moment = datetime.fromisoformat(created)
    except ValueError as error:
        raise LabError(
            f"the time of making is not ISO 8601: {created!r}",
            where="provenance.created",
            remedy="Process the trial again.",
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _jpeg(still: Still) -> bytes:
    # Reports without pictures need not wait for it.
    import cv2

    quality_flags = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, jpeg = cv2.imencode(".jpg", still.image[..., ::-1], quality_flags)
    return jpeg.tobytes()


def make_pdf(
    trial: Trial,
    *,
    stills: Sequence[Still] = (),
    findings_text: Mapping[str, FindingText] | None = None,
    flags: Sequence[str] = (),
    previous: Trial | None = None,
    revisit_sigma: Mapping[str, float] = _NOTHING,
) -> bytes:
    """Return the report of one walk as PDF/A, A4; the same trial gives the same bytes.

    Args:
        trial: The walk. Its time of making becomes the file's date.
        stills: Pictures with the skeleton drawn in.
        findings_text: Consequence and exercise by finding; without it, those of
            configs/norms/findings.toml.
        flags: Further reasons why the report must not be relied on; they stand on every page.
        previous: An earlier visit to compare with.
        revisit_sigma: Standard uncertainty of placing markers or finding landmarks anew at one
            visit, by measure, in the measure's unit. Where absent the page says so.

    Raises:
        LabError: When a finding's text is missing, or the trial's time of making cannot be read.
    """
    content = page_content(
        trial,
        stills=stills,
        findings_text=findings_text,
        flags=flags,
        previous=previous,
        revisit_sigma=revisit_sigma,
    )
    pictures = {f"still{i}.jpg": _jpeg(still) for i, still in enumerate(stills)}
    return typeset(_TEMPLATES, content, _timestamp(trial), pictures)


def put_pdf(pdf: bytes, path: Path | str) -> None:
    """Put a report in its place in one step.

    Raises:
        FileError: When the file cannot be written; an older one is then still whole.
    """
    replace_file(Path(path), lambda beside: beside.write_bytes(pdf))


def write_pages(
    trial: Trial,
    folder: Path | str,
    *,
    stills: Sequence[Still] = (),
    findings_text: Mapping[str, FindingText] | None = None,
    previous: Trial | None = None,
    dpi: float = 110.0,
) -> list[Path]:
    """Write each page of the report as a PNG, page-1.png and so on; older ones are removed.

    The pages are set from the same template and content as `make_pdf` sets them.

    Raises:
        LabError, FileError: As of `make_pdf` and `put_pdf`.
    """
    content = page_content(trial, stills=stills, findings_text=findings_text, previous=previous)
    pictures = {f"still{i}.jpg": _jpeg(still) for i, still in enumerate(stills)}
    pages = typeset_pages(_TEMPLATES, content, pictures, dpi)
    into = Path(folder)
    into.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, page in enumerate(pages, start=1):
        path = into / f"page-{number}.png"
        replace_file(path, lambda beside, page=page: beside.write_bytes(page))
        paths.append(path)
    for old in into.glob("page-*.png"):
        if old not in paths:
            old.unlink()
    return paths
