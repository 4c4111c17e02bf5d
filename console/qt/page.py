"""What every page is: told when it is shown, and asked to show things as they are."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from console.cell import BAD, CellNow
from console.desk import Desk
from console.lab_watch import LabNow
from console.qt.errands import Errands


class Page(QWidget):
    """One of the five.

    Args:
        desk: What it shows and passes on to.
        tell: Shows a sentence at the foot of the window: mark and words.
        go: Shows another page, by its name.
    """

    name = ""

    def __init__(
        self, desk: Desk, tell: Callable[[str, str], None], go: Callable[[str], None]
    ) -> None:
        super().__init__()
        self.desk, self.tell, self.go = desk, tell, go
        self.errands = Errands(self, desk.errands, lambda words: tell(BAD, words))
        self.setObjectName(f"page {self.name}")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)

    def enter(self) -> None:
        """Called when it comes into view."""

    def leave(self) -> None:
        """Called when it goes out of view."""

    def draw(self, cell: CellNow) -> None:
        """Show the pictures; called often while it is in view."""

    def refresh(self, cell: CellNow, now: LabNow) -> None:
        """Show how everything stands; called some times a second while it is in view."""

    def mark(self, cell: CellNow, now: LabNow) -> str:
        """Return how this step of the session stands."""
        return "unknown"

    def press_space(self) -> None:
        """Do what the space bar does here."""
