"""Pairing with a camera computer: its address, a code on both screens, and whether they agree."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QDialog, QLineEdit, QPushButton, QWidget

from console.cell import BAD, GOOD, UNKNOWN
from console.desk import Desk
from console.enrolling import ASKING, COMPARING, DONE, FAILED, Enrolling
from console.qt.errands import Errands
from console.qt.look import Look
from console.qt.parts import MarkLabel, button, column, label, row
from console.texts import say

_LOOK_MS = 100


class EnrolDialog(QDialog):
    """See the module; `enrolled` gives name and address of the node."""

    enrolled = Signal(str, str)

    def __init__(self, desk: Desk, parent: QWidget) -> None:
        super().__init__(parent)
        self._desk = desk
        self._errands = Errands(self, desk.errands, lambda words: self._state.show_mark(BAD, words))
        self._trying: Enrolling | None = None
        self.setWindowTitle(say("enrol"))
        self.setObjectName("enrol dialog")
        self._host = QLineEdit()
        self._host.setObjectName("enrol host")
        self._host.setPlaceholderText("192.168.7.2")
        self._host.returnPressed.connect(self._ask)
        self._go = button(say("enrol.ask"), self._ask, "next", "enrol ask")
        self._state = MarkLabel()
        self._code = label("", "huge", name="enrol code")
        self._same = button(say("enrol.same"), lambda: self._answer(True), "next", "enrol same")
        self._other = button(say("enrol.other"), lambda: self._answer(False), name="enrol other")
        self.setLayout(
            column(
                label(say("enrol.how"), wrap=True), 4,
                row(label(say("enrol.host")), self._host, self._go), 8,
                self._state, self._code, row(self._same, self._other, None), None,
            )
        )  # fmt: skip
        self.layout().setContentsMargins(*[Look.px(20)] * 4)  # type: ignore[union-attr]
        for made in self.findChildren(QPushButton):
            made.setAutoDefault(False)
        self.resize(Look.px(560), Look.px(360))
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._show)
        self._show()

    def _ask(self) -> None:
        host = self._host.text().strip()
        if not host:
            self._host.setFocus()
            return
        self._trying = Enrolling(self._desk.keys_folder, host)
        self._timer.start(_LOOK_MS)
        self._show()

    def _answer(self, same: bool) -> None:
        if self._trying is not None:
            self._trying.answer(same)

    def _show(self) -> None:
        now = self._trying.look() if self._trying is not None else None
        comparing = now is not None and now.state == COMPARING
        self._go.setEnabled(now is None or now.state in (FAILED, DONE))
        for widget in (self._code, self._same, self._other):
            widget.setVisible(comparing)
        self._state.setVisible(now is not None)
        if now is None:
            return
        if now.state == ASKING:
            self._state.show_mark(UNKNOWN, say("enrol.asking"))
        elif now.state == COMPARING:
            self._state.show_mark(UNKNOWN, say("enrol.compare", node=now.node))
            self._code.setText(f"{now.code[:3]} {now.code[3:]}")
        elif now.state == FAILED:
            self._timer.stop()
            self._state.show_mark(BAD, now.fault)
        elif now.state == DONE and self._trying is not None:
            self._timer.stop()
            self._finish(now.node, self._trying.host)

    def _finish(self, node: str, host: str) -> None:
        def kept(_: object) -> None:
            self._state.show_mark(GOOD, say("enrol.done", node=node))
            self.enrolled.emit(node, host)

        self._errands.send(lambda: self._desk.keep_node(node, host), kept)

    def reject(self) -> None:
        """Close; a code that nobody compared counts as different."""
        self._answer(False)
        super().reject()
