"""Claim: calibration frames go into pylon's camera emulation, and the rig comes out.

    python benchmarks/capture_basler.py [--out DIR]

A board shown in forty places and lying on the floor is rendered into four cameras. The pictures
are the image files of four emulated Basler cameras (PYLON_CAMEMU) in one `gaitlab node`;
`gaitlab capture` records them as FFV1, which loses nothing, and `gaitlab calibrate` makes the rig.
Every recorded frame must be, pixel for pixel, one that went in, and in step with the camera's
counter.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
from capture_scene import BOARD, LYING, POSES, board_images, gaitlab, judge_rig

from calibration.board import Board
from capture.recorder import read_recording
from simulation.room import treadmill_room

RATE_HZ = 1.0  # so slow that the cameras, which start one after the other, show one pose at a time
SHOWN_HZ = 5.0  # of the poses, in the pictures' own time


def start_node(work: Path, scene: str, names: list[str], size: tuple[int, int]):
    """Start `gaitlab node` with an emulated camera for each name; the process and its port."""
    folder = work / "node" / scene
    folder.mkdir(parents=True)
    text = ""
    for i, name in enumerate(names):
        text += (
            f'[cameras.{name}]\ndriver = "basler"\nserial = "0815-000{i}"\nnode = "left"\n'
            f"size_px = [{size[0]}, {size[1]}]\nrate_hz = {RATE_HZ}\nexposure_us = 2000\n"
            f"options = {{image_files = {json.dumps(str(work / 'stills' / scene / name))}}}\n"
        )
    (folder / "cameras.toml").write_text(text)
    process = subprocess.Popen(
        [
            sys.executable, "-c", "from console.cli import run; run()", "node", "--name", "left",
            "--port", "0", "--cameras", folder / "cameras.toml", "--data", folder / "data",
            "--json",
        ],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYLON_CAMEMU": str(len(names))},
    )  # fmt: skip
    said = ""
    while not said.endswith("\n}\n"):
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"the node did not start: {said}")
        said += line
    ready = json.loads(said)
    for line in ready["differences"]:
        print("  not as asked:", line)
    return process, ready["port"]


def record(work: Path, scene: str, kind: str, frames: int, names, size) -> Path:
    """Record one scene as a session; the folder of its take."""
    process, port = start_node(work, scene, names, size)
    plan = work / f"plan-{scene}.toml"
    plan.write_text(
        f'encoding = "ffv1"\n[nodes]\nleft = "127.0.0.1:{port}"\n'
        f'[[take]]\nkind = "{kind}"\nseconds = {frames / RATE_HZ}\n'
    )
    status, result = gaitlab("capture", "--out", work / f"session-{scene}", "--plan", plan)
    process.terminate()
    process.wait(30)
    process.stdout.close()
    (take,) = result["takes"]
    print(f"gaitlab capture, {scene}: status {status}, fit {take['fit']} {take['reasons']}")
    return Path(take["folder"])


def compare(take: Path, stills: Path, names) -> None:
    """Say whether every recorded frame is one that went in, in step with the counter."""
    for name in names:
        known = {
            cv2.imread(str(p), cv2.IMREAD_GRAYSCALE).tobytes(): int(p.stem)
            for p in sorted((stills / name).glob("*.png"))
        }
        index, _ = read_recording(take / f"{name}.mkv")
        counters = index.records["index"].astype(int)
        with av.open(str(take / f"{name}.mkv")) as container:
            shown = [
                known.get(f.to_ndarray(format="gray").tobytes(), -1)
                for f in container.decode(video=0)
            ]
        in_step = (np.diff(shown) - np.diff(counters)) % len(known) == 0
        print(
            f"  {name}: {len(shown)} frames in the file, {len(counters)} in the index, "
            f"{index.lost} counters missing; {sum(s >= 0 for s in shown)} identical to one that "
            f"went in; {int(in_step.sum())} of {len(in_step)} steps as the camera counted"
        )


def times_by_counter(take: Path, names) -> Path:
    """Write a times file after the cameras' counters, in the pictures' own time.

    The emulation knows no common trigger: its cameras start one after the other, up to 0.2 s apart,
    and send no time of exposure. Pictures of one number show one pose of a board that is held
    still; a trigger line would give them one time.
    """
    rows = ["camera,frame,t"]
    for name in names:
        index, there = read_recording(take / f"{name}.mkv")
        counters = index.records["index"][:there].astype(int)
        rows += [f"{name},{row},{k / SHOWN_HZ:.6f}" for row, k in enumerate(counters)]
    path = take / "times-by-counter.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def main(work: Path) -> None:
    room = treadmill_room(4)
    names, size = [c.name for c in room.cameras], room.cameras[0].size_px
    board_file = work / "board.toml"
    board_file.write_text(BOARD)
    board = Board.from_toml(board_file)
    numbers: dict[tuple[str, str], int] = {}
    for scene, camera, image in board_images(room, board):
        number = numbers[scene, camera] = numbers.get((scene, camera), -1) + 1
        path = work / "stills" / scene / camera / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
    takes = {}
    for scene, kind, frames in (("board", "calibrate", POSES), ("floor", "floor", 2 * LYING)):
        takes[scene] = record(work, scene, kind, frames, names, size)
        compare(takes[scene], work / "stills" / scene, names)
    floors = [w for f in sorted(takes["floor"].glob("*.mkv")) for w in ("--floor", f)]
    status, rig = gaitlab(
        "calibrate", *sorted(takes["board"].glob("*.mkv")), "--board", board_file,
        "--times", times_by_counter(takes["board"], names), *floors, "-o", work / "calibration.h5",
    )  # fmt: skip
    print(
        f"gaitlab calibrate: status {status}, accepted {rig['accepted']}, rmse "
        f"{rig['rmse_px']:.3f} px, held out {rig['held_out']}\n  {rig['reasons']}"
    )
    print(" ", judge_rig(work / "calibration.h5", room, board))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        main(given.out)
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
