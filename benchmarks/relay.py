"""A TCP relay that delays, stalls and cuts, and never drops or reorders a byte.

For the tests and benchmarks of capture: a network between lab and node whose delays are known. By
itself it is a process: relay.py LISTEN_HOST:PORT TARGET_HOST:PORT there+-half back+-half [stalls].
"""

from __future__ import annotations

import contextlib
import queue
import random
import socket
import sys
import threading
import time
from collections.abc import Callable

Delay = Callable[[], float]


class Relay:
    """Listens and passes on to a target; `there` and `back` draw a delay (s) for every chunk."""

    def __init__(self, target, there: Delay = lambda: 0.0, back: Delay = lambda: 0.0,
                 listen=("127.0.0.1", 0)) -> None:  # fmt: skip
        self.target, self.there, self.back = target, there, back
        self._up = threading.Event()
        self._up.set()
        self._closed = False
        self._open: list[socket.socket] = []
        self._server = socket.create_server(listen)
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Let nothing through; connections stay, as when a cable is pulled."""
        self._up.clear()

    def mend(self) -> None:
        """Let everything through again, what waited first."""
        self._up.set()

    def close(self) -> None:
        self._closed = True
        self._up.set()
        self._server.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._server.accept()
                self._up.wait()
                far = socket.create_connection(self.target)
            except OSError:
                if self._closed:
                    return
                continue
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [near, far]
            self._pass(near, far, lambda: self.there())
            self._pass(far, near, lambda: self.back())

    def _pass(self, source: socket.socket, sink: socket.socket, delay: Delay) -> None:
        waiting: queue.Queue = queue.Queue(maxsize=64)

        def read() -> None:
            while True:
                try:
                    chunk = source.recv(1 << 16)
                except OSError:
                    chunk = b""
                waiting.put((time.monotonic() + delay(), chunk))
                if not chunk:
                    return

        def write() -> None:
            while True:
                due, chunk = waiting.get()
                self._up.wait()
                time.sleep(max(0.0, due - time.monotonic()))
                try:
                    if not chunk:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(chunk)
                except OSError:
                    while waiting.get()[1]:
                        pass
                    return

        threading.Thread(target=read, daemon=True).start()
        threading.Thread(target=write, daemon=True).start()


def jitter(mean_s: float, half_s: float, stalls: float = 0.0, seed: int | None = None) -> Delay:
    """Return delays uniform in mean +- half; a share of them held up by 200 ms."""
    rng = random.Random(seed)

    def draw() -> float:
        held = 0.2 if stalls and rng.random() < stalls else 0.0
        return rng.uniform(mean_s - half_s, mean_s + half_s) + held

    return draw


def _main() -> None:
    (lh, lp), (th, tp) = (a.rsplit(":", 1) for a in sys.argv[1:3])
    there, back = (tuple(float(v) for v in a.split("+-")) for a in sys.argv[3:5])
    stalls = float(sys.argv[5]) / 2 if len(sys.argv) > 5 else 0.0
    relay = Relay((th, int(tp)), jitter(*there, stalls), jitter(*back, stalls), (lh, int(lp)))
    print("ready", relay.port, flush=True)
    for line in sys.stdin:
        if line.strip() == "cut":
            relay.cut()
        elif line.strip() == "mend":
            relay.mend()
    relay.close()


if __name__ == "__main__":
    _main()
