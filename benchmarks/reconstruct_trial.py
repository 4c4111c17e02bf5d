"""A whole trial from keypoints to PDF: seconds and memory, part by part.

Claim: 10 s of running before 8 cameras at 120 Hz, 26 points, go from keypoint files to the record
and the report in a few seconds once compiled code is cached. Each part is quoted apart, as seconds
of the clock and (in brackets) of the processor, all threads together: on a busy machine only the
latter says much. With PEER_PYTHON (or --peer) naming a Python that has Pose2Sim, its triangulation
and filtering of the same keypoints (its own demo settings, without figures) are timed in the same
run, against our reading, reconstruction and smoothing.

Run: python benchmarks/reconstruct_trial.py [--seconds 10] [--cameras 8] [--peer PYTHON]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

RATE_HZ = 120.0
PEER = """
import sys, time, tomllib, logging
from pathlib import Path
import Pose2Sim
from Pose2Sim import Pose2Sim as pipeline
folder = Path(sys.argv[1])
config = tomllib.loads((Path(Pose2Sim.__file__).parent / "Demo_SinglePerson/Config.toml")
                       .read_text(encoding="utf-8"))
config["project"] |= {"project_dir": str(folder), "frame_rate": int(sys.argv[2]),
                      "frame_range": "all"}
config["triangulation"] |= {"make_c3d": False}
config["filtering"] |= {"display_figures": False, "save_filt_plots": False, "make_c3d": False}
started, used = time.perf_counter(), time.process_time()
pipeline.triangulation(config)
middle, middle_used = time.perf_counter(), time.process_time()
pipeline.filtering(config)
print("SECONDS", middle - started, time.perf_counter() - middle,
      middle_used - used, time.process_time() - middle_used)
"""


def child(folder: Path) -> None:
    """Process one folder and print what each part took."""
    begun = time.time()
    from console.pipeline import process_folder
    from console.records import write_record
    from console.settings import read_settings

    marks = [("imports", begun, 0.0), ("", time.time(), time.process_time())]

    def progress(step: str) -> None:
        marks.append((step, time.time(), time.process_time()))

    trial = process_folder(folder, progress=progress)
    progress("writing record and report")
    write_record(trial, folder, read_settings(folder)[0])
    progress("")
    parts = {
        name: (end - start, end_used - used)
        for (name, start, used), (_, end, end_used) in pairwise(marks)
        if name
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"begun": begun, "parts": parts, "peak_mb": peak, "why": trial.reasons}))


def write_folder(folder: Path, cameras: int, seconds: float) -> None:
    import numpy as np

    from benchmarks.interval_coverage import calibrated_rig
    from calibration.formats.camera_toml import write_pose2sim
    from console.settings import TRIAL_FILE
    from lab.store import save_rig
    from simulation.views import observe
    from simulation.walker import simulate

    rig = calibrated_rig("run", cameras)
    save_rig(rig, folder / "rig.h5")
    write_pose2sim(rig, folder / "calibration" / "Calib.toml")
    walker = simulate("run", speed_m_s=3.0, treadmill=True, duration_s=seconds, seed=1)
    rng = np.random.default_rng(1)
    films = observe(walker, rig, RATE_HZ, noise_px=1.0, rng=rng)
    lines = ['[trial]\npatient = "BENCH"\nactivity = "run"\ntreadmill_speed_m_s = 3.0']
    lines.append('rig = "rig.h5"')
    for k in films:
        lines += [f"[cameras.{k.camera}]", f'keypoints = "{k.camera}.csv"']
        write_csv(folder / f"{k.camera}.csv", k)
        write_json(folder / "pose" / f"{k.camera}_json", k)
    (folder / TRIAL_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_csv(path: Path, k) -> None:
    rows = ["t,name,x_px,y_px,score"]
    for i, t in enumerate(k.t):
        for j, name in enumerate(k.names):
            x, y = k.xy_px[i, j]
            if x == x:
                rows.append(f"{t:.6f},{name},{x:.3f},{y:.3f},{k.score[i, j]:.4f}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_json(folder: Path, k) -> None:
    """Write OpenPose's files; which point stands where does not matter to triangulation."""
    folder.mkdir(parents=True)
    for i in range(len(k.t)):
        flat = []
        for j in range(26):
            x, y = k.xy_px[i, j]
            flat += [float(x), float(y), float(k.score[i, j])] if x == x else [0.0, 0.0, 0.0]
        text = json.dumps({"version": 1.3, "people": [{"pose_keypoints_2d": flat}]})
        (folder / f"{k.camera}_{i:06d}.json").write_text(text, encoding="utf-8")


def ours(folder: Path, what: str) -> tuple[float, float]:
    """Run the child, print its parts; seconds of reading, reconstruction and smoothing."""
    started = time.time()
    done = subprocess.run(
        [sys.executable, __file__, "--child", str(folder)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    whole = time.time() - started
    said = json.loads(done.stdout.splitlines()[-1])
    parts = said["parts"]
    used = sum(cpu for _, cpu in parts.values())
    print(f"{what}: {whole:.2f} s ({used:.2f}), {said['peak_mb']:.0f} MB at most")
    cells = [f"start of Python {said['begun'] - started:.2f}"]
    cells += [f"{name} {wall:.2f} ({cpu:.2f})" for name, (wall, cpu) in parts.items()]
    print("  " + ", ".join(cells))
    for reason in said["why"]:
        print(f"  said: {reason}")
    sys.stdout.flush()
    mine = [parts[n] for n in ("reading", "reconstructing", "smoothing") if n in parts]
    return sum(w for w, _ in mine), sum(c for _, c in mine)


def theirs(folder: Path, python: str) -> tuple[float, float]:
    done = subprocess.run(
        [python, "-c", PEER, str(folder), f"{RATE_HZ:.0f}"],
        check=False, capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    found = [line for line in done.stdout.splitlines() if line.startswith("SECONDS")]
    if done.returncode or not found:
        print("Pose2Sim failed: " + "; ".join(done.stderr.strip().splitlines()[-2:]))
        return float("nan"), float("nan")
    first, second, first_cpu, second_cpu = (float(x) for x in found[0].split()[1:])
    print(
        f"Pose2Sim: triangulation {first:.2f} s ({first_cpu:.2f}), "
        f"filtering {second:.2f} s ({second_cpu:.2f})"
    )
    return first + second, first_cpu + second_cpu


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--peer", default=os.environ.get("PEER_PYTHON", ""))
    parser.add_argument("--child", default="")
    given = parser.parse_args(arguments)
    if given.child:
        child(Path(given.child))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "calibration").mkdir()
        write_folder(folder, given.cameras, given.seconds)
        ours(folder, "first run (with compilation where not cached)")
        mine = ours(folder, "again")
        if given.peer:
            other = theirs(folder, given.peer)
            print(
                f"reading, reconstruction and smoothing: {mine[0]:.2f} s ({mine[1]:.2f}); "
                f"ratio {other[0] / mine[0]:.1f} ({other[1] / mine[1]:.1f})"
            )
        else:
            print("Pose2Sim is left out: name a Python that has it by --peer or PEER_PYTHON")


if __name__ == "__main__":
    main()
