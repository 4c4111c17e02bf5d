"""What the console does, without a window: nodes, sessions, calibrations, and work set going.

A page shows what is asked of the desk and hands on what the operator wants. Everything here can be
done from the command line too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from capture.discovery import NodePlace, find_nodes, read_nodes, write_nodes
from capture.node import DEFAULT_PORT
from console.calibrating import FLOOR, MOVED, RigState, relative_rig, solve_verb
from console.capture_run import READY, CaptureRun
from console.capturing import node_addresses
from console.cell import Cell
from console.checks import Check, check_capture
from console.floor_choice import BEFORE_LINE, PLUMB, UpChoice, plumb_verb, solve_words
from console.jobs import FAILED, RUNNING, WAITING, Job, Jobs
from console.lab_folder import (
    NODES_FILE,
    RIG_FILE,
    LabSettings,
    SessionState,
    TakeState,
    new_rig_folder,
    new_session_folder,
    next_name,
    read_lab,
)
from console.lab_watch import LabNow, LabWatch
from console.plan import PLAN_FILE, Plan, PlannedTake, read_plan, write_plan
from console.registry import Registry, open_registry
from lab.errors import LabError

TAKE_S, FLOOR_S, STATIC_S = 120.0, 4.0, 5.0
_RIG_CODE = "RIG"
KEYS_FOLDER = "keys"


@dataclass(frozen=True, slots=True)
class Preparing:
    """How far something is made ready.

    Attributes:
        what: Is made.
        share: 0 to 1; None where it cannot be told.
        left_s: Seconds left; None where they cannot be told.
        fault: Why it will not be ready; empty otherwise.
    """

    what: str
    share: float | None = None
    left_s: float | None = None
    fault: str = ""


class Actor(Protocol):
    """Who stands before simulated cameras; the demo has one."""

    @property
    def scene(self) -> str:
        """What is before the cameras."""
        ...  # fmt: skip

    def play(self, scene: str) -> None:
        """Put a scene before the cameras."""

    @property
    def speed_m_s(self) -> float:
        """How fast its person runs."""
        ...  # fmt: skip

    @property
    def preparing(self) -> Preparing | None:
        """What is still made ready before its cameras run; None when they run."""
        ...  # fmt: skip

    def close(self) -> None:
        """End it."""


class Desk:
    """See the module.

    Args:
        lab: The lab's folder; made when it does not exist.
        demo: Of the demo; None in a real lab.
    """

    def __init__(self, lab: Path, demo: Actor | None = None) -> None:
        lab.mkdir(parents=True, exist_ok=True)
        self.lab, self.demo = lab, demo
        self.settings: LabSettings = read_lab(lab)
        self.jobs, self.looks = Jobs(), Jobs()
        # A window never waits for a disk: what it asks for is done here, in the order asked.
        self.errands = ThreadPoolExecutor(1, "errands")
        self.watch = LabWatch(lab)
        self.run: CaptureRun | None = None
        self.faults: list[str] = []
        self.cell = Cell([])
        self._queued: set[Path] = set()
        self._registry: Registry | None = None
        self._preparing = demo is not None and demo.preparing is not None
        self.open_nodes()

    # ---- nodes ----

    def open_nodes(self) -> None:
        """Follow the nodes of nodes.toml."""
        # A node that does not answer is let go of slowly: nobody waits for that.
        threading.Thread(target=self.cell.close, name="old cell", daemon=True).start()
        places: dict[str, NodePlace] = {}
        try:
            if (self.lab / NODES_FILE).is_file() and not self._preparing:
                places = read_nodes(self.lab / NODES_FILE)
            self._addresses = node_addresses(
                {n: f"{p.host}:{p.port}" for n, p in places.items()}, self._keys()
            )
        except LabError as error:
            self._addresses = []
            self.faults.append(str(error))
        self.cell = Cell(self._addresses)

    def follow_demo(self) -> None:
        """Follow the demo's nodes as soon as they run."""
        if self._preparing and (self.demo is None or self.demo.preparing is None):
            self._preparing = False
            self.errands.submit(self.open_nodes)

    def search_network(self, found: Callable[[dict[str, NodePlace], str], None]) -> None:
        """Look for nodes on the network; `found` is called in another thread."""

        def search() -> None:
            try:
                found(find_nodes(), "")
            except LabError as error:
                found({}, str(error))

        threading.Thread(target=search, name="discovery", daemon=True).start()

    def keep_nodes(self, places: dict[str, NodePlace]) -> None:
        """Write the nodes found beside those known, and follow them."""
        path = self.lab / NODES_FILE
        known = read_nodes(path) if path.is_file() else {}
        write_nodes(path, known | places)
        self.open_nodes()

    def keep_node(self, name: str, host: str) -> None:
        """Write a node that was enrolled beside those known, and follow it.

        A node that is known keeps its port; a new one has the usual one.
        """
        path = self.lab / NODES_FILE
        known = read_nodes(path) if path.is_file() else {}
        port = known[name].port if name in known else DEFAULT_PORT
        self.keep_nodes({name: NodePlace(host, port)})

    @property
    def keys_folder(self) -> Path:
        """Where this computer's keys are or will be: as lab.toml says, or keys in the folder."""
        folder = Path(self.settings.keys or KEYS_FOLDER).expanduser()
        return folder if folder.is_absolute() else self.lab / folder

    def _keys(self) -> Path | None:
        folder = self.keys_folder
        return folder if self.settings.keys or folder.is_dir() else None

    # ---- what is there ----

    @property
    def now(self) -> LabNow:
        """The lab's folder as last read."""
        return self.watch.look()

    @property
    def session(self) -> SessionState | None:
        """The session that is open, as its folder shows it."""
        run = self.run
        return None if run is None or is_rig_run(run) else self.now.session(run.folder)

    @property
    def is_rig_run(self) -> bool:
        """Whether what is open is a calibration."""
        return is_rig_run(self.run)

    def checks(self) -> tuple[Check, ...]:
        """Return the checklist before a recording."""
        now = self.now
        return check_capture(self.cell.look(), now.rig, self.settings.rig_days, now.sessions)

    def registry(self) -> Registry:
        """Return the registry, opened when first needed; for the thread of the errands."""
        if self._registry is None:
            self._registry = open_registry(self.lab)
        return self._registry

    # ---- recording ----

    def begin_session(
        self, patient: str, activity: str, speed: float | None, height: float | None = None
    ) -> None:
        """Open a new session for a patient.

        Args:
            patient: The code.
            activity: walk or run.
            speed: Of the belt, m/s; None overground.
            height: Of the patient, m; None where it is not known.

        Raises:
            LabError: When the plan is none, or there is no rig.
        """
        if height is None and self.settings.needs_height:
            raise LabError(
                "in this lab the plates are tied by the standing pose, which needs the height",
                remedy="Measure the patient and enter the height in m: 1.75.",
            )
        plan = msgspec.structs.replace(
            make_plan(patient, activity, speed),
            detect=self.settings.detect,
            tie=self.settings.tie,
            subject={} if height is None else {"height_m": height},
        )
        self._check_rig()
        self.registry().ensure(patient)
        into = new_session_folder(self.lab, patient)
        write_plan(plan, into)
        self._open_session(into, plan)

    def go_on(self, folder: Path) -> None:
        """Open a session again as it was begun: what is still on the nodes is fetched.

        Raises:
            LabError: When its plan cannot be read, or there is no rig.
        """
        self._check_rig()
        if not (folder / PLAN_FILE).is_file():
            raise LabError(
                "this session was not begun by the console",
                where=str(folder),
                remedy=f"Fetch it with: gaitlab capture --out {folder}",
            )
        self._open_session(folder, read_plan(folder / PLAN_FILE))

    def _check_rig(self) -> None:
        if self.now.rig is None or self.now.rig.rig is None:
            raise LabError("there is no rig yet", remedy="Calibrate first.")

    def _open_session(self, folder: Path, plan: Plan) -> None:
        rig = self.now.rig
        if rig is not None:
            self._open(folder, plan, relative_rig(rig.path, folder))

    def begin_calibration(self, folder: Path | None = None) -> Path:
        """Open the recording of a calibration: a new one, or that of a folder again."""
        into = folder or new_rig_folder(self.lab)
        self._open(into, Plan(patient=_RIG_CODE), Path("calibration.h5"))
        self.watch.look_again()
        return into

    def end_run(self) -> None:
        """Close what is open; a take under way is ended and collected."""
        if self.run is not None:
            self.run.close()
            self.run = None

    def record(self, kind: str) -> None:
        """Record a take of a kind: calibrate, floor, static, or trial. Not while one is made."""
        run = self.run
        if run is None or run.look().state != READY:
            return
        name, seconds = kind, TAKE_S
        if kind == "trial":
            name = next_name(run.folder, run.plan.activity)
        elif kind == FLOOR:
            seconds = FLOOR_S
        elif kind == "static":
            seconds = STATIC_S
        if kind in (MOVED, FLOOR, "static"):
            self._set_aside(run.folder / name)
        run.record(PlannedTake(kind, name, seconds))  # pyright: ignore[reportArgumentType]

    def _open(self, folder: Path, plan: Plan, rig: Path) -> None:
        self.end_run()
        self.run = CaptureRun(self._addresses, folder, plan, rig, self._landed)

    def _landed(self, take: Path) -> None:
        self.watch.look_again()
        if not self.is_rig_run and self.settings.detect is not None:
            self.looks.add(("trial", "look", str(take)), str(take))

    def _set_aside(self, take: Path) -> None:
        """Keep an earlier take of this name under another: nothing recorded is written over."""
        if take.exists():
            number = 1
            while take.with_name(f"{take.name}-earlier{number}").exists():
                number += 1
            take.rename(take.with_name(f"{take.name}-earlier{number}"))

    # ---- work ----

    def solve(self, making: RigState, board: Path, up: UpChoice | None = None) -> None:
        """Set the solving of a calibration going, and what lays its frame where that is chosen.

        Raises:
            LabError: When a recording is not there or unfit, or the choice says too little.
        """
        choice = up or UpChoice()
        about = str(making.folder)
        into = BEFORE_LINE if choice.by == PLUMB else RIG_FILE
        verbs = [(*solve_verb(making.folder, board, into), *solve_words(choice))]
        if choice.by == PLUMB:
            verbs.append(plumb_verb(making.folder, board, choice))
        for verb in verbs:
            self.jobs.add(verb, about)

    def solving(self, making: RigState | None) -> Job | None:
        """Return the work on a calibration that counts: under way, or failed, or done last."""
        about = str(making.folder) if making is not None else ""
        jobs = [j for j in self.jobs.jobs if j.about == about and j.verb[0] in ("calibrate", "rig")]
        first = max((i for i, j in enumerate(jobs) if j.verb[0] == "calibrate"), default=0)
        for state in (RUNNING, WAITING, FAILED):
            found = next((j for j in jobs[first:] if j.state == state), None)
            if found is not None:
                return found
        return jobs[-1] if jobs else None

    def stop_solving(self, making: RigState) -> None:
        """End the work on a calibration; what is recorded stays."""
        for job in reversed(self.jobs.jobs):
            if job.about == str(making.folder):
                job.stop()

    def process(self, take: TakeState) -> Job:
        """Set the processing of a trial going."""
        self._queued.add(take.folder)
        return self.jobs.add(("process", str(take.folder)), str(take.folder))

    def process_new(self) -> None:
        """Process what was recorded and is not yet processed, of the open session."""
        # While a take is fetched it is not whole yet.
        run = self.run
        if run is None or run.look().state != READY:
            return
        session = self.session
        for take in session.takes if session else ():
            new = take.kind == "trial" and take.state == "recorded"
            if new and take.folder not in self._queued:
                self.process(take)

    def close(self) -> None:
        """End everything that the console set going; nodes go on by themselves."""
        self.errands.shutdown()
        if self.run is not None:
            self.run.close()
            self.run.join()
        self.looks.close()
        self.jobs.close()
        self.cell.close()
        self.watch.close()
        if self._registry is not None:
            self._registry.close()
        if self.demo is not None:
            self.demo.close()


def make_plan(patient: str, activity: str, speed: float | None) -> Plan:
    """Return a session's plan, checked as `gaitlab capture` checks it.

    Raises:
        LabError: When the code, the activity or the speed is none.
    """
    content = {"patient": patient, "activity": activity, "treadmill_speed_m_s": speed}
    try:
        return msgspec.convert(content, Plan)
    except msgspec.ValidationError as error:
        about = str(error).replace("`", "")
        remedy = "A code has letters, digits, _ and -, and is never a name."
        if "speed" in about:
            remedy = "Give the belt's speed in m/s: 10 km/h is 2.78."
        raise LabError(f"this cannot be recorded ({about})", remedy=remedy) from error


def is_rig_run(run: CaptureRun | None) -> bool:
    """Whether a run records a calibration, and no patient."""
    return run is not None and run.plan.patient == _RIG_CODE
