"""Claim: eight previews of 320 x 180 at 30 Hz are shown within half a core.

A process of its own sends them as nodes do, byte for byte; this one receives, decodes and draws
them in a window of the screen's size. Its CPU seconds a second are printed, and its memory before
and after.

    xvfb-run -s "-screen 0 1366x768x24" python benchmarks/console_previews.py [--seconds 30]
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time

import cv2
import numpy as np
import psutil
import zmq
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QGridLayout, QWidget

from capture.control import Description
from capture.live import LiveView
from capture.watch import NodeAddress
from capture.wire import FrameHeader, Kind, pack_header, topic_of
from console.qt.camera_view import CameraView
from console.qt.look import apply_look, load_fonts

SIZE = (320, 180)
NAMES = [f"cam{k:02d}" for k in range(1, 9)]


def send(pipe, rate: float) -> None:
    """Send previews of moving noise on a sphere until the pipe closes."""
    rng = np.random.default_rng(1)
    images = []
    for k in range(16):
        image = cv2.resize(rng.integers(40, 220, (24, 40), np.uint8), SIZE)
        cv2.circle(image, (20 + 18 * k, 90), 24, 255, -1)
        images.append(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes())
    socket = zmq.Context.instance().socket(zmq.PUB)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    pipe.send(port)
    index, sequence, due = 0, 0, time.monotonic()
    while not pipe.poll(0):
        for k, name in enumerate(NAMES):
            sequence += 1
            content = images[(index + k) % len(images)]
            header = FrameHeader(
                camera=name, trial="", index=index, device_ns=0, host_ns=0, mid_device_ns=0,
                exposure_ns=0, size_px=SIZE, channels=1, encoding="mjpeg",
            )  # fmt: skip
            socket.send_multipart(
                [topic_of(Kind.PREVIEW, name), pack_header(Kind.PREVIEW, 7, sequence, header),
                 content]
            )  # fmt: skip
        index += 1
        due += 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=30.0)
    given = parser.parse_args()
    pipe, other = multiprocessing.Pipe()
    sender = multiprocessing.get_context("spawn").Process(target=send, args=(other, given.rate))
    sender.start()
    port = pipe.recv()
    app = QApplication([])
    load_fonts()
    screen = app.primaryScreen().availableGeometry()
    sys.setswitchinterval(5e-4)  # as the console does
    apply_look(app, False, screen.height())
    window, grid = QWidget(), QGridLayout()
    views = {name: CameraView(name) for name in NAMES}
    for k, view in enumerate(views.values()):
        grid.addWidget(view, k // 4, k % 4)
    window.setLayout(grid)
    window.resize(screen.width(), screen.height())
    window.show()
    live = LiveView()
    described = Description(
        node="n", version="", wire=1, process=1, host_ns=0, frames_port=port, previews_port=port,
        public_key="", cameras=[],
    )  # fmt: skip
    live.add(NodeAddress("n", "tcp://127.0.0.1:1"), described_with(described))
    shown: dict[str, set[int]] = {name: set() for name in NAMES}
    gaps: list[float] = [time.perf_counter()]

    def draw() -> None:
        gaps.append(time.perf_counter())
        for name, picture in live.newest().items():
            shown[name].add(picture.index)
            views[name].show_picture(picture)

    timer = QTimer()
    timer.timeout.connect(draw)
    timer.start(33)
    process, found = psutil.Process(), {}

    def begin() -> None:
        for seen in shown.values():
            seen.clear()
        gaps.clear()
        cpu = process.cpu_times()
        found.update(cpu=cpu.user + cpu.system, t=time.monotonic(), rss=process.memory_info().rss)

    def end() -> None:
        cpu = process.cpu_times()
        spent = (cpu.user + cpu.system - found["cpu"]) / (time.monotonic() - found["t"])
        rate = np.mean([len(s) for s in shown.values()]) / (time.monotonic() - found["t"])
        print(f"drawn {rate:.1f} pictures a second of each of 8 cameras, {given.rate:g} sent")
        print(
            f"CPU {spent:.2f} cores; longest gap of the window {1e3 * np.diff(gaps).max():.0f} ms"
        )
        after = process.memory_info().rss
        print(f"memory {found['rss'] / 1e6:.1f} MB before, {after / 1e6:.1f} MB after")
        app.quit()

    QTimer.singleShot(3000, begin)
    QTimer.singleShot(3000 + round(1000 * given.seconds), end)
    app.exec()
    live.close()
    pipe.send("end")
    sender.join(10)


def described_with(description: Description) -> Description:
    """Return the description with eight cameras."""
    import msgspec

    from capture.control import CameraDescription

    cameras = [
        CameraDescription(
            camera=name, driver="simulated", serial="", model="", size_px=(1280, 720), channels=1,
            rate_hz=60.0, exposure_us=1.0, gain_db=0.0, trigger="free", region_px=(0, 0, 1, 1),
            stamps="", delivers="mjpeg",
        )
        for name in NAMES
    ]  # fmt: skip
    return msgspec.structs.replace(description, cameras=cameras)


if __name__ == "__main__":
    main()
