"""The lab's side of a recording session: nodes found, armed, started, stopped, collected.

Nothing here waits without an end, and whatever goes wrong is said to the operator in a sentence. A
journal in the session's folder says what was begun and what is safe in the lab, so that the next
run collects what a killed one left on the nodes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from capture.clock import NodeClock
from capture.collect import Progress, collect_trial, release_trial
from capture.control import (
    Arm,
    CameraDescription,
    Describe,
    Description,
    Done,
    Health,
    NodeHealth,
    Start,
    Stop,
    Stopped,
)
from capture.link import NodeRefusedError, SilentNodeError
from capture.watch import NodeAddress, NodeWatch, Say
from lab.errors import LabError

JOURNAL = "session.jsonl"
_LEAD_S = 0.6  # from the order to start to the start: longer than any sane round trip
_CLOCK_WAIT_S = 15.0
_STOP_WAIT_S = 20.0
_POLL_S = 0.05

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Take:
    """One recording as the lab ordered it.

    Attributes:
        trial: Its name on the nodes.
        start_lab_ns: When it was to begin, on the lab's clock.
        duration: s, as it came out.
        cameras: Camera names by node.
        faults: What befell it, a sentence each.
    """

    trial: str
    start_lab_ns: int
    duration: float
    cameras: Mapping[str, tuple[str, ...]]
    faults: tuple[str, ...] = ()


class Session:
    """See the module.

    Args:
        nodes: At least one.
        folder: Of the session; made when it does not exist.
        say: Called with a sentence for the operator, from any thread.
    """

    def __init__(self, nodes: Sequence[NodeAddress], folder: Path, say: Say) -> None:
        if not nodes:
            raise LabError(
                "no camera computer is named", remedy="Give --node NAME=HOST:PORT, or a rig's list."
            )
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._nodes = {n.name: n for n in nodes}
        self._heard: list[str] = []
        self._say_on = say
        self._watches = {
            n.name: NodeWatch(n, self._say, folder / f"clock-{n.name}.stamps") for n in nodes
        }
        self.cameras: dict[str, dict[str, CameraDescription]] = {}

    def _say(self, sentence: str) -> None:
        self._heard.append(sentence)
        self._say_on(sentence)

    def open(self) -> None:
        """Find every node and begin to follow its clock.

        Raises:
            LabError: With a line for each node that did not answer, or cameras named twice.
        """

        def describe(name: str) -> Description:
            with self._nodes[name].link(timeout_s=4.0) as link:
                return link.ask(Describe(), Description)

        found = self._all("was not found", describe, self._nodes)
        seen: dict[str, str] = {}
        for name, description in found.items():
            self.cameras[name] = {c.camera: c for c in description.cameras}
            for camera in self.cameras[name]:
                if camera in seen:
                    raise LabError(
                        f"{seen[camera]} and {name} both have a camera {camera}",
                        remedy="Give each camera of the rig a name of its own in cameras.toml.",
                    )
                seen[camera] = name
            for camera, as_found in self.cameras[name].items():
                for difference in as_found.differences:
                    self._say(f"{camera} is not set as asked: {difference}")
        for watch in self._watches.values():
            watch.start()

    def close(self) -> None:
        """Stop watching."""
        for watch in self._watches.values():
            watch.close()

    def clocks(self) -> dict[str, NodeClock]:
        """Return every node's clock as it is known now, where it is known."""
        return {name: watch.await_clock(0.0) for name, watch in self._watches.items()}

    def health(self) -> dict[str, NodeHealth | None]:
        """Return what each node last said of itself."""
        return {name: watch.health for name, watch in self._watches.items()}

    def record(
        self,
        trial: str,
        duration: float,
        *,
        encoding: str = "mjpeg",
        enough: Callable[[], bool] = lambda: False,
        note: Mapping[str, str] | None = None,
    ) -> Take:
        """Record one trial on every node, from one lab time to another.

        Args:
            trial: Its name on the nodes: letters, digits, _ and -.
            duration: At most so long, s; the nodes end it by themselves then.
            encoding: mjpeg, raw, ffv1 or h264.
            enough: Asked often; True ends the trial early.
            note: Kept with it in the journal.

        Raises:
            LabError: When a node cannot arm or start; none records then.
        """
        first_heard = len(self._heard)
        for watch in self._watches.values():
            watch.await_clock(_CLOCK_WAIT_S)
        self._all(
            "cannot record",
            lambda name: self._ask(name, Arm(trial, duration + 5.0, encoding=encoding)),
            self._nodes,
            undo=trial,
        )
        start = time.monotonic_ns() + round(_LEAD_S * 1e9)
        take = Take(trial, start, duration, {n: tuple(c) for n, c in self.cameras.items()})
        self._journal("begun", asdict(take) | {"note": dict(note or {})})
        self._all(
            "did not start",
            lambda name: self._ask(
                name, Start(trial, self._watches[name].clock().fit_at(start).node_ns(start), start)
            ),
            self._nodes,
            undo=trial,
        )
        end = start + round(duration * 1e9)
        while time.monotonic_ns() < end and not enough():
            time.sleep(_POLL_S)
        end = min(end, time.monotonic_ns())
        self._stop(trial, end)
        done = Take(
            trial, start, (end - start) * 1e-9, take.cameras, tuple(self._heard[first_heard:])
        )
        self._journal("recorded", asdict(done))
        return done

    def collect(
        self,
        take: Take,
        folder: Path,
        *,
        patience_s: float = 60.0,
        progress: Progress = lambda done, total, what: None,
    ) -> None:
        """Bring a take's files into a folder, and only then let the nodes delete them.

        Raises:
            LabError: With a line for each node whose files are not all here; they are still there.
        """

        def collect_one(name: str) -> None:
            address = self._nodes[name]
            self._await_end(name, take.trial, patience_s)
            files = collect_trial(
                address, take.trial, folder, patience_s=patience_s, progress=progress
            )
            held = {f.file for f in files}
            missing = [c for c in take.cameras[name] if f"{c}.mkv" not in held]
            missing = [c for c in missing if not (folder / f"{c}.mkv").is_file()]
            if missing:
                self._say(
                    f"node {name} has no recording of {', '.join(missing)} in {take.trial}: look "
                    "at what it reported, and record the trial again"
                )

        here = [n for n in take.cameras if n in self._nodes]
        self._all(f"did not give all of {take.trial}", collect_one, here)
        self._journal("collected", {"trial": take.trial})
        self._all(
            f"keeps its copy of {take.trial}",
            lambda name: release_trial(self._nodes[name], take.trial, folder),
            here,
        )
        self._journal("released", {"trial": take.trial})

    def unfinished(self) -> list[tuple[Take, dict[str, str]]]:
        """Return takes of earlier runs that were begun and are not collected, with their notes."""
        begun: dict[str, tuple[Take, dict[str, str]]] = {}
        for event, content in read_journal(self.folder / JOURNAL):
            trial = str(content["trial"])
            if event == "begun":
                begun[trial] = (_take(content), dict(content.get("note", {})))
            elif event == "recorded" and trial in begun:
                begun[trial] = (_take(content), begun[trial][1])
            elif event in ("collected", "abandoned"):
                begun.pop(trial, None)
        return list(begun.values())

    def mark_abandoned(self, take: Take) -> None:
        """Do not ask for a take again; the nodes keep what they have of it."""
        self._journal("abandoned", {"trial": take.trial})

    # ---- one node ----

    def _ask(self, name: str, request: Arm | Start) -> None:
        with self._nodes[name].link(timeout_s=8.0) as link:
            for line in link.ask(request, Done).notes:
                self._say(f"node {name}: {line}")

    def _stop(self, trial: str, end_ns: int) -> None:
        def stop_one(name: str) -> None:
            at = self._watches[name].clock().fit_at(end_ns).node_ns(end_ns)
            stopped = self._ask_to_stop(name, Stop(trial, at))
            for camera in stopped.cameras:
                if camera.recorded_lost:
                    self._say(
                        f"{camera.camera} lost {camera.recorded_lost} of "
                        f"{camera.recorded + camera.recorded_lost} frames"
                    )
            for fault in stopped.faults:
                self._say(f"node {name}, {fault.where}: {fault.what}. {fault.remedy}".strip())

        with ThreadPoolExecutor(max_workers=len(self._nodes)) as pool:
            for name, future in {n: pool.submit(stop_one, n) for n in self._nodes}.items():
                try:
                    future.result()
                except SilentNodeError:
                    self._say(
                        f"node {name} did not answer the order to stop: it ends the trial by "
                        "itself, and its files are collected when it is back"
                    )
                except LabError as error:
                    self._say(f"node {name} did not end {trial} in order: {error}")

    def _ask_to_stop(self, name: str, order: Stop) -> Stopped:
        """Ask again while the node may still be closing its files, but not a node that is gone."""
        deadline = time.monotonic() + _STOP_WAIT_S
        with self._nodes[name].link(timeout_s=3.0) as link:
            while True:
                try:
                    return link.ask(order, Stopped)
                except SilentNodeError:
                    gone = self._watches[name].silent_since is not None
                    if gone or time.monotonic() >= deadline:
                        raise

    def _await_end(self, name: str, trial: str, patience_s: float) -> None:
        """See that a node is not still recording what is to be collected: tell it to stop."""
        deadline = time.monotonic() + patience_s
        with self._nodes[name].link(timeout_s=3.0) as link:
            while time.monotonic() < deadline:
                try:
                    if link.ask(Health(), NodeHealth).trial != trial:
                        return
                    link.ask(Stop(trial), Stopped, _STOP_WAIT_S)
                except (SilentNodeError, NodeRefusedError):
                    time.sleep(0.2)

    def _all(
        self,
        failing: str,
        action: Callable[[str], Result],
        names: Sequence[str] | Mapping[str, NodeAddress],
        undo: str = "",
    ) -> dict[str, Result]:
        """Do something on every node at once; all failures in one message."""
        done: dict[str, Result] = {}
        failures: dict[str, LabError] = {}
        with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
            for name, future in {n: pool.submit(action, n) for n in names}.items():
                try:
                    done[name] = future.result()
                except LabError as error:
                    failures[name] = error
        if failures:
            if undo:
                self._call_off(undo, [n for n in names if n not in failures])
            lines = "; ".join(f"node {n} {failing}: {e}" for n, e in failures.items())
            raise LabError(lines.rstrip("."))
        return done

    def _call_off(self, trial: str, names: Sequence[str]) -> None:
        for name in names:
            try:
                with self._nodes[name].link(timeout_s=_STOP_WAIT_S) as link:
                    link.ask(Stop(trial), Stopped)
            except LabError as error:
                self._say(f"node {name} could not be told that {trial} is off: {error}")

    def _journal(self, event: str, content: Mapping[str, object]) -> None:
        line = json.dumps({"event": event, **content}) + "\n"
        with (self.folder / JOURNAL).open("a+", encoding="utf-8") as file:
            # A line that a kill cut off must not take this one with it.
            file.write(f"\n{line}" if file.tell() else line)
            file.flush()
            os.fsync(file.fileno())


def _take(content: Mapping[str, object]) -> Take:
    cameras = content["cameras"]
    if not isinstance(cameras, dict):
        raise ValueError("a journal line without cameras")
    return Take(
        str(content["trial"]),
        int(str(content["start_lab_ns"])),
        float(str(content["duration"])),
        {str(n): tuple(c) for n, c in cameras.items()},
        tuple(str(f) for f in content.get("faults", ()) or ()),  # pyright: ignore[reportGeneralTypeIssues]
    )


def read_journal(path: Path) -> list[tuple[str, dict]]:
    """Return the journal's events; a line that was cut off is left out."""
    if not path.exists():
        return []
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            content = json.loads(line)
            events.append((str(content.pop("event")), content))
        except (json.JSONDecodeError, KeyError, AttributeError):
            continue
    return [(e, c) for e, c in events if "trial" in c]
