"""A mouse and a keyboard that see only what is on the screen, and the time in which it lives."""

from __future__ import annotations

import time
from pathlib import Path

from PySide6.QtCore import QEventLoop, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget
from window_beats import Beats


def live(ms: float) -> None:
    """Let the window live for a while.

    As a program does, in an event loop that other threads run beside: QTest.qWait holds the
    interpreter all the while, so that they stand still, the clocks of the nodes among them.
    """
    loop = QEventLoop()
    QTimer.singleShot(round(ms), loop.quit)
    loop.exec()


class Hand:
    """A mouse and a keyboard that see only what is on the screen."""

    def __init__(self, window: QWidget, pictures: Path | None, looking: bool = False) -> None:
        self.window, self.pictures, self.last = window, pictures, window
        self.beats = Beats(window, looking)

    def find(self, name: str, kind: type = QWidget):
        for top in QApplication.topLevelWidgets():
            if not top.isVisible():
                continue
            for widget in (top, *top.findChildren(kind, name)):
                if widget.objectName() == name and widget.isVisible():
                    return widget
        return None

    def wait(self, what: str, condition, seconds: float):
        """Let the window live until something is so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            live(150)
            value = condition()
            if value:
                return value
        self.shoot("stuck")
        raise TimeoutError(f"{what}: not within {seconds:.0f} s; shown: {self.words()[-700:]}")

    def words(self) -> str:
        kinds = (QLabel, QPushButton)
        shown = [w.text() for k in kinds for w in self.window.findChildren(k) if w.isVisible()]
        return " | ".join(t for t in shown if t)

    def says(self, text: str) -> bool:
        return text in self.words()

    def click(self, name: str, seconds: float = 20.0) -> None:
        def there():
            widget = self.find(name)
            return widget if widget is not None and widget.isEnabled() else None

        widget = self.wait(f"{name} can be clicked", there, seconds)
        middle = QPoint(widget.width() // 2, widget.height() // 2)
        under = QApplication.widgetAt(widget.mapToGlobal(middle))
        if under is not widget and not widget.isAncestorOf(under):
            raise AssertionError(f"{name} is hidden behind {under}")
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=middle)
        self.last = widget
        live(30)

    def type(self, text: str) -> None:
        QTest.keyClicks(QApplication.focusWidget() or self.last, text)

    def press(self, key: Qt.Key) -> None:
        QTest.keyClick(QApplication.focusWidget() or self.window, key)
        live(30)

    def shoot(self, name: str) -> None:
        if self.pictures is None:
            return
        self.pictures.mkdir(parents=True, exist_ok=True)
        live(60)
        self.window.grab().save(str(self.pictures / f"{name}.png"))
        # The picture was this script's work, not the window's.
        self.beats.forget()


def text_of(hand: Hand, name: str) -> str:
    widget = hand.find(name)
    return "" if widget is None else widget.text()
