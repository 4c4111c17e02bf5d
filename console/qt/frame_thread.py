"""A video's frames, decoded beside the window's own thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from console.reviewing import Review, VideoReader, open_video
from lab.errors import LabError


class FrameThread:
    """Decodes the frame asked for last; those asked for before it are skipped."""

    def __init__(self, got: Callable[[Any], None]) -> None:
        self._got = got
        self._orders: queue.Queue[Any] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="video", daemon=True)
        self._thread.start()

    def open(self, review: Review, camera: str) -> None:
        """Go on with one camera's video of a trial."""
        self._orders.put((review, camera))

    def ask(self, t: float) -> None:
        """Ask for the frame at a time, s."""
        self._orders.put(t)

    def close(self) -> None:
        """End the thread."""
        self._orders.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        reader: VideoReader | None = None
        while True:
            order, t = self._orders.get(), None
            while True:
                if order is None:
                    if reader is not None:
                        reader.close()
                    return
                if isinstance(order, tuple):
                    if reader is not None:
                        reader.close()
                    try:
                        reader = open_video(*order)
                    except LabError:
                        reader = None
                else:
                    t = order
                if self._orders.empty():
                    break
                order = self._orders.get()
            if t is not None:
                self._got(reader.frame(t) if reader is not None else None)
