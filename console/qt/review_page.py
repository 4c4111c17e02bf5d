"""Review: video, skeleton, curves and events of a trial under one cursor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLineEdit,
    QSlider,
    QStackedLayout,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from console.cell import BAD, GOOD, UNKNOWN, CellNow
from console.desk import Desk
from console.event_edits import EventEdit, add_edit, clear_edits, how_edited
from console.lab_folder import TakeState
from console.lab_watch import LabNow
from console.qt.camera_view import CameraView
from console.qt.curve_plot import CurvePlot
from console.qt.errands import Errands
from console.qt.frame_thread import FrameThread
from console.qt.look import Look
from console.qt.page import Page
from console.qt.parts import (
    MarkLabel,
    boxed,
    button,
    column,
    empty_state,
    label,
    row,
    rule,
    set_text,
)
from console.qt.room_view import RoomView, Stroke
from console.reviewing import CurvePair, Review, load_review
from console.texts import say
from lab.errors import LabError

_EMPTY, _FULL, _READING = 0, 1, 2  # what is shown
_PLOTS = 3
_TURN_MS = 40
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class ReviewPage(Page):
    """See the module."""

    name = "review"
    _loaded = Signal(object, str)
    _frame = Signal(object)

    def __init__(
        self, desk: Desk, tell: Callable[[str, str], None], go: Callable[[str], None]
    ) -> None:
        super().__init__(desk, tell, go)
        self._review: Review | None = None
        self._reading = False
        self._known: tuple[tuple[str, float], ...] = ()
        self._key: tuple[Path, float] | None = None
        self._t = 0.0
        self._edits = Errands(self, desk.errands, self._refuse_edit)
        self._reader = FrameThread(self._frame.emit)
        self._loaded.connect(self._show_review)
        self._frame.connect(self._show_frame)
        self._trial, self._camera = QComboBox(), QComboBox()
        self._trial.setObjectName("trial")
        self._camera.setObjectName("video")
        self._trial.setMinimumWidth(Look.px(280))
        self._trial.activated.connect(lambda _: self._load())
        self._camera.activated.connect(lambda _: self._choose_camera())
        self._video = CameraView("")
        self._room = RoomView(1.25, (0.0, 0.0, 0.9))
        self._raw = QCheckBox(say("rev.raw"))
        self._raw.toggled.connect(lambda _: self._go_to(self._t))
        self._plots = [CurvePlot(self._go_to, i) for i in range(_PLOTS)]
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setObjectName("time")
        self._slider.valueChanged.connect(self._slide)
        self._measures = QTableWidget(0, 3)
        self._measures.setObjectName("measures")
        self._measures.verticalHeader().setVisible(False)
        self._measures.setShowGrid(False)
        self._measures.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        for i, text in enumerate(("", say("rev.left"), say("rev.right"))):
            head = QTableWidgetItem(text)
            head.setTextAlignment(_RIGHT)
            self._measures.setHorizontalHeaderItem(i, head)
        self._refused = MarkLabel()
        self._refused.setObjectName("refused")
        self._stack = QStackedLayout()
        self._stack.addWidget(
            empty_state(say("rev.empty"), say("rev.empty.more"), lambda: go("capture"))
        )
        self._stack.addWidget(self._full())
        self._stack.addWidget(boxed(column(None, label(say("rev.reading"), "quiet"), None), 40))
        self._time = label("", "head")
        self._time.setFixedWidth(Look.px(90))
        head = row(
            label(say("rev.head"), "title"), 16, self._trial, self._camera, self._raw, None,
            self._time,
        )  # fmt: skip
        whole = column(head, 4)
        whole.addLayout(self._stack, 1)
        whole.setContentsMargins(*[Look.px(20)] * 4)
        self.setLayout(whole)

    def _full(self) -> QWidget:
        self._event = label(say("rev.event.none"), wrap=True, name="event")
        self._reason = QLineEdit()
        self._reason.setPlaceholderText(say("rev.reason"))
        self._reason.setObjectName("reason")
        self._move = button(say("rev.event.move"), self._move_event, name="move")
        self._leave_button = button(say("rev.event.leave"), self._leave_event, name="leave event")
        self._undo = button(say("rev.event.undo"), self._undo_events, name="undo")
        self._again = button(say("rev.process"), self._process, "next", "process again")
        self._edited = label("", "quiet", wrap=True)
        pictures = row(self._video, self._room, gap=12)
        pictures.setStretch(0, 3)
        pictures.setStretch(1, 2)
        left = column(pictures, self._slider, *self._plots, gap=4)
        left.setStretch(0, 4)
        for i in range(_PLOTS):
            left.setStretch(2 + i, 2)
        side = column(
            self._refused, label(say("rev.measures"), "head"), self._measures, 4, rule(), 4,
            label(say("rev.event"), "head"), self._event, self._reason,
            row(self._move, self._leave_button, None), self._edited,
            row(self._again, self._undo, None),
        )  # fmt: skip
        side.setStretch(2, 1)
        side_widget = QWidget()
        side_widget.setFixedWidth(Look.px(390))
        side_widget.setLayout(side)
        both = row(gap=20)
        both.addLayout(left, 1)
        both.addWidget(side_widget)
        return boxed(both)

    # ---- which trial ----

    def refresh(self, cell: CellNow, now: LabNow) -> None:
        """List the processed trials; load the newest when none is shown, or a new record."""
        takes = _processed(now, self.desk)
        known = tuple((str(t.folder), t.processed_s) for t in takes)
        if known != self._known:
            shown = self._trial.currentData()
            self._known = known
            self._trial.clear()
            for take in takes:
                sign = "✓" if take.state == "accepted" else "✗"
                text = f"{sign}  {take.folder.parent.parent.name}  {take.folder.parent.name}"
                self._trial.addItem(f"{text}  {take.name}", take.folder)
            at = self._trial.findData(shown) if shown is not None else 0
            self._trial.setCurrentIndex(max(0, at))
            if takes:
                self._load()
        nothing = _READING if self._reading else _EMPTY
        self._stack.setCurrentIndex(_FULL if self._review is not None else nothing)
        self._trial.setVisible(bool(takes))
        for widget in (self._camera, self._raw):
            widget.setVisible(self._review is not None)

    def _load(self) -> None:
        folder = self._trial.currentData()
        if folder is None:
            return
        if self._review is not None and self._review.folder != folder:
            # What is on the screen is never another trial's than the one named above it.
            self._review = None
            self._reading = True
            self._stack.setCurrentIndex(_READING)

        def work() -> None:
            try:
                self._loaded.emit(load_review(folder), "")
            except (LabError, OSError) as error:
                self._loaded.emit(None, str(error))

        threading.Thread(target=work, name="load review", daemon=True).start()

    def _show_review(self, review: Review | None, fault: str) -> None:
        if review is not None and review.folder != self._trial.currentData():
            return
        self._reading = False
        if review is None:
            self.tell(BAD, fault)
            return
        again = self._review is not None and self._review.folder == review.folder
        self._review = review
        self._camera.clear()
        self._camera.addItems(list(review.cameras))
        self._choose_camera()
        chosen = review.curves[:_PLOTS]
        for turn, (plot, pair) in enumerate(zip(self._plots, chosen, strict=False), start=1):
            # Each in a turn of its own, so that pictures and keys are not kept waiting.
            QTimer.singleShot(
                _TURN_MS * turn, lambda plot=plot, pair=pair: self._offer(plot, review, pair)
            )
        self._slider.blockSignals(True)
        self._slider.setRange(0, max(0, len(review.t) - 1))
        self._slider.blockSignals(False)
        self._show_measures(review)
        trial = review.trial
        self._refused.setVisible(not trial.accepted)
        self._refused.show_mark(BAD, say("rev.refused", why="".join(trial.reasons[:1])))
        self._read_edits()
        if not again:
            self._t = float(review.t[len(review.t) // 3])
        self._stack.setCurrentIndex(_FULL)
        self._go_to(self._t)

    def _offer(self, plot: CurvePlot, review: Review, pair: CurvePair) -> None:
        if review is self._review:
            plot.offer(review, pair)
            plot.set_cursor(self._t)

    def _show_measures(self, review: Review) -> None:
        table = self._measures
        table.clearSpans()
        table.setRowCount(len(review.measures))
        for i, line in enumerate(review.measures):
            shown = (line.title, line.left or line.both, line.right)
            if not line.given:
                shown = (line.title, line.short, "")
                table.setSpan(i, 1, 1, 2)
            for j, text in enumerate(shown):
                item = QTableWidgetItem(text)
                item.setToolTip(line.why or text)
                if j and line.given:
                    item.setTextAlignment(_RIGHT)
                table.setItem(i, j, item)
        table.setColumnWidth(0, Look.px(190))
        table.setColumnWidth(1, Look.px(92))
        table.setColumnWidth(2, Look.px(92))
        table.resizeRowsToContents()  # a long name goes on below

    # ---- the cursor ----

    def _slide(self, value: int) -> None:
        if self._review is not None:
            self._go_to(float(self._review.t[value]))

    def _go_to(self, t: float) -> None:
        review = self._review
        if review is None:
            return
        at = int(np.abs(review.t - t).argmin())
        self._t = float(review.t[at])
        self._slider.blockSignals(True)
        self._slider.setValue(at)
        self._slider.blockSignals(False)
        set_text(self._time, f"{self._t:.3f} s")
        for plot in self._plots:
            plot.set_cursor(self._t)
        strokes = []
        if self._raw.isChecked():
            raw = review.points_at(self._t, smoothed=False)
            strokes += [Stroke(raw[[a, b]], "quiet", 1) for a, b, _ in review.bones]
        points = review.points_at(self._t)
        strokes += [Stroke(points[[a, b]], side or "ink", 3) for a, b, side in review.bones]
        middle = np.nanmean(points, axis=0)
        if np.isfinite(middle).all():
            shift = np.array([middle[0], middle[1], 0.0])
            strokes = [Stroke(s.ends - shift, s.colour, s.width) for s in strokes]
        self._room.show_room(strokes)
        self._reader.ask(self._t)
        event = review.nearest_event(self._t)
        text = say("rev.event.none")
        if event is not None:
            kind = say(f"rev.{event.kind}")
            sigma = "" if np.isnan(event.sigma) else f" ± {1960 * event.sigma:.0f} ms"
            by_hand = say("rev.by.hand") if event.source == "operator" else ""
            text = f"{event.side} {kind}, {event.t:.3f} s{sigma}{by_hand}"
        set_text(self._event, text)
        for widget in (self._move, self._leave_button):
            widget.setEnabled(event is not None)

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802, D102
        review = self._review
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        if review is None:
            super().keyPressEvent(event)
        elif event.key() in steps:
            at = int(np.abs(review.t - self._t).argmin()) + steps[event.key()]
            self._go_to(float(review.t[min(max(at, 0), len(review.t) - 1)]))
        elif event.key() in (Qt.Key.Key_N, Qt.Key.Key_B):
            later = [e.t for e in review.events if e.t > self._t + 0.006]
            sooner = [e.t for e in review.events if e.t < self._t - 0.006]
            if event.key() == Qt.Key.Key_N and later:
                self._go_to(later[0])
            elif event.key() == Qt.Key.Key_B and sooner:
                self._go_to(sooner[-1])
        else:
            super().keyPressEvent(event)

    def _choose_camera(self) -> None:
        if self._review is not None and self._camera.currentText():
            self._reader.open(self._review, self._camera.currentText())
            self._video.name = self._camera.currentText()
            self._reader.ask(self._t)

    def _show_frame(self, image: Any) -> None:
        review = self._review
        self._video.show_image(image)
        if review is None or image is None:
            return
        height, width = image.shape[:2]
        points = review.drawn_at(self._camera.currentText(), self._t) / (width, height)
        self._video.show_lines([(points[[a, b]], side or "ink") for a, b, side in review.bones])

    # ---- events ----

    def _move_event(self) -> None:
        self._edit(self._t)

    def _leave_event(self) -> None:
        self._edit(None)

    def _edit(self, moved_to: float | None) -> None:
        review = self._review
        event = review.nearest_event(self._t) if review is not None else None
        if review is None or event is None:
            return
        reason = self._reason.text()

        def take(_: object) -> None:
            self._reason.clear()
            self._read_edits()

        self._edits.send(lambda: add_edit(review.folder, event, reason, moved_to), take)

    def _refuse_edit(self, fault: str) -> None:
        self.tell(BAD, fault)
        self._reason.setFocus()

    def _undo_events(self) -> None:
        if self._review is not None:
            folder = self._review.folder
            self.errands.send(lambda: clear_edits(folder), lambda _: self._read_edits())

    def _read_edits(self) -> None:
        if self._review is not None:
            folder = self._review.folder
            self.errands.send(lambda: how_edited(folder), lambda e: self._show_edits(folder, *e))

    def _show_edits(self, folder: Path, edits: Sequence[EventEdit], waiting: bool) -> None:
        if self._review is None or self._review.folder != folder:
            return
        lines = [e.words for e in edits]
        if waiting:
            lines.append(say("rev.edited", n=len(edits)))
        set_text(self._edited, "\n".join(lines))
        self._undo.setEnabled(bool(edits))

    def _process(self) -> None:
        if self._review is not None:
            folder = self._review.folder
            # After the changes that are still being written.
            self.errands.send(lambda: self.desk.jobs.add(("process", str(folder)), str(folder)))
            self.tell(UNKNOWN, f"{folder.name}: {say('cap.state.processing')[2:]}")

    def mark(self, cell: CellNow, now: LabNow) -> str:
        """Return good when a trial of the open session can be looked at."""
        session = self.desk.session
        takes = session.takes if session else ()
        return GOOD if any(t.state in ("accepted", "refused") for t in takes) else UNKNOWN

    def close_files(self) -> None:
        """End the thread that reads videos."""
        self._reader.close()


def _processed(now: LabNow, desk: Desk) -> list[TakeState]:
    """Return the trials that can be looked at: of the open session first, the newest first."""
    open_one = desk.session
    takes = [
        (session is open_one, take)
        for session in now.sessions
        for take in session.takes
        if take.kind == "trial" and take.state in ("accepted", "refused")
    ]
    takes.sort(key=lambda t: (not t[0], -t[1].processed_s))
    return [t for _, t in takes]
