"""A session end to end: four cameras in four node processes, the board, the floor, a person.

Counters read back from the recorded pixels against those that left the source; the rig that comes
out of the recorded films against the room that was rendered; the person, seen at the true times
and stamped with the recorded ones, through `gaitlab process` against the truth.

    python benchmarks/capture_session.py [--seconds 60] [--size 1280x720] [--rate 60] [--out DIR]
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil

from calibration.board import Board
from capture.counter import read_counter
from capture.index import read_index
from capture.simulated import read_ledger
from lab.points import Points3D
from lab.pose import Pose
from lab.store import load_rig, load_trial
from simulation.board_path import board_path
from simulation.images import render_plane
from simulation.room import treadmill_room
from simulation.truth import true_measures
from simulation.views import observe
from simulation.walker import simulate, standing

BOARD = """[board]
name = "bench"
columns = 5
rows = 4
square_mm = 220.0
marker_ratio = 0.7727
dictionary = "DICT_4X4_100"
"""
POSES = 40
SPEED_M_S = 3.0


def gaitlab(*words) -> tuple[int, dict]:
    """Run a verb as a user does; its exit status and its --json."""
    done = subprocess.run(
        [sys.executable, "-c", "from console.cli import run; run()", *map(str, words), "--json"],
        capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    if not done.stdout.strip():
        raise SystemExit(done.stderr)
    return done.returncode, json.loads(done.stdout)


def film(room, folder: Path, board: Board) -> None:
    """Render the board moved about, and lying on the floor, with every camera."""
    rng = np.random.default_rng(1)
    texture = board.image(60)
    moved = board_path(
        POSES, ((-0.8, 0.8), (-0.7, 0.7), (0.4, 1.6)), room.cameras, board.size_m, rng
    )
    lying = Pose(np.diag([1.0, -1.0, -1.0]), np.zeros(3))
    for scene, poses in (("board", moved), ("floor", [lying] * 4)):
        for camera in room.cameras:
            path = folder / scene / f"{camera.name}.mkv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with av.open(str(path), "w") as container:
                stream = container.add_stream("ffv1", rate=5)
                stream.width, stream.height = camera.size_px
                stream.pix_fmt = "gray"
                stream.time_base = Fraction(1, 5)
                for k, pose in enumerate(poses):
                    image = render_plane(
                        texture, board.size_m, pose, camera, blur_px=0.7, noise=2.0, rng=rng
                    )
                    frame = av.VideoFrame.from_ndarray(image, format="gray")
                    frame.pts = k
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())


class Nodes:
    """Four node processes that play one scene."""

    def __init__(self, work: Path, scene: str, names, size, rate: float, films: Path | None):
        self.scene, self.processes, self.addresses, self.ledgers = scene, [], {}, {}
        epoch = time.monotonic_ns()
        for i, name in enumerate(names):
            folder = work / "nodes" / f"{scene}-{name}"
            folder.mkdir(parents=True)
            self.ledgers[name] = folder / "ledger"
            played = f'frames = "{films / (name + ".mkv")}"\n' if films else ""
            delivers = "raw" if films else "mjpeg"
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
        with av.open(str(take / f"{name}.mkv")) as container:
            seen = [read_counter(f.to_ndarray(format="gray")) for f in container.decode(video=0)]
        unread = sum(c is None for c in seen)
        read = [c for c in seen if c is not None]
        margin = 30_000_000
        left = {
            k for k, t in read_ledger(ledger)
            if start_ns + margin <= t <= start_ns + duration * 1e9 - margin
        }  # fmt: skip
        index = read_index(take / f"{name}.times").records["index"].astype(int).tolist()
        print(
            f"  {name}: left the source {len(left)}, in the file {len(seen)}, lost "
            f"{len(left - set(read))}, doubled {len(read) - len(set(read))}, reordered "
            f"{int((np.diff(read) < 0).sum())}, unreadable {unread}, "
            f"index {'agrees' if index == seen else 'DIFFERS'}"
        )


def session_file(out: Path) -> dict:
    lines = [json.loads(x) for x in (out / "session.jsonl").read_text().splitlines() if x]
    return {x["trial"].rsplit("-", 1)[0]: x for x in lines if x["event"] == "recorded"}


def person_keypoints(out: Path, name: str, person, room, ledgers, noise_px: float) -> None:
    """Write what a detector would have seen: at the true times, stamped with the recorded ones."""
    rng = np.random.default_rng(7)
    folder = out / name
    with (folder / "times.csv").open() as file:
        stated = {}
        for row in csv.DictReader(file):
            stated.setdefault(row["camera"], []).append(float(row["t"]))
    start = session_file(out)[name]["start_lab_ns"]
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


def run(work: Path, seconds: float, size, rate: float) -> None:
    room = treadmill_room(4)
    names = [c.name for c in room.cameras]
    work.mkdir(parents=True, exist_ok=True)
    board_file = work / "board.toml"
    board_file.write_text(BOARD)
    film(room, work / "films", Board.from_toml(board_file))
    out = work / "session"
    sizes = room.cameras[0].size_px

    def capture(nodes: Nodes, *takes: str) -> dict:
        plan = work / f"plan-{nodes.scene}.toml"
        plan.write_text(
            f'patient = "SIM"\nactivity = "run"\ntreadmill_speed_m_s = {SPEED_M_S}\n[nodes]\n'
            + "".join(f'{n} = "{a}"\n' for n, a in nodes.addresses.items())
            + "".join(takes)
        )
        # Node processes that are started anew begin with another clock each: another session.
        where = out if nodes.scene == "person" else out.with_name(f"session-{nodes.scene}")
        status, result = gaitlab(
            "capture", "--out", where, "--plan", plan, "--rig", out / "calibration.h5"
        )
        print(f"gaitlab capture {nodes.scene}: status {status}")
        for take in result["takes"]:
            print(f"  {take['name']}: fit {take['fit']} {take['reasons']}")
            print("   ", {k: round(v, 4) for k, v in take["figures"].items()})
        for fault in result["faults"]:
            print("  said:", fault)
        return result

    for scene, kind, length, hz in (("board", "calibrate", POSES / 5, 5), ("floor", "floor", 2, 5)):
        nodes = Nodes(work, scene, names, sizes, hz, work / "films" / scene)
        capture(nodes, f'[[take]]\nkind = "{kind}"\nseconds = {length}\n')
        nodes.end()
    nodes = Nodes(work, "person", names, size, rate, None)
    time.sleep(1)
    before, began = nodes.usage(), time.monotonic()
    capture(
        nodes, '[[take]]\nkind = "static"\nseconds = 2\n',
        f'[[take]]\nkind = "trial"\nname = "run1"\nseconds = {seconds}\n',
    )  # fmt: skip
    wall = time.monotonic() - began
    for name, (a, _), (b, memory) in zip(names, before, nodes.usage(), strict=True):
        print(f"  node of {name}: {100 * (b - a) / wall:.1f} % of one core, {memory:.0f} MB")
    nodes.end()
    took = session_file(out)["run1"]
    print(f"run1: {took['duration']:.2f} s of {size[0]}x{size[1]} at {rate:g} Hz, four cameras")
    count(out / "run1", nodes.ledgers, took["start_lab_ns"], took["duration"])

    films = sorted((out.with_name("session-board") / "calibrate").glob("*.mkv"))
    floors = [
        w
        for f in sorted((out.with_name("session-floor") / "floor").glob("*.mkv"))
        for w in ("--floor", f)
    ]
    status, rig = gaitlab(
        "calibrate", *films, "--board", board_file, "--times", films[0].with_name("times.csv"),
        *floors, "-o", out / "calibration.h5",
    )  # fmt: skip
    print(f"gaitlab calibrate: status {status}, rmse {rig.get('rmse_px')}, {rig.get('reasons')}")
    found = load_rig(out / "calibration.h5")
    for true, got in zip(room.cameras, found.cameras, strict=True):
        a, b = true.cam_from_lab.inverse(), got.cam_from_lab.inverse()
        print(f"  {true.name}: {1e3 * np.linalg.norm(a.translation - b.translation):.1f} mm away")
    person = simulate(
        "run", speed_m_s=SPEED_M_S, treadmill=True, duration_s=min(seconds, 20.0), seed=1
    )
    person_keypoints(out, "static", standing(duration_s=2.0), room, nodes.ledgers, 1.0)
    person_keypoints(out, "run1", person, room, nodes.ledgers, 1.0)
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rate", type=float, default=60.0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    wanted = tuple(int(v) for v in given.size.split("x"))
    if given.out:
        run(given.out, given.seconds, wanted, given.rate)
    else:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder), given.seconds, wanted, given.rate)
