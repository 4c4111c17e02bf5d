"""The program of the lab console."""

from __future__ import annotations

import gc
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
    window = Window(desk, dark)
    # What is there now stays: looking through all of it for what is no longer used would keep the
    # window waiting, now and then, for a tenth of a second.
    gc.collect()
    gc.freeze()
    return app, window


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
