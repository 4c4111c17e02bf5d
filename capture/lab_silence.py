"""Whether the lab's computer is still there while a trial is recorded, and what is said of it."""

from __future__ import annotations

import time
from collections.abc import Callable

_SILENT_AFTER_S = 3.0


class LabSilence:
    """Notices that nobody asks any more, and says what happened as soon as somebody does again.

    Only while a trial is under way: at other times nobody need be there.

    Args:
        report: Called with where, what and remedy.
        log: Called with a sentence at once, for whoever stands at the node's own screen.
        after_s: Silence that is worth a word.
        now_s: Monotonic, s.
    """

    def __init__(
        self,
        report: Callable[[str, str, str], None],
        log: Callable[[str], None],
        after_s: float = _SILENT_AFTER_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report, self._log, self._after_s, self._now_s = report, log, after_s, now_s
        self._heard_s = now_s()
        self._trial = ""  # recorded while the lab was silent

    @property
    def silent_s(self) -> float:
        """How long nobody has asked anything."""
        return self._now_s() - self._heard_s

    def heard(self) -> None:
        """Note that the lab asked something."""
        if self._trial:
            self._report(
                "lab",
                f"the lab's computer was silent for {self.silent_s:.1f} s while trial "
                f"{self._trial} was recorded; the recording went on here",
                "Look at the network and at that computer; the files are collected from here.",
            )
            self._trial = ""
        self._heard_s = self._now_s()

    def check(self, trial: str) -> None:
        """Note which trial is being recorded now; empty for none. Called often."""
        if trial and not self._trial and self.silent_s > self._after_s:
            self._trial = trial
            self._log(f"the lab's computer is silent: trial {trial} is recorded on, to its end")
