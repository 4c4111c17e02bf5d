"""A session end to end: four cameras in four node processes, the board, the floor, a person.

Counters read back from the recorded pixels against those that left the source; the rig that comes
out of the recorded films against the room that was rendered; the person, seen at the true times
and stamped with the recorded ones, through `gaitlab process` against the truth.

    python benchmarks/capture_session.py [--seconds 60] [--size 1280x720] [--rate 60] [--raw]
        [--out DIR]

The person's cameras deliver JPEG, as many USB and GigE cameras do; with --raw the nodes encode
every frame. The source runs within each node; its own CPU is measured apart, by playing it alone.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
from capture_scene import BOARD, POSES, board_images, drawn_counters, gaitlab, judge_rig

from calibration.board import Board
from capture.cameras import CameraSettings
from capture.driver import open_camera
from capture.host_clock import HostClock
from capture.index import read_index
from capture.session import read_journal
from capture.simulated import read_ledger
from lab.points import Points3D
from lab.store import load_trial
from simulation.room import treadmill_room
from simulation.truth import true_measures
from simulation.views import observe
from simulation.walker import simulate, standing

SPEED_M_S = 3.0


def film(room, folder: Path, board: Board) -> None:
    """Write the films that the simulated cameras play, without loss."""
    films: dict[Path, list[np.ndarray]] = {}
    for scene, camera, image in board_images(room, board):
        films.setdefault(folder / scene / f"{camera}.mkv", []).append(image)
    for path, images in films.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=5)
            stream.height, stream.width = images[0].shape
            stream.pix_fmt = "gray"
            stream.time_base = Fraction(1, 5)
            for k, image in enumerate(images):
                frame = av.VideoFrame.from_ndarray(image, format="gray")
                frame.pts = k
                container.mux(stream.encode(frame))
            container.mux(stream.encode())


def source_cpu(delivers: str, size, rate: float, seconds: float = 3.0) -> float:
    """Share of one core that the simulated camera takes by itself."""
    options = {"delivers": delivers}
    camera = open_camera(
        CameraSettings(name="c", driver="simulated", size_px=size, rate_hz=rate, options=options),
        HostClock(),
    )
    camera.start()
    began, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        camera.grab(1.0)
    share = (time.process_time() - cpu) / (time.monotonic() - began)
    camera.close()
    return share


class Nodes:
    """Four node processes that play one scene."""

    def __init__(self, work: Path, scene: str, names, size, rate: float, delivers: str):
        self.scene, self.processes, self.addresses, self.ledgers = scene, [], {}, {}
        epoch = time.monotonic_ns()
        for i, name in enumerate(names):
            folder = work / "nodes" / f"{scene}-{name}"
            folder.mkdir(parents=True)
            self.ledgers[name] = folder / "ledger"
            films = work / "films" / scene / f"{name}.mkv"
            played = f'frames = "{films}"\n' if films.exists() else ""
            (folder / "cameras.toml").write_text(
                f'[cameras.{name}]\ndriver = "simulated"\nnode = "node{i}"\nrate_hz = {rate}\n'
                f"size_px = [{size[0]}, {size[1]}]\n[cameras.{name}.options]\n{played}"
                f'delivers = "{delivers}"\nepoch_ns = {epoch}\nledger = "{self.ledgers[name]}"\n'
            )
            process = subprocess.Popen(
                [
                    sys.executable, "-m", "capture.node_process", "--name", f"node{i}",
                    "--port", "0",
                    "--cameras", folder / "cameras.toml", "--data", folder / "data",
                    "--clock", f"ppm={(-40, 25, 60, -10)[i % 4]},offset_s={100 * i}",
                ],
                stdout=subprocess.PIPE, stderr=(folder / "log").open("w"), text=True,
            )  # fmt: skip
            self.processes.append(process)
            self.addresses[f"node{i}"] = f"127.0.0.1:{process.stdout.readline().split()[1]}"

    def usage(self) -> list[tuple[float, float]]:
        """CPU seconds and MB of every node."""
        found = []
        for process in self.processes:
            p = psutil.Process(process.pid)
            cpu = p.cpu_times()
            found.append((cpu.user + cpu.system, p.memory_info().rss / 1e6))
        return found

    def end(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(30)


def count(take: Path, ledgers, start_ns: int, duration: float) -> None:
    """Say what became of the frames that left the sources within a take."""
    for name, ledger in ledgers.items():
        seen = drawn_counters(take / f"{name}.mkv")
        unread = sum(c is None for c in seen)
        read = [c for c in seen if c is not None]
        margin = 30_000_000
        left = {
            k for k, t in read_ledger(ledger)
            if start_ns + margin <= t <= start_ns + duration * 1e9 - margin
        }  # fmt: skip
        index = read_index(take / f"{name}.times").records["index"].astype(int).tolist()
        lost, doubled = len(left - set(read)), len(read) - len(set(read))
        print(
            f"  {name}: left the source within the take {len(left)}, in the whole file "
            f"{len(seen)}, lost {lost}, doubled {doubled}, reordered "
            f"{int((np.diff(read) < 0).sum())}, unreadable {unread}, "
            f"index {'agrees' if index == seen else 'DIFFERS'}"
        )


def taken(out: Path) -> dict:
    """Return what the session's journal says of every take."""
    done = [c for event, c in read_journal(out / "session.jsonl") if event == "recorded"]
    return {c["trial"].rsplit("-", 1)[0]: c for c in done}


def person_keypoints(out: Path, name: str, person, room, ledgers, noise_px: float) -> None:
    """Write what a detector would have seen: at the true times, stamped with the recorded ones."""
    rng = np.random.default_rng(7)
    folder = out / name
    with (folder / "times.csv").open() as file:
        stated = {}
        for row in csv.DictReader(file):
            stated.setdefault(row["camera"], []).append(float(row["t"]))
    start = taken(out)[name]["start_lab_ns"]
    text = (folder / "trial.toml").read_text()
    for camera in room.cameras:
        left = dict(read_ledger(ledgers[camera.name]))
        index = read_index(folder / f"{camera.name}.times").records["index"]
        true = np.array([(left[int(k)] + 1_000_000 - start) * 1e-9 for k in index])
        keep = (true > 0) & (true < person.duration)
        seen = observe_at(person, room, camera, true[keep], noise_px, rng)
        with (folder / f"{camera.name}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["t", "name", "x_px", "y_px", "score"])
            for i, t in enumerate(np.array(stated[camera.name])[keep]):
                for k, point in enumerate(seen.names):
                    if np.isfinite(seen.xy_px[i, k]).all():
                        x, y = seen.xy_px[i, k]
                        rows.writerow([f"{t:.6f}", point, f"{x:.3f}", f"{y:.3f}", "0.9"])
        old = f'video = "{camera.name}.mkv"'
        text = text.replace(old, f'{old}\nkeypoints = "{camera.name}.csv"')
        error = 1e3 * (stated[camera.name] - true)
        print(
            f"  {camera.name}: stated less true time {error.mean():.3f} ms, sd {error.std():.3f} ms"
        )
    (folder / "trial.toml").write_text(text)


def observe_at(person, room, camera, times, noise_px, rng):
    """Observe with one camera at given times."""
    xyz = person.points(times)
    at_times = Points3D(person.names, times, xyz, np.zeros((*xyz.shape, 3)))
    seen = observe(at_times, room, noise_px=noise_px, rng=rng)
    return next(k for k in seen if k.camera == camera.name)


def capture(work: Path, nodes: Nodes, *takes: str) -> Path:
    """Run `gaitlab capture` with a plan and say what it said; the session's folder."""
    plan = work / f"plan-{nodes.scene}.toml"
    plan.write_text(
        f'patient = "SIM"\nactivity = "run"\ntreadmill_speed_m_s = {SPEED_M_S}\n[nodes]\n'
        + "".join(f'{n} = "{a}"\n' for n, a in nodes.addresses.items())
        + "".join(takes)
    )
    # Node processes that are started anew begin with another clock each: another session.
    out = work / f"session-{nodes.scene}"
    rig = work / "calibration.h5"
    status, result = gaitlab("capture", "--out", out, "--plan", plan, "--rig", rig)
    print(f"gaitlab capture {nodes.scene}: status {status}")
    for take in result["takes"]:
        print(f"  {take['name']}: fit {take['fit']} {take['reasons']}")
        print("   ", {k: round(v, 4) for k, v in take["figures"].items()})
    for fault in result["faults"]:
        print("  said:", fault)
    return out


def record_board(work: Path, names, size) -> None:
    """Record the board and the floor, and make the rig of it."""
    for scene, kind, seconds in (("board", "calibrate", POSES / 5), ("floor", "floor", 2)):
        nodes = Nodes(work, scene, names, size, 5, "raw")
        capture(work, nodes, f'[[take]]\nkind = "{kind}"\nseconds = {seconds}\n')
        nodes.end()
    films = sorted((work / "session-board" / "calibrate").glob("*.mkv"))
    floors = sorted((work / "session-floor" / "floor").glob("*.mkv"))
    status, rig = gaitlab(
        "calibrate", *films, "--board", work / "board.toml",
        "--times", films[0].with_name("times.csv"),
        *[w for f in floors for w in ("--floor", f)], "-o", work / "calibration.h5",
    )  # fmt: skip
    print(
        f"gaitlab calibrate: status {status}, rmse {rig['rmse_px']:.3f} px, held out "
        f"{rig['held_out']}, {rig['reasons']}"
    )


def record_person(work: Path, names, size, rate: float, seconds: float, delivers: str):
    """Record a standing and a running trial; the session's folder and the ledgers."""
    alone = source_cpu(delivers, size, rate)
    nodes = Nodes(work, "person", names, size, rate, delivers)
    time.sleep(1)
    before, began = nodes.usage(), time.monotonic()
    out = capture(
        work, nodes, '[[take]]\nkind = "static"\nseconds = 2\n',
        f'[[take]]\nkind = "trial"\nname = "run1"\nseconds = {seconds}\n',
    )  # fmt: skip
    wall = time.monotonic() - began
    print(f"the source alone: {100 * alone:.1f} % of one core a camera; load {os.getloadavg()[0]}")
    for name, (a, _), (b, memory) in zip(names, before, nodes.usage(), strict=True):
        print(f"  node of {name}: {100 * (b - a) / wall:.1f} % of one core, {memory:.0f} MB")
    nodes.end()
    took = taken(out)["run1"]
    print(f"run1: {took['duration']:.2f} s of {size[0]}x{size[1]} at {rate:g} Hz, {delivers}")
    count(out / "run1", nodes.ledgers, took["start_lab_ns"], took["duration"])
    return out, nodes.ledgers


def process_person(out: Path, room, ledgers, seconds: float) -> None:
    """Process what a detector would have seen, against the truth."""
    person = simulate("run", speed_m_s=SPEED_M_S, treadmill=True, duration_s=seconds, seed=1)
    person_keypoints(out, "static", standing(duration_s=2.0), room, ledgers, 1.0)
    person_keypoints(out, "run1", person, room, ledgers, 1.0)
    status, result = gaitlab("process", out / "run1")
    print(f"gaitlab process: status {status}, accepted {result['accepted']}, {result['reasons']}")
    print("  ", {k: v for k, v in result["quality"].items() if "sync" in k or "lost" in k})
    trial = load_trial(out / "run1" / "trial.h5")
    truth = true_measures(person, trial.cycles)
    errors = [
        (m, m.value - truth[m.name, m.side]) for m in trial.measures if (m.name, m.side) in truth
    ]
    angles = [(m, np.degrees(e)) for m, e in errors if m.unit == "rad"]
    worst = max(angles, key=lambda a: abs(a[1]))
    print(f"  {len(angles)} angles, worst {worst[1]:+.2f} deg ({worst[0].name} {worst[0].side})")
    score = [abs(e) / m.sigma for m, e in errors if m.sigma > 0]
    print(f"  share within 1.96 sigma {np.mean(np.array(score) < 1.96):.2f} of {len(score)}")


def run(work: Path, seconds: float, size, rate: float, delivers: str) -> None:
    room = treadmill_room(4)
    names = [c.name for c in room.cameras]
    work.mkdir(parents=True, exist_ok=True)
    (work / "board.toml").write_text(BOARD)
    board = Board.from_toml(work / "board.toml")
    if not (work / "calibration.h5").exists():
        film(room, work / "films", board)
        record_board(work, names, room.cameras[0].size_px)
    print(" ", judge_rig(work / "calibration.h5", room, board))
    out, ledgers = record_person(work, names, size, rate, seconds, delivers)
    process_person(out, room, ledgers, min(seconds, 20.0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rate", type=float, default=60.0)
    parser.add_argument("--raw", action="store_true", help="the nodes encode")
    parser.add_argument("--out", type=Path, help="kept; a rig that is there is used again")
    given = parser.parse_args()
    wanted = tuple(int(v) for v in given.size.split("x"))
    asked = (given.seconds, wanted, given.rate, "raw" if given.raw else "mjpeg")
    if given.out:
        run(given.out, *asked)
    else:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder), *asked)
