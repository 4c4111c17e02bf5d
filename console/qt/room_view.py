"""Lines and circles of the lab in space, seen from far away; dragging turns them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from console.qt.look import BODY, Look

_BESIDE = 1.05  # what belongs to a place stands a little further out
_NAME_PX = 136  # of the design
_TURN_KEYS = {Qt.Key.Key_A: -5.0, Qt.Key.Key_D: 5.0}


@dataclass(frozen=True, slots=True, eq=False)
class Stroke:
    """A line (2, 3) m with its colour's name and width of the design."""

    ends: NDArray[np.float64]
    colour: str
    width: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A named place (3,) m with a circle of a radius, m; its name stands beyond `clear`, m."""

    at: NDArray[np.float64]
    words: str
    radius: float = 0.0
    clear: float = 0.0


class RoomView(QWidget):
    """See the module. The floor is at z = 0; the middle of what is shown stays in the middle.

    Args:
        reach_m: How far from the middle at the least is shown; places further out are shown, too.
        middle: m.
    """

    def __init__(self, reach_m: float, middle: tuple[float, float, float]) -> None:
        super().__init__()
        self._least, self._middle = reach_m, np.array(middle)
        self._turn, self._rise = math.radians(-60.0), math.radians(18.0)
        self._strokes: list[Stroke] = []
        self._places: list[Place] = []
        self._dragged: QPointF | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(Look.px(160), Look.px(160))

    def show_room(self, strokes: list[Stroke], places: list[Place] | None = None) -> None:
        """Show lines and places."""
        self._strokes, self._places = strokes, places or []
        self.update()

    def _scale(self) -> float:
        """Return pixels a metre: turning what is shown does not change it."""
        away = [float(np.linalg.norm(p.at - self._middle)) for p in self._places]
        reach = max([self._least, *(_BESIDE * a for a in away)])
        # Names stand beside the places.
        aside = Look.px(_NAME_PX) if self._places else 0
        return 0.5 * max(1, min(self.width() - 2 * aside, self.height())) / reach

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        self._dragged = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        if self._dragged is None:
            return
        moved = event.position() - self._dragged
        self._dragged = event.position()
        self._turn -= moved.x() * 0.01
        self._rise = min(max(self._rise + moved.y() * 0.01, -0.1), math.pi / 2)
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        self._dragged = None

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802, D102
        step = _TURN_KEYS.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
            return
        self._turn += math.radians(step)
        self.update()

    def _flat(self, xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return pixels (..., 2) of points (..., 3) m."""
        away = np.array(
            [math.cos(self._rise) * math.cos(self._turn),
             math.cos(self._rise) * math.sin(self._turn), math.sin(self._rise)]
        )  # fmt: skip
        right = np.array([-math.sin(self._turn), math.cos(self._turn), 0.0])
        up = np.cross(away, right)
        scale = self._scale()
        centred = xyz - self._middle
        x = self.width() / 2 + scale * (centred @ right)
        y = self.height() / 2 - scale * (centred @ up)
        return np.stack([x, y], axis=-1)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, D102
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_floor(painter)
        for stroke in self._strokes:
            if np.isfinite(stroke.ends).all():
                self._draw_line(painter, stroke.ends, stroke.colour, stroke.width)
        painter.setFont(Look.font(BODY))
        for place in self._places:
            self._draw_place(painter, place)
        if self.hasFocus():
            painter.setPen(QPen(Look.colour("accent"), Look.px(2)))
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))
        painter.end()

    def _draw_place(self, painter: QPainter, place: Place) -> None:
        """Draw a place's circle, and its name on the outside, where its lines are not."""
        x, y = self._flat(place.at)
        painter.setPen(QPen(Look.colour("ink"), Look.px(1)))
        reach = max(Look.px(2), self._scale() * place.radius)
        painter.drawEllipse(QPointF(x, y), reach, reach)
        beside = max(reach, self._scale() * place.clear) + Look.px(6)
        if x < self.width() / 2:
            beside = -beside - painter.fontMetrics().horizontalAdvance(place.words)
        painter.drawText(QPointF(x + beside, y + Look.px(4)), place.words)

    def _draw_floor(self, painter: QPainter) -> None:
        for k in np.arange(-2.0, 2.5, 1.0):
            self._draw_line(painter, np.array([[k, -2, 0], [k, 2, 0]], float), "hair", 1)
            self._draw_line(painter, np.array([[-2, k, 0], [2, k, 0]], float), "hair", 1)
        self._draw_line(painter, np.array([[0, 0, 0], [1.0, 0, 0]], float), "quiet", 2)

    def _draw_line(
        self, painter: QPainter, ends: NDArray[np.float64], colour: str, width: float
    ) -> None:
        (x0, y0), (x1, y1) = self._flat(ends)
        painter.setPen(QPen(Look.colour(colour), Look.px(width)))
        painter.drawLine(QPointF(x0, y0), QPointF(x1, y1))
