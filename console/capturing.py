"""A capture session without a screen: takes recorded, collected, and laid out for processing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from capture.discovery import find_nodes
from capture.door import is_loopback
from capture.keys import ClientKeys, own_keys, trusted_keys
from capture.landing import TIMES, Landed, land_take
from capture.session import Session, Take
from capture.watch import NodeAddress
from console.plan import Plan, PlannedTake
from console.provenance import now
from console.settings import TRIAL_FILE
from lab.atomic import write_atomically
from lab.errors import LabError
from lab.toml_file import toml_bytes

Progress = Callable[[int, int, str], None]
# Enough exchanges for a fit that carries the first trial: at 25 a second.
_SETTLE_S = 4.0


_SEARCH_S = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """One take, landed or not.

    Attributes:
        take: As planned.
        landed: None where it could not be collected or used.
        fault: Why not; empty otherwise.
    """

    take: PlannedTake
    landed: Landed | None
    fault: str = ""


def search_nodes(
    names: Sequence[str], keys: Path | None, network: str | None, say: Callable[[str], None]
) -> dict[str, str]:
    """Look for nodes on the local network; only those that this computer is enrolled with count.

    Args:
        names: Wanted; empty for every enrolled one that answers.
        keys: The folder of keys.
        network: This computer's address on the cameras' network; None for all of its networks.
        say: Called with a sentence for each node that is left out or does not answer.

    Returns:
        host:port by name.

    Raises:
        LabError: When a wanted one does not answer, or none does.
    """
    trusted = trusted_keys(keys) if keys is not None else {}
    found = find_nodes(_SEARCH_S, network)
    usable = {n: p for n, p in found.items() if n in trusted}
    missing = [n for n in names if n not in usable]
    strangers = [n for n in found if n not in trusted]
    remedy = "Run gaitlab node there, or say where it is: --node NAME=HOST:PORT."
    if strangers:
        remedy += f" Not enrolled with this computer: {', '.join(strangers)}; gaitlab node enrol."
    if missing:
        raise LabError(f"node {', '.join(missing)} did not answer on this network", remedy=remedy)
    if not usable:
        raise LabError("no camera computer answered on this network", remedy=remedy)
    if names:
        usable = {n: usable[n] for n in names}
    else:
        for name in strangers:
            say(f"node {name} answers, but is not enrolled with this computer: it is left out")
        for name in sorted(set(trusted) - set(usable)):
            say(f"node {name} is enrolled with this computer and does not answer: it is left out")
    return {n: f"{p.host}:{p.port}" for n, p in usable.items()}


def node_addresses(nodes: Mapping[str, str], keys: Path | None) -> list[NodeAddress]:
    """Return where the nodes are and what they are let in by.

    Args:
        nodes: host:port by name.
        keys: The folder of keys; None on loopback only.

    Raises:
        LabError: For an address that is none, a node beyond loopback without keys, or one that
            this computer was not enrolled with.
    """
    found = []
    trusted = trusted_keys(keys) if keys is not None else {}
    for name, address in nodes.items():
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise LabError(
                f'"{address}" is no address of node {name}', remedy="Write NAME=HOST:PORT."
            )
        if keys is None:
            if not is_loopback(host):
                raise LabError(
                    f"node {name} on {host} is not on this computer, and no keys are given",
                    remedy="Enrol it with gaitlab node enrol and give --keys.",
                )
            found.append(NodeAddress(name, f"tcp://{host}:{port}"))
            continue
        if name not in trusted and is_loopback(host):
            # A node of this very computer needs no keys.
            found.append(NodeAddress(name, f"tcp://{host}:{port}"))
            continue
        if name not in trusted:
            raise LabError(
                f"this computer was not enrolled with node {name}",
                where=str(keys),
                remedy="Run gaitlab node enrol on both.",
            )
        found.append(
            NodeAddress(name, f"tcp://{host}:{port}", ClientKeys(own_keys(keys), trusted[name]))
        )
    return found


class Capturing:
    """A session: what the operator or the plan asks for becomes folders.

    Args:
        plan: Patient, activity, encoding.
        session: Opened.
        rig: For trial.toml; relative paths are from the session's folder.
        say: A sentence for the operator.
        progress: Bytes done, bytes in all, what.
    """

    def __init__(
        self,
        plan: Plan,
        session: Session,
        rig: Path,
        say: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self.plan, self.session, self.rig = plan, session, rig
        self._say, self._progress = say, progress
        self.recorded: list[Recorded] = []
        self._began = time.monotonic()

    def finish_earlier(self) -> None:
        """Collect what an earlier run of this session left on the nodes."""
        for take, note in self.session.unfinished():
            planned = PlannedTake("trial", take.trial)
            if note.get("kind") in ("calibrate", "floor", "static"):
                planned = PlannedTake(note["kind"], note.get("name"))  # pyright: ignore[reportArgumentType]
            elif note.get("name"):
                planned = PlannedTake("trial", note["name"])
            self._say(f"{planned.folder} was recorded earlier and not collected: collecting it now")
            self._finish(planned, _ended_now(take, time.monotonic_ns()))

    def record(self, planned: PlannedTake, enough: Callable[[], bool] = lambda: False) -> Recorded:
        """Record, collect and land one take.

        Raises:
            LabError: When it could not be started; what was recorded before is not touched.
        """
        folder = self.session.folder / planned.folder
        if folder.exists() and any(folder.iterdir()):
            raise LabError(
                f"there is a take {planned.folder} already",
                where=str(folder),
                remedy="Give this one another name; a recording is never written over.",
            )
        wait = planned.pause_s + max(0.0, _SETTLE_S - (time.monotonic() - self._began))
        time.sleep(wait)
        trial = f"{planned.folder[:30]}-{time.time_ns() // 1_000_000:x}"
        take = self.session.record(
            trial,
            planned.seconds,
            encoding=self.plan.encoding,
            enough=enough,
            note={"kind": planned.kind, "name": planned.folder},
        )
        # A little more of the clock, so that the trial does not end where the fit does.
        time.sleep(1.0)
        return self._finish(planned, take)

    def _finish(self, planned: PlannedTake, take: Take) -> Recorded:
        folder = self.session.folder / planned.folder
        try:
            self.session.collect(take, folder, progress=self._progress)
            landed = land_take(take, folder, self.session.clocks())
            if planned.kind in ("static", "trial"):
                self._write_trial(planned, landed)
            result = Recorded(planned, landed)
            for reason in landed.reasons:
                self._say(f"{planned.folder} is unfit: {reason}")
        except LabError as error:
            self._say(f"{planned.folder}: {error}")
            result = Recorded(planned, None, str(error))
        self.recorded.append(result)
        return result

    def _write_trial(self, planned: PlannedTake, landed: Landed) -> None:
        path = landed.folder / TRIAL_FILE
        rig = self.rig if self.rig.is_absolute() else Path("..") / self.rig
        trial: dict[str, object] = {
            "patient": self.plan.patient,
            "activity": self.plan.activity,
            "recorded": now(),
            "rig": rig.as_posix(),
            "times": TIMES,
        }
        if planned.kind == "trial":
            trial["treadmill_speed_m_s"] = self.plan.treadmill_speed_m_s
            if (self.session.folder / "static" / TRIAL_FILE).is_file():
                trial["static"] = "../static"
        content = {
            "trial": trial,
            "subject": self.plan.subject,
            "detect": self.plan.detect,
            "tie": self.plan.tie if planned.kind == "static" else None,
            "cameras": {c.camera: {"video": f"{c.camera}.mkv"} for c in landed.cameras},
        }
        note = "Written by gaitlab capture; times.csv and sync.json beside it are part of it."
        write_atomically(path, toml_bytes(content, note))


def _ended_now(take: Take, now_ns: int) -> Take:
    """Return a take that nobody ended as it is ended now: it is over when it is collected.

    What was to come after that is not lost. A lab clock that began anew says nothing.
    """
    so_far = (now_ns - take.start_lab_ns) * 1e-9
    return replace(take, duration=min(take.duration, so_far)) if so_far > 0 else take
