"""Films that were rendered beforehand, recorded as a lab records: through node processes.

Each film is played by a camera on a trigger line (`capture.played`) in a `gaitlab node` process of
its own; the lab arms, lets the pulses come, collects and lands the take.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import av
from av.error import FFmpegError

from capture.landing import Landed, land_take
from capture.node_process import node_command
from capture.played import Cue, write_cue
from capture.session import Session
from capture.watch import NodeAddress
from lab.errors import FileError, LabError

_READY_S = 60.0
_SETTLE_S = 3.0  # exchanges enough for the clocks of the first take
_LEAD_S = 1.2  # from the recording's start to the first pulse, at least half of it
_SPARE_S = 20.0  # how far behind a busy computer may fall


@dataclass(frozen=True, slots=True)
class Scene:
    """What is filmed in one take.

    Attributes:
        name: Of the take.
        films: Folder with NAME.mkv for each camera, all of the same number of frames.
        rate_hz: Frames a second.
        first: t of the first frame, s.
        encoding: As it is recorded: films in MJPEG pass unchanged as mjpeg.
    """

    name: str
    films: Path
    rate_hz: float
    first: float = 0.0
    encoding: str = "mjpeg"


def record_scenes(
    scenes: Sequence[Scene],
    sizes: Mapping[str, tuple[int, int]],
    folders: Mapping[str, Path],
    work: Path,
    *,
    nodes: int = 2,
    say: Callable[[str], None],
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Landed]:
    """Record scenes one after the other through node processes on this computer.

    Args:
        scenes: In the order they are recorded.
        sizes: Width and height by camera.
        folders: Where each scene's take lands, by name: videos, times.csv and sync.json, whose t
            is the scene's own.
        work: Folder of the session: journal and clocks; the nodes' own files go when it is over.
        nodes: Number of processes; cameras are dealt out in turn.
        say: A sentence for the operator.
        progress: Called with the name of each scene when it begins.

    Raises:
        LabError: When a film is missing or of another length, a node does not start, or a take
            cannot be recorded whole or collected.
    """
    frames = {s.name: _count_frames(s, list(sizes)) for s in scenes}
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nodes-", dir=work) as scratch:
        cue = Path(scratch) / "cue"
        with _node_processes(Path(scratch), cue, sizes, nodes) as addresses:
            session = Session(addresses, work, say)
            try:
                session.open()
                time.sleep(_SETTLE_S)
                landed = {}
                for number, scene in enumerate(scenes):
                    progress(scene.name)
                    landed[scene.name] = _record(
                        session,
                        scene,
                        number,
                        cue,
                        folders[scene.name],
                        frames[scene.name],
                        len(sizes),
                    )
                return landed
            finally:
                session.close()


def _record(
    session: Session, scene: Scene, number: int, cue: Path, folder: Path, frames: int, cameras: int
) -> Landed:
    trial = f"{scene.name[:30]}-{time.time_ns() // 1_000_000:x}"
    pulses: list[int] = []
    length_s = (frames - 1) / scene.rate_hz

    def enough() -> bool:
        if not pulses:
            pulses.append(time.monotonic_ns() + round(_LEAD_S * 1e9))
            films = str(scene.films.resolve())
            write_cue(cue, Cue(number, films, pulses[0], scene.rate_hz))
        if time.monotonic_ns() < pulses[0] + round(length_s * 1e9):
            return False
        said = [h for h in session.health().values() if h is not None and h.trial == trial]
        counts = [c for h in said for c in h.cameras]
        return len(counts) == cameras and all(c.recorded >= frames for c in counts)

    patience_s = 2 * _LEAD_S + length_s + _SPARE_S
    take = session.record(trial, patience_s, encoding=scene.encoding, enough=enough)
    session.collect(take, folder)
    # t counts as the scene does, from the line's pulses and not from the order to start.
    begun = pulses[0] - round(scene.first * 1e9)
    take = replace(take, start_lab_ns=begun, duration=scene.first + length_s)
    landed = land_take(take, folder, session.clocks())
    short = [c.camera for c in landed.cameras if len(c.t) != frames]
    if short or len(landed.cameras) != cameras:
        raise LabError(
            f"not every frame was recorded: {', '.join(short) or 'a camera is missing'}",
            where=scene.name,
            remedy="This computer is too busy to play and record at once: try again when it is "
            "not.",
        )
    return landed


def _count_frames(scene: Scene, cameras: Sequence[str]) -> int:
    """Return how many frames each film has.

    Raises:
        LabError: When a film is missing, or they differ.
    """
    counts = {}
    for name in cameras:
        path = scene.films / f"{name}.mkv"
        try:
            with av.open(str(path)) as film:
                counts[name] = sum(1 for packet in film.demux(video=0) if packet.size)
        except (OSError, FFmpegError, IndexError) as error:
            raise FileError(f"is no film ({error})", where=str(path)) from error
    if len(set(counts.values())) != 1:
        raise LabError(
            f"the films differ in length: {', '.join(f'{n} {k}' for n, k in counts.items())}",
            where=str(scene.films),
            remedy="Render them anew.",
        )
    return next(iter(counts.values()))


@contextmanager
def _node_processes(
    folder: Path, cue: Path, sizes: Mapping[str, tuple[int, int]], nodes: int
) -> Iterator[list[NodeAddress]]:
    """Run node processes while the block runs; they end in order after it."""
    processes: list[subprocess.Popen[str]] = []
    names = list(sizes)
    try:
        dealt = [names[i::nodes] for i in range(nodes) if names[i::nodes]]
        for i, mine in enumerate(dealt):
            cameras = folder / f"cameras-{i}.toml"
            cameras.write_text("".join(_camera(name, sizes[name], cue) for name in mine))
            words = ["--name", f"node{i}", "--cameras", cameras, "--data", folder / f"data-{i}"]
            with (folder / f"node{i}.log").open("w") as log:
                processes.append(
                    subprocess.Popen(
                        node_command([*words, "--port", "0", "--guarded"]),
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=log,
                        text=True,
                    )
                )
        yield [
            NodeAddress(f"node{i}", f"tcp://127.0.0.1:{_port(process, folder / f'node{i}.log')}")
            for i, process in enumerate(processes)
        ]
    finally:
        for process in processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in processes:
            try:
                process.wait(_READY_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _camera(name: str, size_px: tuple[int, int], cue: Path) -> str:
    return (
        f'[cameras.{name}]\ndriver = "played"\ntrigger = "hardware"\n'
        f"size_px = [{size_px[0]}, {size_px[1]}]\n"
        f"options = {{cue = {json.dumps(os.fspath(cue))}}}\n"
    )


def _port(process: subprocess.Popen[str], log: Path) -> int:
    line = process.stdout.readline().split() if process.stdout is not None else []
    if line[:1] != ["ready"]:
        raise LabError(
            "a node of the simulated lab did not start",
            where=str(log),
            remedy=log.read_text(errors="replace").strip()[-400:],
        )
    return int(line[1])
