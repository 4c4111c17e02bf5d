"""Claim: frames go into pylon's camera emulation and come out of a node's files, all of them.

    python benchmarks/capture_basler.py [--seconds 10]

Frames with their number in the pixels are the image files of an emulated Basler camera
(PYLON_CAMEMU); a real node process records it as FFV1, which loses nothing. Each recorded frame
must be, pixel for pixel, the image that its counter says.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np

from capture import control
from capture.counter import draw_counter, read_counter
from capture.link import NodeLink
from capture.recorder import read_recording

ROOT = Path(__file__).resolve().parents[1]
SIZE, IMAGES = (1280, 720), 50


def picture(number):
    rng = np.random.default_rng(number)
    image = cv2.GaussianBlur(rng.integers(0, 255, SIZE[::-1], dtype=np.uint8), (0, 0), 5)
    draw_counter(image, number)
    return image


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        stills = folder / "stills"
        stills.mkdir()
        pictures = [picture(i) for i in range(IMAGES)]
        for number, image in enumerate(pictures):
            cv2.imwrite(str(stills / f"{number:04d}.png"), image)
        (folder / "cameras.toml").write_text(
            '[cameras.cam01]\ndriver = "basler"\nserial = "0815-0000"\nsize_px = [1280, 720]\n'
            f'rate_hz = 30\nexposure_us = 2000\noptions = {{image_files = "{stills}"}}\n'
        )
        process = subprocess.Popen(
            [
                sys.executable, "-m", "capture.node_process", "--name", "n", "--port", "0",
                "--cameras", folder / "cameras.toml", "--data", folder / "data",
            ],
            stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYLON_CAMEMU": "1"},
        )  # fmt: skip
        endpoint = f"tcp://127.0.0.1:{process.stdout.readline().split()[1]}"
        with NodeLink(endpoint, timeout_s=30) as link:
            camera = link.ask(control.Describe(), control.Description).cameras[0]
            print(f"accepted: {camera}")
            link.ask(control.Arm("take", given.seconds + 30, encoding="ffv1"), control.Done)
            link.ask(control.Start("take", link.exchange_clock()[1]), control.Done)
            time.sleep(given.seconds)
            stopped = link.ask(control.Stop("take"), control.Stopped)
        process.terminate()
        process.wait(30)
        process.stdout.close()
        video = folder / "data" / "take" / "cam01.mkv"
        index, _ = read_recording(video)
        counters = index.records["index"].astype(int)
        with av.open(str(video)) as container:
            images = [f.to_ndarray(format="gray") for f in container.decode(video=0)]
        drawn = np.array([read_counter(i) for i in images])
        same = sum(np.array_equal(i, pictures[d]) for i, d in zip(images, drawn, strict=True))
        in_step = int((np.diff(drawn) % IMAGES == np.diff(counters) % IMAGES).sum())
        print(
            f"{len(images)} frames in the file, {len(counters)} in the index, "
            f"{stopped.cameras[0].recorded_lost} counters missing; {same} identical to the image "
            f"that went in; {in_step} of {len(images) - 1} steps as the camera counted"
        )


if __name__ == "__main__":
    main()
