"""Claim: published frames cost little more than a bare ZeroMQ loop with the same payload.

    python benchmarks/capture_wire.py [--frames 300] [--rounds 5]

Raw 1920x1080 grey (and a JPEG of it) through the node's own publisher and the decoder of the lab,
against a bare PUB/SUB loop that sends the same payload in one part, over TCP on loopback, in turn
within one run; plain against plain, CURVE against CURVE. Sender and receiver are two threads of
one process in both. Aim: 0.8 of the bare loop each. Latency is measured at 60 frames a second,
from the moment the driver hands the frame out to the decoded message at the receiver.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time

import cv2
import numpy as np
import zmq

from capture.driver import Shot
from capture.encoder import Encoder
from capture.publisher import Publisher
from capture.wire import Intake, unpack_frame

SIZE = (1920, 1080)


def secure(server, client):
    public, secret = zmq.curve_keypair()
    server.curve_server, server.curve_publickey, server.curve_secretkey = True, public, secret
    client.curve_publickey, client.curve_secretkey = zmq.curve_keypair()
    client.curve_serverkey = public


def connect(context, curve):
    pub, sub, previews = (context.socket(k) for k in (zmq.PUB, zmq.SUB, zmq.PUB))
    Publisher.prepare(pub, previews)
    pub.sndhwm = sub.rcvhwm = 100000  # every frame counts here: nothing is left out on either side
    if curve:
        secure(pub, sub)
    pub.bind("tcp://127.0.0.1:0")
    sub.subscribe(b"frame/cam01/")
    sub.connect(pub.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode())
    previews.bind("tcp://127.0.0.1:0")
    time.sleep(0.4)
    return pub, sub, previews


def run(context, curve, frames, image, encoder, ours, rate_hz=None):
    """Frames a second, and the latencies in s."""
    pub, sub, previews = connect(context, curve)
    publisher = Publisher(pub, previews, lambda where, what, remedy: print(where, what))
    publisher._preview_due_ns["cam01"] = 1 << 62  # the preview is another stream
    latencies, done = [], threading.Event()

    def receive():
        intake = Intake()
        for _ in range(frames):
            parts = sub.recv_multipart(copy=False)
            if ours:
                envelope, header, _ = unpack_frame([p.buffer for p in parts])
                intake.admit(envelope)
                latencies.append((time.monotonic_ns() - header.host_ns) * 1e-9)
        done.set()

    thread = threading.Thread(target=receive)
    thread.start()
    content, key = encoder.encode(image)
    began = time.perf_counter()
    for index in range(frames):
        if rate_hz:
            time.sleep(max(0.0, began + index / rate_hz - time.perf_counter()))
        if ours:
            now = time.monotonic_ns()
            shot = Shot(index, now, now, now, 0, image)
            if rate_hz:
                content, key = encoder.encode(image)
            publisher.publish("cam01", "", shot, encoder, content, key)
        else:
            pub.send_multipart([b"frame/cam01/", content], copy=False)
    done.wait(60)
    seconds = time.perf_counter() - began
    thread.join()
    for socket in (pub, sub, previews):
        socket.close(linger=0)
    return frames / seconds, latencies


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    image = cv2.GaussianBlur(rng.integers(0, 255, SIZE[::-1], dtype=np.uint8), (0, 0), 3)
    context = zmq.Context()
    for encoding in ("raw", "mjpeg"):
        encoder = Encoder(encoding, SIZE, 1, 60.0, 90)
        size = len(encoder.encode(image)[0])
        for curve in (False, True):
            pairs = []
            for number in range(given.rounds):
                order = (False, True) if number % 2 else (True, False)
                rates = {o: run(context, curve, given.frames, image, encoder, o)[0] for o in order}
                pairs.append((rates[True], rates[False]))
            share = statistics.median(a / b for a, b in pairs)
            ours, bare = (statistics.median(p[i] for p in pairs) for i in (0, 1))
            spread = [min(a / b for a, b in pairs), max(a / b for a, b in pairs)]
            print(
                f"{encoding:5s} {size / 1e6:.2f} MB {'CURVE' if curve else 'plain'}: "
                f"{ours:.0f} of {bare:.0f} frames/s ({ours * size / 1e6:.0f} MB/s): "
                f"share {share:.2f} ({spread[0]:.2f} to {spread[1]:.2f})"
            )
            latencies = run(context, curve, 240, image, encoder, True, 60.0)[1]
            p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
            print(f"      grab to lab at 60 Hz, encoding included: p50 {p50:.2f} p99 {p99:.2f} ms")
    context.term()


if __name__ == "__main__":
    main()
