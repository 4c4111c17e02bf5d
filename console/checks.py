"""The checklist before a recording: each line green, or what has to be done first."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from console.calibrating import RigState
from console.cell import BAD, GOOD, LOOK, UNKNOWN, CellNow
from console.lab_folder import SessionState

_AGED = "Calibrate again"
_NO_NODE = "Not known without a camera computer."


@dataclass(frozen=True, slots=True)
class Check:
    """One line.

    Attributes:
        about: What is checked, in two words or so.
        mark: good, look, bad or unknown; bad and unknown hold a recording back.
        words: How it stands, and what to do where it is not good.
        page: Where that is done: rig or calibrate; empty where it is done elsewhere.
    """

    about: str
    mark: str
    words: str
    page: str = ""


def check_capture(
    cell: CellNow, rig: RigState | None, rig_days: float, sessions: Sequence[SessionState]
) -> tuple[Check, ...]:
    """Return the checklist.

    Args:
        cell: The nodes as they stand.
        rig: The rig in use.
        rig_days: From this age on a rig is noted, from twice it on refused.
        sessions: Of the lab, for what the last trial said of the cameras.
    """
    return (
        _rig(rig, rig_days),
        _unmoved(rig, sessions),
        _cameras(cell, rig),
        _clocks(cell),
        _disk(cell),
    )


def ready(checks: Sequence[Check]) -> bool:
    """Whether a recording may begin."""
    return all(c.mark in (GOOD, LOOK) for c in checks)


def _rig(state: RigState | None, rig_days: float) -> Check:
    if state is None:
        return Check("Rig", BAD, "There is none yet: calibrate.", "calibrate")
    if state.rig is None:
        return Check("Rig", BAD, f"It cannot be read. {_AGED}.", "calibrate")
    if not state.accepted:
        return Check("Rig", BAD, f"Its calibration was refused. {_AGED}.", "calibrate")
    age = _age(state.age_days)
    if state.age_days > 2 * rig_days:
        return Check("Rig", BAD, f"It is {age} old; {_AGED.lower()}.", "calibrate")
    if state.age_days > rig_days:
        return Check("Rig", LOOK, f"Accepted, but {age} old.", "calibrate")
    return Check("Rig", GOOD, f"Accepted, {age} old.")


def _age(days: float) -> str:
    if days < 1 / 12:
        return f"{max(1, round(days * 1440))} min"
    return f"{days * 24:.0f} h" if days < 2 else f"{days:.0f} days"


def _unmoved(state: RigState | None, sessions: Sequence[SessionState]) -> Check:
    """Say what the newest processed trial of this rig found."""
    if state is None or state.rig is None:
        return Check("Cameras in place", UNKNOWN, "Not known without a rig.", "calibrate")
    # As written, not as the disk has it: this is asked some times a second.
    rig = os.path.normpath(state.path)
    trials = [
        take
        for session in sessions
        for take in session.takes
        if take.settings is not None
        and take.state in ("accepted", "refused")
        and os.path.normpath(take.folder / take.settings.trial.rig) == rig
    ]
    if not trials:
        return Check("Cameras in place", GOOD, "As calibrated; no trial since to tell otherwise.")
    last = max(trials, key=lambda t: t.processed_s)
    moved = [r for r in last.reasons if "has turned by" in r]
    if moved and last.state == "refused":
        return Check("Cameras in place", BAD, f"{moved[0]}.".replace("..", "."), "calibrate")
    if moved:
        return Check("Cameras in place", LOOK, moved[0], "calibrate")
    return Check("Cameras in place", GOOD, f"The last trial ({last.name}) found none moved.")


def _cameras(cell: CellNow, state: RigState | None) -> Check:
    if not cell.nodes:
        return Check("Cameras", BAD, "No camera computer is known yet.", "rig")
    # A node that answers tells its disk; what else is wrong with it stands on lines of its own.
    node = next((n for n in cell.nodes if n.mark == BAD and math.isnan(n.disk_bytes)), None)
    if node is not None:
        return Check("Cameras", BAD, f"{node.name} {node.words}", "rig")
    bad = next((c for c in cell.cameras if c.mark == BAD), None)
    if bad is not None:
        return Check("Cameras", BAD, f"{bad.name}: {bad.words}.", "rig")
    if not cell.cameras or any(c.mark == UNKNOWN for c in cell.cameras):
        return Check("Cameras", UNKNOWN, "They are being asked.", "rig")
    if state is not None and state.rig is not None:
        there = {c.name for c in cell.cameras}
        missing = sorted(set(state.rig.names) - there)
        if missing:
            return Check("Cameras", BAD, f"{', '.join(missing)} of the rig is not there.", "rig")
        further = sorted(there - set(state.rig.names))
        if further:
            return Check(
                "Cameras", BAD, f"{', '.join(further)} is not in the rig: calibrate.", "calibrate"
            )
    look = next((c for c in cell.cameras if c.mark == LOOK), None)
    if look is not None:
        return Check("Cameras", LOOK, f"{look.name}: {look.words}.", "rig")
    return Check("Cameras", GOOD, f"All {len(cell.cameras)} run.")


def _clocks(cell: CellNow) -> Check:
    known = [n.clock_ms for n in cell.nodes]
    if not known:
        return Check("Clocks", UNKNOWN, _NO_NODE, "rig")
    if any(math.isnan(k) for k in known):
        return Check("Clocks", UNKNOWN, "They are being measured.", "rig")
    worst = max(known)
    if worst > 5.0:
        node = max(cell.nodes, key=lambda n: n.clock_ms)
        return Check("Clocks", BAD, f"{node.name} {node.words}", "rig")
    return Check("Clocks", GOOD, f"Within {worst:.2f} ms of each other (95 %).")


def _disk(cell: CellNow) -> Check:
    known = [(n.disk_bytes, n.name) for n in cell.nodes]
    silent = next((n.name for n in cell.nodes if n.mark == BAD and math.isnan(n.disk_bytes)), None)
    if silent is not None:
        return Check("Disk", UNKNOWN, f"Not known while {silent} is silent.", "rig")
    if not known:
        return Check("Disk", UNKNOWN, _NO_NODE, "rig")
    if any(math.isnan(d) for d, _ in known):
        return Check("Disk", UNKNOWN, "It is being asked for.", "rig")
    least, name = min(known)
    if least < 2e9:
        return Check("Disk", BAD, f"{least / 1e9:.1f} GB left on {name}: make space.")
    if least < 20e9:
        return Check("Disk", LOOK, f"{least / 1e9:.0f} GB left on {name}.")
    return Check("Disk", GOOD, f"{least / 1e9:.0f} GB left at the least.")
