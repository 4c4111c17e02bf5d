"""Small things that wait for a disk or a database, done in order beside the window's thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from PySide6.QtCore import QObject, Signal

from lab.errors import LabError


class Errands(QObject):
    """Sends errands, and tells the window what came of them; a part of whoever sends them.

    Args:
        parent: When it is gone, nobody is told any more; what was sent is done all the same.
        thread: Where they are done, one after the other.
        fault: Told why one failed, as a sentence.
    """

    _done = Signal(object, object)

    def __init__(self, parent: QObject, thread: Executor, fault: Callable[[str], object]) -> None:
        super().__init__(parent)
        self._thread, self._fault = thread, fault
        self._out = 0
        self._done.connect(self._take)

    @property
    def out(self) -> bool:
        """Whether any is still under way."""
        return self._out > 0

    def send(
        self, action: Callable[[], Any], then: Callable[[Any], object] = lambda result: None
    ) -> None:
        """Have something done; `then` gets its result in the window's own thread.

        Args:
            action: Touches nothing of the window. Raises LabError or OSError where it fails.
            then: Called where it did not fail.
        """
        self._out += 1
        self._thread.submit(action).add_done_callback(lambda done: self._tell(done, then))

    def _tell(self, done: Future[Any], then: Callable[[Any], object]) -> None:
        # The page may be gone meanwhile.
        with contextlib.suppress(RuntimeError):
            self._done.emit(done, then)

    def _take(self, done: Future[Any], then: Callable[[Any], object]) -> None:
        self._out -= 1
        try:
            result = done.result()
        except (LabError, OSError) as error:
            self._fault(str(error))
            return
        then(result)
