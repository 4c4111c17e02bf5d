"""Which way is up, and which way is walked: chosen before a calibration is solved."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QWidget

from console.floor_choice import INCLINE, LEVEL, PLUMB, USUAL_SIGMA_DEG, Point, UpChoice
from console.qt.look import Look
from console.qt.parts import NumberField, column, label, row, set_text
from console.texts import say

_HEADINGS = ("+x", "-x", "+y", "-y")
# A click is a screen's pixel off, and the line a little wide.
_CLICK_PX = 1.5


class UpPanel(QWidget):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._by, self._heading = QComboBox(), QComboBox()
        self._by.setObjectName("up")
        self._heading.setObjectName("heading")
        for by in (LEVEL, INCLINE, PLUMB):
            self._by.addItem(say(f"cal.up.{by}"), by)
        for heading in _HEADINGS:
            self._heading.addItem(say(f"cal.heading.{heading}"), heading)
        self._sigma = NumberField(0.01, 45.0, 2, "up sigma")
        self._sigma.set_value(USUAL_SIGMA_DEG)
        self._along = NumberField(-45.0, 45.0, 2, "incline along")
        self._across = NumberField(-45.0, 45.0, 2, "incline across")
        for field in (self._sigma, self._along, self._across):
            field.setFixedWidth(Look.px(64))
        self._lines: dict[str, list[Point]] = {}
        self._scale = 1.0
        self._sigma_words = label(say("cal.up.sigma"))
        self._incline = QWidget()
        self._incline.setLayout(
            row(label(say("cal.up.along")), self._along, label(say("cal.up.across")), self._across)
        )
        self._hint = label("", "quiet", wrap=True)
        self._by.currentIndexChanged.connect(lambda _: self._show())
        choices = row(
            label(say("cal.up"), "head"), self._by, self._incline, self._sigma_words, self._sigma,
            16, label(say("cal.heading"), "head"), self._heading, None,
        )  # fmt: skip
        self.setLayout(column(choices, self._hint, gap=4))
        self._show()

    @property
    def by_line(self) -> bool:
        """Whether clicks in the pictures mark a hanging line."""
        return self.isVisible() and self._by.currentData() == PLUMB

    def choice(self) -> UpChoice:
        """Return what is chosen."""
        along, across = self._along.value(), self._across.value()
        by = self._by.currentData()
        return UpChoice(
            by=by,
            heading=self._heading.currentData(),
            sigma_deg=self._sigma.value() or 0.0,
            incline_deg=None if along is None or across is None else (along, across),
            lines_px={c: (p[0], p[1]) for c, p in self._lines.items() if len(p) == 2}
            if by == PLUMB
            else {},
            line_sigma_px=max(1.0, _CLICK_PX * self._scale) if by == PLUMB else 1.0,
        )

    def mark(self, camera: str, at: Point, scale: float) -> None:
        """Take a click on a hanging line: its top, then its bottom; a third begins anew.

        Args:
            camera: In whose picture.
            at: px of the camera's image.
            scale: Its pixels to one of the screen.
        """
        points = self._lines.setdefault(camera, [])
        if len(points) == 2:
            points.clear()
        points.append(at)
        points.sort(key=lambda p: p[1])
        self._scale = max(self._scale, scale)
        self._show()

    def line(self, camera: str) -> list[Point]:
        """Return the points marked in a camera's image, px."""
        return self._lines.get(camera, []) if self.by_line else []

    def _show(self) -> None:
        by = self._by.currentData()
        self._incline.setVisible(by == INCLINE)
        for widget in (self._sigma, self._sigma_words):
            widget.setVisible(by != PLUMB)
        whole = sum(len(p) == 2 for p in self._lines.values())
        set_text(self._hint, say(f"cal.up.{by}.more", n=whole))
