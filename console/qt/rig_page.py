"""Rig: the camera computers and their cameras, live."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QProgressBar,
    QScrollArea,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from capture.discovery import NodePlace
from console.board_watch import sharpness
from console.cell import BAD, GOOD, UNKNOWN, CellNow
from console.desk import Desk
from console.lab_watch import LabNow
from console.qt.camera_grid import CameraGrid
from console.qt.camera_view import CameraView
from console.qt.enrol import EnrolDialog
from console.qt.look import Look
from console.qt.page import Page
from console.qt.parts import (
    MarkLabel,
    NumberField,
    boxed,
    button,
    column,
    label,
    row,
    rule,
    set_text,
    time_words,
)
from console.texts import say
from lab.errors import LabError

_CLOSE_HZ = 4.0


class RigPage(Page):
    """See the module."""

    name = "rig"
    _found = Signal(object, str)
    _set = Signal(str, str)

    def __init__(
        self, desk: Desk, tell: Callable[[str, str], None], go: Callable[[str], None]
    ) -> None:
        super().__init__(desk, tell, go)
        self._nodes: dict[str, MarkLabel] = {}
        self._camera = ""
        self._sharpest = 1.0
        self._found.connect(self._take_found)
        self._set.connect(tell)
        self._grid = CameraGrid(self._made)
        self._side = QVBoxLayout()
        self._side.setSpacing(Look.px(6))
        self._summary = label(role="quiet", wrap=True)
        look = button(say("rig.search"), self._search, name="search")
        enrol = button(say("rig.enrol"), self._enrol, name="enrol node")
        for widget in (look, enrol):
            widget.setVisible(desk.demo is None)
        self._close = self._close_panel()
        side = QWidget()
        side.setFixedWidth(Look.px(280))
        side.setLayout(
            column(
                label(say("rig.computers"), "head"), self._side, 4, look, enrol, 12, rule(), 4,
                self._close, None,
            )
        )  # fmt: skip
        full = boxed(row(self._grid, side, gap=20))
        full.layout().setStretch(0, 1)  # type: ignore[union-attr]
        self._stack = QStackedLayout()
        self._stack.addWidget(self._empty())
        self._stack.addWidget(full)
        whole = column(label(say("rig.head"), "title"), self._summary, 4)
        whole.addLayout(self._stack, 1)
        whole.setContentsMargins(*[Look.px(20)] * 4)
        self.setLayout(whole)

    def _empty(self) -> QWidget:
        self._search_first = button(say("rig.search"), self._search, "next", "search first")
        self._enrol_first = button(say("rig.enrol"), self._enrol, name="enrol first")
        self._empty_head = label(say("rig.empty"), "title")
        self._empty_more = label(say("rig.empty.more"), "quiet", wrap=True)
        self._ready_bar = QProgressBar()
        self._ready_bar.setTextVisible(False)
        self._ready_bar.setMaximumWidth(Look.px(420))
        self._ready_bar.setVisible(False)
        return boxed(
            column(
                None, self._empty_head, self._empty_more, 8, self._ready_bar,
                row(self._search_first, self._enrol_first, None), None, None,
            ),
            40,
        )  # fmt: skip

    def _show_preparing(self) -> None:
        """Show how far the demo is made ready."""
        now = self.desk.demo.preparing if self.desk.demo is not None else None
        for widget in (self._search_first, self._enrol_first):
            widget.setVisible(self.desk.demo is None)
        if now is None:
            return
        set_text(self._empty_head, say(now.what))
        words = now.fault
        if now.share is not None and not now.fault:
            left = "…" if now.left_s is None else time_words(now.left_s)
            words = say("demo.left", share=now.share, left=left)
        set_text(self._empty_more, words)
        self._ready_bar.setVisible(not now.fault)
        self._ready_bar.setRange(0, 0 if now.share is None else 1000)
        if now.share is not None:
            self._ready_bar.setValue(round(1000 * now.share))

    def _close_panel(self) -> QWidget:
        self._which = label(say("rig.choose"), "head", wrap=True)
        self._model = label(role="quiet", wrap=True)
        self._exposure = NumberField(20, 100_000, 0, "exposure")
        self._gain = NumberField(-20, 60, 1, "gain")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 100)
        self._settings = QWidget()
        form = QGridLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addWidget(label(say("rig.exposure")), 0, 0)
        form.addWidget(self._exposure, 0, 1)
        form.addWidget(label(say("rig.gain")), 1, 0)
        form.addWidget(self._gain, 1, 1)
        form.addWidget(button(say("rig.set"), self._configure, name="set"), 2, 1)
        self._settings.setLayout(
            column(form, 8, label(say("rig.focus")), self._bar,
                   label(say("rig.focus.more"), "quiet", wrap=True))
        )  # fmt: skip
        self._settings.setVisible(False)
        return boxed(column(self._which, self._model, self._settings))

    def enter(self) -> None:
        """Look closely at the camera chosen."""
        self.desk.cell.live.look_at({self._camera: _CLOSE_HZ} if self._camera else {})

    def leave(self) -> None:
        """Look closely at nothing."""
        self.desk.cell.live.look_at({})

    def draw(self, cell: CellNow) -> None:
        """Show the newest pictures."""
        for camera in cell.cameras:
            view = self._grid.views.get(camera.name)
            if view is not None:
                view.show_picture(camera.picture)
        full = self.desk.cell.live.newest_full().get(self._camera)
        if full is not None:
            sharp = sharpness(full.image)
            self._sharpest = max(self._sharpest * 0.999, sharp)
            self._bar.setValue(round(100 * sharp / self._sharpest))

    def refresh(self, cell: CellNow, now: LabNow) -> None:
        """Show nodes and cameras as they stand."""
        self._stack.setCurrentIndex(1 if cell.nodes else 0)
        self._show_preparing()
        self._lay_out(cell)
        for camera in cell.cameras:
            words = camera.words if camera.mark != GOOD else f"{camera.rate_hz:.0f} Hz"
            if camera.lost:
                words += f", {camera.lost} lost"
            self._grid.views[camera.name].show_state(camera.mark, words)
        for node in cell.nodes:
            words = node.words
            if not words:
                clock = "" if math.isnan(node.clock_ms) else f"clock ± {node.clock_ms:.2f} ms"
                disk = "" if math.isnan(node.disk_bytes) else f"{node.disk_bytes / 1e9:.0f} GB free"
                words = ", ".join(w for w in (clock, disk) if w)
            self._nodes[node.name].show_mark(node.mark, f"{node.name}: {words}")
        good = sum(c.mark == GOOD for c in cell.cameras)
        text = f"{good} of {len(cell.cameras)} cameras run on {len(cell.nodes)} computers."
        fault = any(n.mark == BAD for n in cell.nodes)
        if cell.cameras and good == len(cell.cameras) and not fault:
            text = say("rig.next")
        set_text(self._summary, text if cell.nodes else "")

    def mark(self, cell: CellNow, now: LabNow) -> str:
        """Return good when every camera runs."""
        if any(n.mark == BAD for n in cell.nodes) or any(c.mark == BAD for c in cell.cameras):
            return BAD
        marks = [c.mark for c in cell.cameras]
        return GOOD if marks and all(m == GOOD for m in marks) else UNKNOWN

    def _lay_out(self, cell: CellNow) -> None:
        self._grid.show_cameras([c.name for c in cell.cameras])
        nodes = [n.name for n in cell.nodes]
        if nodes != list(self._nodes):
            for line in self._nodes.values():
                self._side.removeWidget(line)
                line.deleteLater()
            self._nodes = {name: MarkLabel() for name in nodes}
            for line in self._nodes.values():
                self._side.addWidget(line)

    def _made(self, view: CameraView) -> None:
        view.chosen.connect(self._choose)

    def _choose(self, name: str) -> None:
        self._camera, self._sharpest = name, 1.0
        for view in self._grid.views.values():
            view.selected = view.name == name
            view.update()
        found = next((c.described for c in self.desk.cell.look().cameras if c.name == name), None)
        self._settings.setVisible(found is not None)
        set_text(self._which, name)
        if found is not None:
            width, height = found.size_px
            set_text(self._model, f"{found.model} {found.serial}, {width} × {height}")
            self._exposure.set_value(found.exposure_us)
            self._gain.set_value(found.gain_db)
        self.enter()

    def _configure(self) -> None:
        camera, exposure, gain = self._camera, self._exposure.value(), self._gain.value()

        def work() -> None:
            try:
                notes = self.desk.cell.configure(camera, exposure, gain)
                self._set.emit("look" if notes else GOOD,
                               notes or say("rig.set.done", camera=camera))  # fmt: skip
            except LabError as error:
                self._set.emit(BAD, str(error))

        threading.Thread(target=work, name="configure", daemon=True).start()

    def _enrol(self) -> None:
        dialog = EnrolDialog(self.desk, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _search(self) -> None:
        self.tell(UNKNOWN, say("rig.searching"))
        self.desk.search_network(lambda places, fault: self._found.emit(places, fault))

    def _take_found(self, places: dict[str, NodePlace], fault: str) -> None:
        if fault:
            self.tell(BAD, fault)
        elif not places:
            self.tell("look", say("rig.none"))
        else:
            words = say("rig.found", names=", ".join(places))
            self.errands.send(
                lambda: self.desk.keep_nodes(places), lambda _: self.tell(GOOD, words)
            )


def scrolled(widget: QWidget) -> QScrollArea:
    """Return a widget that can be scrolled."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(widget)
    return area
