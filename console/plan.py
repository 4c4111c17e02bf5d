"""What a session records, take by take, as a plan file or as the operator says it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from console.settings import DetectTable, TieTable
from lab.atomic import make_folder, write_atomically
from lab.errors import LabError
from lab.toml_file import read_toml, toml_bytes

PLAN_FILE = "session.toml"
KINDS = ("calibrate", "floor", "static", "trial")
_NAME = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$", max_length=48)]


class PlannedTake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One recording.

    Attributes:
        kind: calibrate, floor, static or trial.
        name: Of its folder; the kind when empty.
        seconds: At most so long.
        pause_s: Wait so long before it.
    """

    kind: Literal["calibrate", "floor", "static", "trial"]
    name: _NAME | None = None
    seconds: Annotated[float, Meta(gt=0, le=86400)] = 60.0
    pause_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0

    @property
    def folder(self) -> str:
        """Name of the take's folder."""
        return self.name or self.kind


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole session.

    Attributes:
        patient: A code, never a name.
        activity: walk or run.
        treadmill_speed_m_s: None overground.
        encoding: mjpeg, raw, ffv1 or h264.
        nodes: host:port by name.
        detect: What finds the person in the videos: [detect] of every trial.toml.
        tie: How the standing trial ties the plates worn: [tie] of its trial.toml.
        subject: Measures of the person by the keys of [subject] of every trial.toml.
        take: In the order they are recorded.
    """

    patient: _NAME = "P001"
    activity: Literal["walk", "run"] = "walk"
    treadmill_speed_m_s: Annotated[float, Meta(ge=0.1, le=12)] | None = None
    encoding: Literal["mjpeg", "raw", "ffv1", "h264"] = "mjpeg"
    nodes: dict[str, str] = {}
    detect: DetectTable | None = None
    tie: TieTable | None = None
    subject: dict[str, float] = {}
    take: tuple[PlannedTake, ...] = ()


def read_plan(path: Path) -> Plan:
    """Read a session plan.

    Raises:
        FileError: When it is missing or not a plan.
        LabError: When two takes share a name.
    """
    plan = read_toml(path, Plan, "a session plan", "docs/capture.md has an example.")
    names = [take.folder for take in plan.take]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise LabError(
            f"takes share a name: {', '.join(twice)}", where=str(path), remedy="Name each take."
        )
    return plan


def write_plan(plan: Plan, folder: Path) -> Path:
    """Keep a session's plan in its folder, so that whoever goes on with it goes on alike.

    Raises:
        FileError: When it cannot be written.
    """
    path = make_folder(folder, "Write the session where this computer may write.") / PLAN_FILE
    write_atomically(path, toml_bytes(plan, "What this session records; written by gaitlab."))
    return path
