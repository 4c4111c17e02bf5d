"""The window: five pages in the order of a session, what was said last at its foot."""

from __future__ import annotations

import time

from PySide6.QtCore import QSettings, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QMainWindow,
    QPushButton,
    QStackedWidget,
    QWidget,
)

from console.cell import BAD, GOOD, LOOK
from console.desk import Desk
from console.qt.calibrate_page import CalibratePage
from console.qt.capture_page import CapturePage
from console.qt.errands import Errands
from console.qt.look import Look, apply_look
from console.qt.page import Page
from console.qt.parts import MarkLabel, boxed, button, column, label, restyle, row, set_text
from console.qt.patients import Patients
from console.qt.report_page import ReportPage
from console.qt.review_page import ReviewPage
from console.qt.rig_page import RigPage
from console.texts import say

_PAGES: tuple[type[Page], ...] = (RigPage, CalibratePage, CapturePage, ReviewPage, ReportPage)
_DRAW_MS, _REFRESH_MS = 33, 250
_TOLD_FOR_S = 60.0  # then what was said last is no news any more
_BY_SPACE = ("calibrate", "capture")
_SCENES = ("nobody", "board", "floor", "standing", "running")


class Window(QMainWindow):
    """See the module.

    Args:
        desk: What it shows; closed with the window.
        dark: Whether to begin dark.
    """

    def __init__(self, desk: Desk, dark: bool = False) -> None:
        super().__init__()
        self.desk, self._dark = desk, dark
        self._errands = Errands(self, desk.errands, lambda words: self.tell(BAD, words))
        self._settings = QSettings("gaitlab", "console")
        self._heard = ""
        self._told_s = 0.0
        self.setWindowTitle(f"{say('title')}  {desk.settings.name or desk.lab.name}")
        # Before any button that has the focus; fields of text still get their spaces.
        self._space = QShortcut(QKeySequence(Qt.Key.Key_Space), self)
        self._space.activated.connect(lambda: self.page.press_space())
        self._space.setEnabled(False)
        self._build("rig")
        self._draw_timer, self._refresh_timer = QTimer(self), QTimer(self)
        self._draw_timer.timeout.connect(self._draw)
        self._refresh_timer.timeout.connect(self._refresh)
        self._draw_timer.start(_DRAW_MS)
        self._refresh_timer.start(_REFRESH_MS)
        for i, kind in enumerate(_PAGES, start=1):
            shortcut = QShortcut(QKeySequence(f"Ctrl+{i}"), self)
            shortcut.activated.connect(lambda name=kind.name: self.go(name))
        QShortcut(QKeySequence("Ctrl+F"), self).activated.connect(self.show_patients)
        QShortcut(QKeySequence("Ctrl+D"), self).activated.connect(self.change_look)
        geometry = self._settings.value("geometry")
        if geometry is not None:
            self.restoreGeometry(geometry)  # type: ignore[arg-type]
        else:
            screen = QApplication.primaryScreen().availableGeometry()
            self.resize(screen.width(), screen.height())

    def _build(self, first: str) -> None:
        self._stack = QStackedWidget()
        self.pages: dict[str, Page] = {}
        self._buttons: dict[str, QPushButton] = {}
        rail = column(label(say("title"), "title"), 12, gap=0)
        for number, kind in enumerate(_PAGES, start=1):
            page = kind(self.desk, self.tell, self.go)
            self.pages[kind.name] = page
            self._stack.addWidget(page)
            choose = button(
                "", lambda name=kind.name: self.go(name), "page", f"go {kind.name}",
                f"Ctrl+{number}",
            )  # fmt: skip
            choose.setCheckable(True)
            self._buttons[kind.name] = choose
            rail.addWidget(choose)
        rail.addStretch(1)
        rail.addWidget(button(say("patients"), self.show_patients, "plain", "patients", "Ctrl+F"))
        rail.addWidget(button(say("theme"), self.change_look, "plain", "theme", "Ctrl+D"))
        rail_widget = boxed(rail, 0, "rail")
        rail.setContentsMargins(0, Look.px(20), 0, Look.px(12))
        title = rail.itemAt(0)
        if title is not None and title.widget() is not None:
            title.widget().setContentsMargins(Look.px(18), 0, 0, 0)  # type: ignore[union-attr]
        rail_widget.setFixedWidth(Look.px(160))
        self._foot = MarkLabel()
        self._foot.setWordWrap(False)
        self._foot.setMinimumWidth(10)
        foot = boxed(row(self._foot), 8, "strip")
        foot.setFixedHeight(Look.px(36))
        right = column(gap=0)
        self._scenes: dict[str, QPushButton] = {}
        if self.desk.demo is not None:
            right.addWidget(self._demo_strip())
        right.addWidget(self._stack, 1)
        right.addWidget(foot)
        whole = row(rail_widget, gap=0)
        whole.addLayout(right, 1)
        holder = QWidget()
        holder.setLayout(whole)
        self.setCentralWidget(holder)
        self._current = ""
        self.go(first)

    def _demo_strip(self) -> QWidget:
        strip = row(label(say("demo.before"), "quiet"), 8, gap=6)
        for scene in _SCENES:
            choose = button(
                say(f"demo.{scene}"), lambda s=scene: self._play(s), "scene", f"scene {scene}"
            )
            choose.setCheckable(True)
            self._scenes[scene] = choose
            strip.addWidget(choose)
        strip.addStretch(1)
        return boxed(strip, 8, "strip")

    def _play(self, scene: str) -> None:
        demo = self.desk.demo
        if demo is not None:
            self._show_scene(scene)
            self._errands.send(lambda: demo.play(scene))

    def _read_scene(self) -> None:
        """Show what another console may have put before the cameras."""
        demo = self.desk.demo
        if demo is not None and not self._errands.out:
            self._errands.send(lambda: demo.scene, self._show_scene)

    def _show_scene(self, now: str) -> None:
        for scene, choose in self._scenes.items():
            choose.setChecked(scene == now)

    # ---- what is in view ----

    @property
    def page(self) -> Page:
        """The page in view."""
        return self.pages[self._current]

    def go(self, name: str) -> None:
        """Show a page."""
        if name != self._current:
            if self._current:
                self.page.leave()
            self._current = name
            self._stack.setCurrentWidget(self.page)
            self._space.setEnabled(name in _BY_SPACE)
            self.page.enter()
            self.page.refresh(self.desk.cell.look(), self.desk.now)
        for page, choose in self._buttons.items():
            choose.setChecked(page == name)

    def tell(self, mark: str, words: str) -> None:
        """Say a sentence at the foot of the window."""
        self._foot.show_mark(mark, words.replace("\n", " "))
        self._foot.setToolTip(words)
        self._told_s = time.perf_counter()

    def _draw(self) -> None:
        self.page.draw(self.desk.cell.look())

    def _refresh(self) -> None:
        cell, now = self.desk.cell.look(), self.desk.now
        self.page.refresh(cell, now)
        for number, (name, page) in enumerate(self.pages.items(), start=1):
            mark = page.mark(cell, now)
            sign = say(f"mark.{mark}") if mark in (GOOD, BAD) else f"{number}"
            set_text(self._buttons[name], f"{sign}   {say(f'page.{name}')}")
        if time.perf_counter() - self._told_s > _TOLD_FOR_S:
            self._foot.clear_mark()
        self.desk.follow_demo()
        self.desk.process_new()
        self._read_scene()
        run = self.desk.run
        said = list(cell.said) + (list(run.look().said) if run is not None else [])
        said += self.desk.faults + ([now.fault] if now.fault else [])
        if said and said[-1] != self._heard:
            self._heard = said[-1]
            self.tell(LOOK, said[-1])

    # ---- keys and windows ----

    def show_patients(self) -> None:
        """Open the list of patients."""
        dialog = Patients(self.desk, self)
        dialog.chosen.connect(self._take_patient)
        dialog.finished.connect(lambda _: self.activateWindow())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _take_patient(self, code: str) -> None:
        page = self.pages["capture"]
        if isinstance(page, CapturePage):
            page.set_patient(code)
        self.go("capture")

    def change_look(self) -> None:
        """Change between light and dark."""
        app = QApplication.instance()
        if not isinstance(app, QApplication):
            return
        self._dark = not self._dark
        self._settings.setValue("dark", self._dark)
        current = self._current
        self._close_pages()
        apply_look(app, self._dark, app.primaryScreen().availableGeometry().height())
        self._build(current)
        restyle(self)

    def _close_pages(self) -> None:
        self.page.leave()
        for page in self.pages.values():
            if isinstance(page, ReviewPage | ReportPage):
                page.close_files()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802, D102
        self._draw_timer.stop()
        self._refresh_timer.stop()
        self._settings.setValue("geometry", self.saveGeometry())
        self._close_pages()
        # What goes on is ended first, which takes its time: nobody looks at a window meanwhile.
        self.hide()
        QApplication.processEvents()
        self.desk.close()
        event.accept()
