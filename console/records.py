"""A trial folder's outputs: the record first, then every view of it."""

from __future__ import annotations

import importlib.resources
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from console.settings import RECORD, REPORT, TrialSettings
from console.stills import make_stills
from lab.store import save_trial
from lab.trial import Trial
from report.findings import FindingText, read_findings
from report.pdf import make_pdf, put_pdf, write_pages


def write_record(trial: Trial, folder: Path, settings: TrialSettings) -> tuple[Path, Path]:
    """Write trial.h5 and report.pdf beside the trial's data.

    Returns:
        The paths of both.

    Raises:
        FileError: When one cannot be written; what stood there before is then still whole.
    """
    record, report = folder / RECORD, folder / REPORT
    # Setting the pages lets go of Python's lock: meanwhile the record is written.
    with ThreadPoolExecutor(1, "report") as pool:
        pages = pool.submit(_make_report, trial, folder, settings)
        save_trial(trial, record)
    put_pdf(pages.result(), report)
    return record, report


def write_report(
    trial: Trial,
    path: Path,
    folder: Path | None = None,
    settings: TrialSettings | None = None,
    previous: Trial | None = None,
) -> None:
    """Write the page of a trial, with stills where its videos are at hand."""
    put_pdf(_make_report(trial, folder, settings, previous), path)


def write_page_pictures(
    trial: Trial,
    into: Path,
    folder: Path | None = None,
    settings: TrialSettings | None = None,
    previous: Trial | None = None,
) -> list[Path]:
    """Write each page of a trial's report as a picture, to look at before it is printed."""
    stills = [] if folder is None or settings is None else make_stills(trial, folder, settings)
    return write_pages(trial, into, stills=stills, findings_text=_findings(), previous=previous)


def _make_report(
    trial: Trial,
    folder: Path | None,
    settings: TrialSettings | None,
    previous: Trial | None = None,
) -> bytes:
    stills = [] if folder is None or settings is None else make_stills(trial, folder, settings)
    return make_pdf(trial, stills=stills, findings_text=_findings(), previous=previous)


def _findings() -> dict[str, FindingText]:
    with importlib.resources.as_file(
        importlib.resources.files("configs") / "norms" / "findings.toml"
    ) as findings:
        return read_findings(findings)
