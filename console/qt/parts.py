"""Small parts that every page is put together from."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QLocale, Qt
from PySide6.QtGui import QDoubleValidator
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from console.qt.look import Look
from console.texts import say


def label(text: str = "", role: str = "", wrap: bool = False, name: str = "") -> QLabel:
    """Return a line of text."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    if role:
        made.setProperty("role", role)
    if name:
        made.setObjectName(name)
    made.setWordWrap(wrap)
    return made


def button(
    text: str, action: Callable[[], object], role: str = "", name: str = "", tip: str = ""
) -> QPushButton:
    """Return a button; its object name is how a script finds it."""
    made = QPushButton(text)
    if role:
        made.setProperty("role", role)
    if name:
        made.setObjectName(name)
    if tip:
        made.setToolTip(tip)
    made.setAutoDefault(True)  # Enter presses it
    made.clicked.connect(lambda *_: action())
    return made


def rule() -> QFrame:
    """Return a thin line across."""
    made = QFrame()
    made.setProperty("role", "rule")
    return made


def column(*parts: QWidget | QLayout | int | None, gap: float = 8) -> QVBoxLayout:
    """Stack parts; a number is a space of the design, None takes what is left."""
    return _fill(QVBoxLayout(), parts, gap)  # type: ignore[return-value]


def row(*parts: QWidget | QLayout | int | None, gap: float = 8) -> QHBoxLayout:
    """Put parts beside each other; as `column`."""
    return _fill(QHBoxLayout(), parts, gap)  # type: ignore[return-value]


def _fill(
    layout: QBoxLayout, parts: tuple[QWidget | QLayout | int | None, ...], gap: float
) -> QBoxLayout:
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(Look.px(gap))
    for part in parts:
        if part is None:
            layout.addStretch(1)
        elif isinstance(part, int):
            layout.addSpacing(Look.px(part))
        elif isinstance(part, QWidget):
            layout.addWidget(part)
        else:
            layout.addLayout(part)
    return layout


def boxed(layout: QLayout, margin: float = 0, role: str = "") -> QWidget:
    """Return a widget that holds a layout."""
    made = QWidget()
    if role:
        made.setProperty("role", role)
        made.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
    m = Look.px(margin)
    layout.setContentsMargins(m, m, m, m)
    made.setLayout(layout)
    return made


def empty_state(head: str, more: str, go: Callable[[], object]) -> QWidget:
    """Return what a page shows as long as no trial is recorded, with the way to record one."""
    way = button(say("go.capture"), go, "next", "empty go")
    return boxed(
        column(None, label(head, "title"), label(more, "quiet"), 8, row(way, None), None, None), 40
    )


class MarkLabel(QLabel):
    """A sign, a word and their colour: never the colour alone."""

    def __init__(self, size: float | None = None) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self._size = size
        self._shown = ("", "")

    def show_mark(self, mark: str, words: str) -> None:
        """Show a state."""
        if (mark, words) == self._shown:
            return
        self._shown = (mark, words)
        self.setText(f"{say(f'mark.{mark}')}  {words}")
        self._dress(mark)

    def clear_mark(self) -> None:
        """Show nothing."""
        self._shown = ("", "")
        self.setText("")

    def _dress(self, mark: str) -> None:
        size = f" font-size: {Look.px(self._size)}px;" if self._size else ""
        self.setStyleSheet(f"color: {Look.palette.mark(mark)};{size}")


def set_text(widget: QLabel | QPushButton, text: str) -> None:
    """Change a text only where it differs, so that nothing is laid out for nothing."""
    if widget.text() != text:
        widget.setText(text)


def time_words(seconds: float) -> str:
    """Return a time left as one says it: 40 s, 3 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"


def restyle(widget: QWidget) -> None:
    """Have the style look at a widget's properties again."""
    widget.style().unpolish(widget)
    widget.style().polish(widget)


class NumberField(QLineEdit):
    """A number that is typed; empty is None."""

    def __init__(self, low: float, high: float, decimals: int, name: str) -> None:
        super().__init__()
        self._decimals = decimals
        self.setObjectName(name)
        check = QDoubleValidator(low, high, decimals, self)
        check.setLocale(QLocale.c())
        check.setNotation(QDoubleValidator.Notation.StandardNotation)
        self.setValidator(check)

    def value(self) -> float | None:
        """Return what is typed; None where it is empty or out of range."""
        return float(self.text()) if self.hasAcceptableInput() else None

    def set_value(self, value: float) -> None:
        """Show a number."""
        self.setText(f"{value:.{self._decimals}f}")


class CheckLine(QWidget):
    """One line of a checklist: what is checked with its sign, and below it how it stands.

    Where something is to be done, a button leads to the page where it is done.
    """

    def __init__(self, size: float, name: str, go: Callable[[str], None]) -> None:
        super().__init__()
        self._page = ""
        self._go = button("", lambda: go(self._page), "plain", f"{name} go")
        self._go.setVisible(False)
        self._go.setFixedHeight(Look.px(24))
        self.head = MarkLabel(size)
        self.head.setObjectName(name)
        self._words = label("", "quiet", wrap=True)
        self._words.setContentsMargins(Look.px(22), 0, 0, 0)
        self.head.setMinimumHeight(Look.px(24))
        head = row(self.head, self._go)
        head.setStretch(0, 1)
        self.setLayout(column(head, self._words, gap=0))

    def show_check(self, mark: str, about: str, words: str, page: str = "") -> None:
        """Show a state, and the page where it is mended."""
        self._page = page
        self._go.setVisible(bool(page) and mark == "bad")
        if page:
            set_text(self._go, say("check.go", page=say(f"page.{page}")))
        self.head.show_mark(mark, about)
        set_text(self._words, words)
