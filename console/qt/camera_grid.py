"""The pictures of all cameras, as large as they can be in the room there is, aligned to its top."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from console.qt.camera_view import CAPTION_PX, CameraView
from console.qt.look import Look

_GAP_PX = 12
_RATIO = 16 / 9
_AS_LARGE = 0.92


class CameraGrid(QWidget):
    """See the module.

    Args:
        made: Called with each new picture.
    """

    def __init__(self, made: Callable[[CameraView], None] = lambda view: None) -> None:
        super().__init__()
        self.views: dict[str, CameraView] = {}
        self._made = made
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(QSize(Look.px(320), Look.px(160)))

    def show_cameras(self, names: Sequence[str]) -> None:
        """Show these cameras, in this order; those that are shown stay as they are."""
        if list(names) == list(self.views):
            return
        for name in set(self.views) - set(names):
            self.views.pop(name).deleteLater()
        for name in names:
            if name not in self.views:
                view = CameraView(name)
                view.setParent(self)
                view.show()
                self._made(view)
                self.views[name] = view
        self.views = {name: self.views[name] for name in names}
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802, D102
        self._place()
        super().resizeEvent(event)

    def _place(self) -> None:
        count = len(self.views)
        if not count:
            return
        gap, caption = Look.px(_GAP_PX), Look.px(CAPTION_PX)
        fits = [self._width(count, across, gap, caption) for across in range(1, count + 1)]
        # Of arrangements that are about as large the one that fills the width: no hole beside it.
        columns = max(i for i, w in enumerate(fits, start=1) if w >= _AS_LARGE * max(fits))
        width = max(1, int(fits[columns - 1]))
        height = round(width / _RATIO) + caption
        for i, view in enumerate(self.views.values()):
            row, column = divmod(i, columns)
            view.setGeometry(column * (width + gap), row * (height + gap), width, height)

    def _width(self, count: int, across: int, gap: int, caption: int) -> float:
        """Return how wide pictures can be that stand so many across."""
        down = -(-count // across)
        room_w = (self.width() - gap * (across - 1)) / across
        room_h = (self.height() - gap * (down - 1)) / down - caption
        return max(0.0, min(room_w, room_h * _RATIO))
