"""One camera's picture with its name, state, and what is drawn over it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from capture.live import Picture
from console.qt.look import BODY, Look
from console.texts import say


def to_qimage(image: NDArray[np.uint8]) -> QImage:
    """Return an image as Qt draws it; it keeps its own copy."""
    image = np.ascontiguousarray(image)
    height, width = image.shape[:2]
    if image.ndim == 2:
        return QImage(image.data, width, height, width, QImage.Format.Format_Grayscale8).copy()
    return QImage(image.data, width, height, 3 * width, QImage.Format.Format_BGR888).copy()


class CameraView(QWidget):
    """See the module."""

    chosen = Signal(str)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.setObjectName(f"camera {name}")
        self._index = -1
        self._image: QImage | None = None
        self._mark, self._words = "unknown", ""
        self._corners: NDArray[np.float64] = np.zeros((0, 2))
        self._covered: NDArray[np.bool_] | None = None
        self._lines: list[tuple[NDArray[np.float64], str]] = []
        self.selected = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(QSize(Look.px(150), Look.px(110)))

    def show_picture(self, picture: Picture | None) -> None:
        """Show the newest picture; nothing is drawn again where it is the same."""
        if picture is None or picture.index == self._index:
            return
        self._index = picture.index
        self._image = to_qimage(picture.image)
        self.update()

    def show_image(self, image: NDArray[np.uint8] | None) -> None:
        """Show an image of a recording."""
        self._image = None if image is None else to_qimage(image)
        self.update()

    def show_state(self, mark: str, words: str) -> None:
        """Show how the camera stands."""
        if (mark, words) != (self._mark, self._words):
            self._mark, self._words = mark, words
            self.update()

    def show_board(self, corners: NDArray[np.float64], covered: NDArray[np.bool_] | None) -> None:
        """Draw corners (n, 2), parts of width and height, and where the board has been."""
        self._corners, self._covered = corners, covered
        self.update()

    def show_lines(self, lines: list[tuple[NDArray[np.float64], str]]) -> None:
        """Draw lines (2, 2), parts of width and height, with their colours' names."""
        self._lines = lines
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        self.setFocus()
        self.chosen.emit(self.name)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802, D102
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.chosen.emit(self.name)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, D102
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        line = Look.px(22)
        room = QRectF(0, 0, self.width(), self.height() - line)
        area = self._picture_area(room)
        if self._image is None:
            painter.fillRect(area, Look.colour("panel"))
        else:
            painter.drawImage(area, self._image)
        self._draw_over(painter, area)
        if self.selected or self.hasFocus():
            painter.setPen(QPen(Look.colour("accent"), Look.px(3)))
            painter.drawRect(area.adjusted(1, 1, -1, -1))
        painter.setFont(Look.font(BODY, bold=True))
        painter.setPen(Look.colour("ink"))
        base = QRectF(area.left(), area.bottom(), area.width(), line)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(base, middle | Qt.AlignmentFlag.AlignLeft, self.name)
        if self._words:
            painter.setFont(Look.font(BODY))
            painter.setPen(QColor(Look.palette.mark(self._mark)))
            words = f"{say(f'mark.{self._mark}')} {self._words}"
            left = painter.fontMetrics().horizontalAdvance(self.name) + Look.px(16)
            words = painter.fontMetrics().elidedText(
                words, Qt.TextElideMode.ElideRight, int(area.width()) - left
            )
            painter.drawText(base, middle | Qt.AlignmentFlag.AlignRight, words)
        painter.end()

    def _picture_area(self, room: QRectF) -> QRectF:
        ratio = 16 / 9
        if self._image is not None and self._image.height():
            ratio = self._image.width() / self._image.height()
        width = min(room.width(), room.height() * ratio)
        return QRectF((room.width() - width) / 2, 0, width, width / ratio)

    def _draw_over(self, painter: QPainter, area: QRectF) -> None:
        if self._covered is not None:
            rows, columns = self._covered.shape
            tint = Look.colour("good")
            tint.setAlpha(70)
            for i, j in np.argwhere(self._covered):
                painter.fillRect(
                    QRectF(
                        area.left() + j * area.width() / columns,
                        area.top() + i * area.height() / rows,
                        area.width() / columns,
                        area.height() / rows,
                    ),
                    tint,
                )
        painter.setPen(QPen(QColor("#FFD400"), Look.px(2)))
        for x, y in self._corners:
            at = QPointF(area.left() + x * area.width(), area.top() + y * area.height())
            painter.drawEllipse(at, Look.px(3), Look.px(3))
        for ends, colour in self._lines:
            if not np.isfinite(ends).all():
                continue
            painter.setPen(QPen(Look.colour(colour), Look.px(2)))
            a, b = (
                QPointF(area.left() + x * area.width(), area.top() + y * area.height())
                for x, y in ends
            )
            painter.drawLine(a, b)
