"""Which cameras have seen the board together, how often: cameras on a circle, joined by lines."""

from __future__ import annotations

import math
from collections.abc import Mapping

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from console.qt.look import BODY, Look

_THICKEST = 5.0


class PairGraph(QWidget):
    """See the module.

    Args:
        enough: From so many sightings on a pair is joined for good.
    """

    def __init__(self, enough: int) -> None:
        super().__init__()
        self._enough = enough
        self._names: tuple[str, ...] = ()
        self._pairs: dict[tuple[str, str], int] = {}
        self.setFixedSize(Look.px(200), Look.px(200))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_pairs(self, together: Mapping[str, Mapping[str, int]]) -> None:
        """Show how often each camera has seen the board with each other one."""
        pairs = {(a, b): n for a, own in together.items() for b, n in own.items() if a < b}
        if pairs != self._pairs:
            self._pairs, self._names = pairs, tuple(sorted(together))
            words = ", ".join(f"{a} and {b} {n}" for (a, b), n in pairs.items())
            self.setAccessibleDescription(words)
            self.setToolTip(words)
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, D102
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = QPointF(self.width() / 2, self.height() / 2)
        reach = 0.33 * min(self.width(), self.height())
        at = {}
        for k, name in enumerate(self._names):
            angle = 2 * math.pi * k / len(self._names) - math.pi / 2
            at[name] = QPointF(math.cos(angle), math.sin(angle))
        for (a, b), count in self._pairs.items():
            if not count:
                continue
            good = count >= self._enough
            width = 1 + (_THICKEST - 1) * min(1.0, count / self._enough)
            style = Qt.PenStyle.SolidLine if good else Qt.PenStyle.DashLine
            painter.setPen(QPen(Look.colour("good" if good else "look"), Look.px(width), style))
            painter.drawLine(middle + reach * at[a], middle + reach * at[b])
        painter.setFont(Look.font(BODY))
        painter.setPen(Look.colour("ink"))
        painter.setBrush(Look.colour("ink"))
        for name, place in at.items():
            painter.drawEllipse(middle + reach * place, Look.px(4), Look.px(4))
            size = painter.fontMetrics().size(0, name)
            far = middle + (reach + Look.px(24)) * place
            painter.drawText(far + QPointF(-size.width() / 2, size.height() / 3), name)
        painter.end()
