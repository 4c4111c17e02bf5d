"""The list of patients: search, enter, choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from console.cell import BAD
from console.desk import Desk
from console.qt.errands import Errands
from console.qt.look import Look
from console.qt.parts import MarkLabel, button, column, label, row, rule, set_text
from console.registry import PatientRow
from console.texts import say
from lab.errors import LabError

_HEADS = ("pat.code", "pat.name", "pat.born", "pat.sessions", "pat.last")


class Patients(QDialog):
    """See the module; `chosen` gives a code."""

    chosen = Signal(str)

    def __init__(self, desk: Desk, parent: QWidget) -> None:
        super().__init__(parent)
        self._desk = desk
        self._errands = Errands(self, desk.errands, self._show_fault)
        self.setWindowTitle(say("patients"))
        self.setObjectName("patients dialog")
        self._text = QLineEdit()
        self._text.setPlaceholderText(say("pat.search"))
        self._text.setObjectName("search text")
        self._text.returnPressed.connect(self._search)
        self._table = QTableWidget(0, len(_HEADS))
        self._table.setObjectName("patients table")
        self._table.setHorizontalHeaderLabels([say(h) for h in _HEADS])
        self._table.verticalHeader().setVisible(False)
        self._table.verticalHeader().setDefaultSectionSize(Look.px(30))
        heads = self._table.horizontalHeader()
        heads.setHighlightSections(False)
        heads.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        # As wide as the screen asks for: heads are never cut.
        heads.setMinimumSectionSize(Look.px(90))
        heads.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        heads.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self._table.setShowGrid(False)
        self._table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self._table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self._table.itemDoubleClicked.connect(lambda _: self._choose())
        self._fields = [QLineEdit() for _ in range(3)]
        for field, key in zip(self._fields, ("pat.code", "pat.name", "pat.born"), strict=True):
            field.setPlaceholderText(say(key))
            field.setObjectName(key)
        self._choose_button = button(say("pat.choose"), self._choose, "next", "choose")
        self._none = label(say("pat.reading"), "quiet", wrap=True)
        self._fault = MarkLabel()
        self._fault.setVisible(False)
        self.setLayout(
            column(
                row(self._text, button(say("pat.find"), self._search, name="search patients"),
                    button(say("pat.rebuild"), self._rebuild, name="rebuild")),
                self._none, self._table, row(self._choose_button, None),
                4, rule(), 4, label(say("pat.new"), "head"),
                row(*self._fields, button(say("pat.enter"), self._enter, name="enter")),
                self._fault, label(say("pat.logged"), "quiet"),
            )
        )  # fmt: skip
        self.layout().setContentsMargins(*[Look.px(20)] * 4)  # type: ignore[union-attr]
        # Enter in a field does what the field says, not the first button's work.
        for made in self.findChildren(QPushButton):
            made.setAutoDefault(False)
        self.resize(Look.px(760), Look.px(520))
        self._search()

    def _send(self, action: Callable[[], Any], then: Callable[[Any], object]) -> None:
        self._fault.setVisible(False)
        self._choose_button.setEnabled(False)
        self._errands.send(action, then)

    def _show_fault(self, words: str) -> None:
        self._fault.show_mark(BAD, words)
        self._fault.setVisible(True)
        self._choose_button.setEnabled(self._table.rowCount() > 0)

    def _search(self) -> None:
        text = self._text.text()
        self._send(lambda: self._desk.registry().search(text), self._fill)

    def _fill(self, rows: Sequence[PatientRow]) -> None:
        self._choose_button.setEnabled(bool(rows))
        self._table.setRowCount(len(rows))
        for i, found in enumerate(rows):
            born = "" if found.born is None else str(found.born)
            cells = (found.code, found.name, born, str(found.sessions), found.last[:10])
            for j, text in enumerate(cells):
                self._table.setItem(i, j, QTableWidgetItem(text))
        self._none.setVisible(not rows)
        set_text(self._none, say("pat.none"))
        if rows:
            self._table.selectRow(0)

    def _enter(self) -> None:
        code, name, born = (f.text().strip() for f in self._fields)

        def enter() -> None:
            year = None
            if born:
                if not born.isdigit() or not 1900 <= int(born) <= datetime.now().year:
                    raise LabError(f'"{born}" is no year of birth', remedy="Write, say, 1980.")
                year = int(born)
            self._desk.registry().add(code, name, year)

        def entered(_: object) -> None:
            for field in self._fields:
                field.clear()
            self._text.setText(code)
            self._search()

        self._send(enter, entered)

    def _rebuild(self) -> None:
        self._send(lambda: self._desk.registry().rebuild(), lambda _: self._search())

    def _choose(self) -> None:
        item = self._table.item(self._table.currentRow(), 0)
        if item is not None and not self._errands.out:
            self.chosen.emit(item.text())
            self.accept()

    def keyPressEvent(self, event) -> None:  # noqa: ANN001, N802, D102
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._table.hasFocus():
            self._choose()
        else:
            super().keyPressEvent(event)
