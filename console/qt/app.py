"""The program of the lab console."""

from __future__ import annotations

import signal
import sys

from PySide6.QtCore import QSettings, QTimer
from PySide6.QtWidgets import QApplication

from console.desk import Desk
from console.qt.look import apply_look, load_fonts
from console.qt.window import Window

# How long a thread may hold the interpreter while another waits for it, s: the threads that read
# clocks must not wait for a picture to be drawn.
_SWITCH_S = 5e-4


def make_window(desk: Desk, dark: bool | None = None) -> tuple[QApplication, Window]:
    """Return the application and its window, not shown yet."""
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        app = QApplication(sys.argv[:1])
    app.setApplicationName("gaitlab")
    sys.setswitchinterval(_SWITCH_S)
    load_fonts()
    if dark is None:
        dark = QSettings("gaitlab", "console").value("dark", False, type=bool) is True
    apply_look(app, dark, app.primaryScreen().availableGeometry().height())
    return app, Window(desk, dark)


def run_console(desk: Desk) -> int:
    """Show the window until it is closed."""
    app, window = make_window(desk)
    window.show()
    # Ctrl-C in the terminal closes the window; Python only hears it when it runs now and then.
    signal.signal(signal.SIGINT, lambda *_: window.close())
    ticking = QTimer()
    ticking.timeout.connect(lambda: None)
    ticking.start(200)
    return app.exec()
