"""One camera's picture with its name, state, and what is drawn over it."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from capture.live import Picture
from console.qt.look import BODY, Look
from console.texts import say


def to_qimage(image: NDArray[np.uint8]) -> QImage:
    """Return an image as Qt draws it; it keeps its own copy."""
    # In the screen's own format, so that drawing it converts nothing.
    code = cv2.COLOR_GRAY2BGRA if image.ndim == 2 else cv2.COLOR_BGR2BGRA
    image = np.asarray(cv2.cvtColor(image, code), np.uint8)
    height, width = image.shape[:2]
    return QImage(image.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()


@lru_cache(maxsize=4)
def _ring(radius: int, width: int, ratio: float) -> QPixmap:
    """Return the circle about a corner, drawn once: stamping it is a copy."""
    size = 2 * (radius + width)
    ring = QPixmap(round(size * ratio), round(size * ratio))
    ring.setDevicePixelRatio(ratio)
    ring.fill(Qt.GlobalColor.transparent)
    painter = QPainter(ring)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor("#FFD400"), width))
    painter.drawEllipse(QPointF(size / 2, size / 2), radius, radius)
    painter.end()
    return ring


CAPTION_PX = 22  # of the design, below the picture


class CameraView(QWidget):
    """See the module."""

    chosen = Signal(str)
    clicked_at = Signal(str, float, float)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.setObjectName(f"camera {name}")
        self._index = -1
        self._pixels: NDArray[np.uint8] | None = None
        self._image: QImage | None = None
        self._mark, self._words = "unknown", ""
        self._corners: NDArray[np.float64] = np.zeros((0, 2))
        self._covered: NDArray[np.bool_] | None = None
        self._lines: list[tuple[NDArray[np.float64], str]] = []
        self.selected = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(QSize(Look.px(80), Look.px(60)))

    def show_picture(self, picture: Picture | None) -> bool:
        """Show the newest picture; False where it is the same and nothing is drawn again."""
        if picture is None or picture.index == self._index:
            return False
        self._index = picture.index
        self._take(picture.image)
        return True

    def show_image(self, image: NDArray[np.uint8] | None) -> None:
        """Show an image of a recording."""
        self._take(image)

    def _take(self, image: NDArray[np.uint8] | None) -> None:
        """Make an image ready to be drawn at the size at which it is shown."""
        before = self._area().toRect()
        self._pixels = image
        self._fit()
        area = self._area().toRect()
        self.update(area.united(before))

    def _fit(self) -> None:
        """Scale the image to the pixels of the screen, so that painting is a copy."""
        if self._pixels is None:
            self._image = None
            return
        ratio = self.devicePixelRatioF()
        area = self._area()
        size = max(1, round(area.width() * ratio)), max(1, round(area.height() * ratio))
        smaller = size[0] < self._pixels.shape[1]
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        fitted = np.asarray(cv2.resize(self._pixels, size, interpolation=how), np.uint8)
        self._image = to_qimage(fitted)
        self._image.setDevicePixelRatio(ratio)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802, D102
        self._fit()
        super().resizeEvent(event)

    def show_state(self, mark: str, words: str) -> None:
        """Show how the camera stands."""
        if (mark, words) != (self._mark, self._words):
            self._mark, self._words = mark, words
            self.update()

    def show_board(self, corners: NDArray[np.float64], covered: NDArray[np.bool_] | None) -> None:
        """Draw corners (n, 2), parts of width and height, and where the board has been."""
        same = self._covered is covered or (
            self._covered is not None
            and covered is not None
            and np.array_equal(self._covered, covered)
        )
        if not same or not np.array_equal(corners, self._corners):
            self._corners, self._covered = corners, covered
            self.update()

    def show_lines(self, lines: list[tuple[NDArray[np.float64], str]]) -> None:
        """Draw lines (2, 2), parts of width and height, with their colours' names."""
        if lines or self._lines:
            self._lines = lines
            self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        self.setFocus()
        self.chosen.emit(self.name)
        area, at = self._area(), event.position()
        x, y = (at.x() - area.left()) / area.width(), (at.y() - area.top()) / area.height()
        if 0 <= x <= 1 and 0 <= y <= 1:
            self.clicked_at.emit(self.name, x, y)

    @property
    def shown_width(self) -> float:
        """Of the picture on the screen, in its pixels."""
        return self._area().width()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802, D102
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.chosen.emit(self.name)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, D102
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = Look.px(CAPTION_PX)
        area = self._area()
        if self._image is None:
            painter.fillRect(area, Look.colour("panel"))
        else:
            painter.drawImage(area.topLeft(), self._image)
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

    def _area(self) -> QRectF:
        """Return where the picture stands: whole pixels."""
        room_height = max(1, self.height() - Look.px(CAPTION_PX))
        ratio = 16 / 9
        if self._pixels is not None:
            ratio = self._pixels.shape[1] / self._pixels.shape[0]
        width = max(1, round(min(self.width(), room_height * ratio)))
        return QRectF((self.width() - width) // 2, 0, width, max(1, round(width / ratio)))

    def _draw_over(self, painter: QPainter, area: QRectF) -> None:
        if self._covered is not None:
            rows, columns = self._covered.shape
            tint = Look.colour("good")
            tint.setAlpha(70)
            cells = np.where(self._covered, tint.rgba(), 0).astype(np.uint32)
            shown = QImage(cells.data, columns, rows, 4 * columns, QImage.Format.Format_ARGB32)
            painter.drawImage(area, shown)
        ring = _ring(Look.px(3), Look.px(2), self.devicePixelRatioF())
        half = ring.deviceIndependentSize().width() / 2
        for x, y in self._corners:
            at = QPointF(area.left() + x * area.width(), area.top() + y * area.height())
            painter.drawPixmap(at - QPointF(half, half), ring)
        for ends, colour in self._lines:
            if not np.isfinite(ends).all():
                continue
            painter.setPen(QPen(Look.colour(colour), Look.px(2)))
            a, b = (
                QPointF(area.left() + x * area.width(), area.top() + y * area.height())
                for x, y in ends
            )
            painter.drawLine(a, b)
