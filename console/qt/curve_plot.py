"""One kind of curve over a trial, left and right, with its events and a cursor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QComboBox, QGraphicsPathItem, QWidget

from console.qt.look import BODY, Look
from console.qt.parts import column, label, row, set_text
from console.reviewing import CurvePair, Review
from console.texts import say
from lab.checks import FloatArray

_SHOWN_S = 4.0
_FAR = 1e4  # degrees, beyond every curve
_LINES = (("foot_strike", Qt.PenStyle.SolidLine), ("foot_off", Qt.PenStyle.DotLine))


class _Axis(pg.AxisItem):
    """An axis whose numbers carry their unit."""

    def __init__(self, side: str, unit: str) -> None:
        super().__init__(side)
        self._unit = unit

    def tickStrings(self, values: Any, scale: Any, spacing: Any) -> list[str]:  # noqa: N802
        plain = super().tickStrings(values, scale, spacing)
        return [f"{text}{self._unit}".replace("-", "\N{MINUS SIGN}") for text in plain]


class CurvePlot(QWidget):
    """Left and right of one kind of curve, with the trial's events and the cursor."""

    def __init__(self, go_to: Callable[[float], None], number: int) -> None:
        super().__init__()
        self._review: Review | None = None
        self._choice = QComboBox()
        self._choice.setObjectName(f"curve {number}")
        self._choice.setFixedWidth(Look.px(190))
        self._choice.activated.connect(lambda i: self._draw(i))
        self._ends = label("", "quiet")
        axes = {"left": _Axis("left", "°"), "bottom": _Axis("bottom", " s")}
        self._plot = pg.PlotWidget(axisItems=axes)
        self._item: Any = self._plot.getPlotItem()
        self._plot.setMenuEnabled(False)
        self._plot.setMouseEnabled(x=True, y=False)
        self._plot.hideButtons()
        self._plot.setMinimumHeight(Look.px(84))
        scene: Any = self._plot.scene()
        scene.sigMouseClicked.connect(self._clicked)
        self._go_to = go_to
        self._cursor: Any = None
        self._values = label("", "quiet")
        self.setLayout(column(row(self._choice, self._ends, None, self._values), self._plot, gap=0))

    def offer(self, review: Review, pair: CurvePair) -> None:
        """Offer a trial's curves and show one."""
        kept = self._choice.currentData()
        self._review = review
        self._choice.clear()
        for curve in review.curves:
            self._choice.addItem(curve.title, curve.stem)
        at = self._choice.findData(kept if kept else pair.stem)
        self._choice.setCurrentIndex(max(0, at))
        self._draw(max(0, at))

    def set_cursor(self, t: float) -> None:
        """Move the cursor, and show the values there."""
        if self._cursor is None or self._review is None:
            return
        self._cursor.setValue(t)
        (low, high), _ = self._item.viewRange()
        if not low + 0.05 * (high - low) <= t <= high - 0.05 * (high - low):
            self._follow(t)
        pair = self._review.curves[self._choice.currentIndex()]
        at = int(np.abs(self._review.t - t).argmin())
        words = []
        for side, (values, sigma) in pair.sides.items():
            name = f"{say(f'rev.{side}')} " if side else ""
            if np.isfinite(values[at]):
                half = f" ± {1.96 * sigma[at]:.1f}" if np.isfinite(sigma[at]) else ""
                words.append(f"{name}{values[at]:.1f}{half}°".replace("-", "\N{MINUS SIGN}"))
        set_text(self._values, "     ".join(words))

    def _follow(self, t: float) -> None:
        """Show some strides about a time; the wheel shows more or less."""
        first, last = (float(self._review.t[i]) for i in (0, -1)) if self._review else (0.0, 1.0)
        low = max(first, min(t - _SHOWN_S / 2, last - _SHOWN_S))
        self._item.setXRange(low, min(low + _SHOWN_S, last), 0.01)

    def _draw(self, index: int) -> None:
        review = self._review
        if review is None or not review.curves:
            return
        pair = review.curves[index]
        plot = self._plot
        plot.clear()
        plot.setBackground(Look.palette.ground)
        for name in ("left", "bottom"):
            axis = plot.getAxis(name)
            axis.setPen(pg.mkPen(Look.palette.hair))
            axis.setTextPen(pg.mkPen(Look.palette.quiet))
            axis.setTickFont(Look.font(BODY - 2))
        plot.getAxis("left").setWidth(Look.px(44))
        plot.addLine(y=0, pen=pg.mkPen(Look.palette.hair, width=1))
        for side in ("left", "right"):
            for kind, style in _LINES:
                t = [e.t for e in review.events if (e.side, e.kind) == (side, kind)]
                pen = pg.mkPen(getattr(Look.palette, side), width=1, style=style)
                y = np.tile([-_FAR, _FAR], len(t))
                lines = pg.PlotDataItem(np.repeat(t, 2), y, pen=pen, connect="pairs")
                self._item.addItem(lines, ignoreBounds=True)
        for side, (values, sigma) in pair.sides.items():
            colour = getattr(Look.palette, side) if side else Look.palette.ink
            pale = pg.mkColor(colour)
            pale.setAlpha(50)
            known = np.isfinite(sigma) & np.isfinite(values)
            if known.any():
                t, middle, half = (x[known] for x in (review.t, values, 1.96 * sigma))
                plot.addItem(_band(t, middle - half, middle + half, pale))
            plot.plot(review.t, values, pen=pg.mkPen(colour, width=Look.px(2)), connect="finite")
        self._cursor = plot.addLine(x=0, pen=pg.mkPen(Look.palette.ink, width=Look.px(1)))
        self._follow(float(review.t[0]))
        ends = "" if not pair.up else f"↑ {pair.up}     ↓ {pair.down}"
        set_text(self._ends, ends)

    def _clicked(self, event: Any) -> None:
        place = self._item.vb.mapSceneToView(event.scenePos())
        self._go_to(float(place.x()))


def _band(t: FloatArray, low: FloatArray, high: FloatArray, colour: QColor) -> QGraphicsPathItem:
    """Return what lies between two curves, as one outline: pyqtgraph's own is slow to make."""
    around = np.concatenate([t, t[::-1]]), np.concatenate([high, low[::-1]])
    band = QGraphicsPathItem(pg.arrayToQPath(*around, connect="all"))
    band.setBrush(colour)
    band.setPen(Qt.PenStyle.NoPen)
    return band
