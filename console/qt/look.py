"""How the console looks: two palettes, one family of type, four sizes, a grid of 4."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import ClassVar

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPainter, QPixmap
from PySide6.QtWidgets import QApplication

from console.cell import BAD, GOOD, LOOK

_FONTS = ("SourceSansPro-Regular.otf", "SourceSansPro-Semibold.otf", "SourceSansPro-It.otf")
_FOLDER = tempfile.TemporaryDirectory(prefix="gaitlab-look-")
FAMILY = "Source Sans Pro"


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by what they mean."""

    ground: str
    panel: str
    ink: str
    quiet: str
    hair: str
    accent: str
    on_accent: str
    left: str
    right: str
    good: str
    look: str
    bad: str

    def mark(self, mark: str) -> str:
        """Return the colour of a state."""
        return {GOOD: self.good, LOOK: self.look, BAD: self.bad}.get(mark, self.quiet)


LIGHT = Palette(
    "#FFFFFF", "#F5F6F6", "#1E2429", "#5C666E", "#D9DDE0", "#2F5D62", "#FFFFFF",
    "#C8451B", "#1668A8", "#2E7D4F", "#8F5F12", "#B3261E",
)  # fmt: skip
DARK = Palette(
    "#14181B", "#1D2226", "#E8EBED", "#9AA5AC", "#363E44", "#7FB5BA", "#0F1315",
    "#F0805A", "#6DB3EA", "#6CC48F", "#E0AE55", "#F28B82",
)  # fmt: skip


class Look:
    """The palette in use and the scale of everything; one for the program."""

    palette = LIGHT
    scale = 1.0
    _fonts: ClassVar[dict[tuple[int, bool], QFont]] = {}

    @classmethod
    def px(cls, size: float) -> int:
        """Return a length of the design (at 768 lines) in pixels of this screen."""
        return max(1, round(size * cls.scale))

    @classmethod
    def colour(cls, name: str) -> QColor:
        """Return a colour of the palette by its meaning."""
        return QColor(getattr(cls.palette, name))

    @classmethod
    def font(cls, size: float, bold: bool = False) -> QFont:
        """Return the family at a size of the design, with figures that stand in columns."""
        key = (cls.px(size), bold)
        if key not in cls._fonts:
            font = QFont(FAMILY)
            font.setPixelSize(key[0])
            font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
            font.setFeature(QFont.Tag("tnum"), 1)
            cls._fonts[key] = font
        return cls._fonts[key]


BODY, HEAD, TITLE, HUGE = 14, 17, 22, 44


def load_fonts() -> None:
    """Take the fonts that the reports carry."""
    for name in _FONTS:
        data = resources.files("report").joinpath("fonts", name).read_bytes()
        QFontDatabase.addApplicationFontFromData(data)


def apply_look(app: QApplication, dark: bool, height_px: int) -> None:
    """Dress the program for a screen of this height."""
    Look.palette = DARK if dark else LIGHT
    Look.scale = min(max(height_px / 800, 0.9), 2.0)
    app.setFont(Look.font(BODY))
    arrow = Path(_FOLDER.name) / f"arrow-{'dark' if dark else 'light'}.png"
    _draw_arrow().save(str(arrow))
    app.setStyleSheet(_sheet(Look.palette, arrow.as_posix()))


def _draw_arrow() -> QPixmap:
    """Return the small triangle of a list that opens; style sheets cannot draw one."""
    width, height = Look.px(10), Look.px(6)
    pixmap = QPixmap(width, height)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(Look.colour("quiet"))
    painter.drawPolygon([QPointF(0, 0), QPointF(width, 0), QPointF(width / 2, height)])
    painter.end()
    return pixmap


def _sheet(p: Palette, arrow: str) -> str:
    px = Look.px
    return f"""
QWidget {{ color: {p.ink}; background: {p.ground}; font-family: "{FAMILY}"; }}
QLabel, QCheckBox, QRadioButton {{ background: transparent; }}
QLabel[role="title"] {{ font-size: {px(TITLE)}px; font-weight: 600; }}
QLabel[role="head"] {{ font-size: {px(HEAD)}px; font-weight: 600; }}
QLabel[role="quiet"] {{ color: {p.quiet}; }}
QLabel[role="huge"] {{ font-size: {px(HUGE)}px; font-weight: 600; }}
QLabel[role="state"] {{ font-size: {px(TITLE)}px; }}
QFrame[role="rule"] {{ background: {p.hair}; max-height: 1px; min-height: 1px; border: none; }}
QPushButton {{ border: 1px solid {p.hair}; border-radius: {px(4)}px; background: {p.ground};
  padding: {px(6)}px {px(14)}px; min-height: {px(20)}px; }}
QPushButton:hover {{ border-color: {p.quiet}; }}
QPushButton:focus, QLineEdit:focus, QComboBox:focus, QTableWidget:focus,
QListWidget:focus {{ border: 2px solid {p.accent}; }}
QPushButton:disabled {{ color: {p.quiet}; background: {p.panel}; }}
QPushButton[role="next"] {{ background: {p.accent}; color: {p.on_accent}; border: none;
  font-size: {px(HEAD)}px; font-weight: 600; padding: {px(10)}px {px(24)}px; }}
QPushButton[role="next"]:disabled {{ background: {p.panel}; color: {p.quiet}; }}
QPushButton[role="next"]:focus {{ border: 3px solid {p.ink}; }}
QPushButton[role="big"] {{ background: {p.accent}; color: {p.on_accent}; border: none;
  font-size: {px(34)}px; font-weight: 600; padding: {px(18)}px {px(36)}px; }}
QPushButton[role="big"]:disabled {{ background: {p.panel}; color: {p.quiet}; }}
QPushButton[role="big"][recording="true"] {{ background: {p.bad}; }}
QPushButton[role="big"]:focus {{ border: 3px solid {p.ink}; }}
QPushButton[role="page"] {{ border: none; border-radius: 0; text-align: left;
  font-size: {px(HEAD)}px; padding: {px(12)}px {px(18)}px; background: {p.panel}; }}
QPushButton[role="page"]:checked {{ background: {p.ground}; font-weight: 600;
  border-left: {px(4)}px solid {p.accent}; padding-left: {px(14)}px; }}
QPushButton[role="page"]:focus {{ color: {p.accent}; }}
QPushButton[role="plain"] {{ border: none; background: transparent; color: {p.accent};
  padding: {px(4)}px {px(18)}px; text-align: left; }}
QPushButton[role="plain"]:focus {{ text-decoration: underline; }}
QPushButton[role="scene"]:checked {{ background: {p.ink}; color: {p.ground}; }}
QWidget[role="rail"], QWidget[role="rail"] QLabel {{ background: {p.panel}; }}
QWidget[role="strip"], QWidget[role="strip"] QLabel {{ background: {p.panel}; }}
QLineEdit, QComboBox {{ border: 1px solid {p.hair}; border-radius: {px(4)}px;
  padding: {px(5)}px {px(8)}px; background: {p.ground}; min-height: {px(20)}px; }}
QComboBox::drop-down {{ border: none; width: {px(20)}px; }}
QComboBox::down-arrow {{ image: url("{arrow}"); width: {px(10)}px; height: {px(6)}px;
  margin-right: {px(8)}px; }}
QSlider::groove:horizontal {{ background: {p.hair}; height: {px(2)}px; }}
QSlider::handle:horizontal {{ background: {p.ink}; width: {px(6)}px; margin: -{px(7)}px 0;
  border-radius: {px(3)}px; }}
QComboBox QAbstractItemView {{ background: {p.ground}; color: {p.ink};
  selection-background-color: {p.accent}; selection-color: {p.on_accent}; }}
QTableWidget, QListWidget {{ border: none; gridline-color: {p.hair}; background: {p.ground};
  selection-background-color: {p.panel}; selection-color: {p.ink}; }}
QHeaderView::section {{ background: {p.ground}; color: {p.quiet}; border: none;
  border-bottom: 1px solid {p.hair}; padding: {px(4)}px 3px; text-align: left; }}
QCheckBox::indicator,
QListWidget::indicator {{ width: {px(14)}px; height: {px(14)}px; border: 1px solid {p.quiet};
  border-radius: {px(3)}px; background: {p.ground}; }}
QCheckBox::indicator:checked,
QListWidget::indicator:checked {{ background: {p.accent}; border-color: {p.accent}; }}
QProgressBar {{ border: none; background: {p.panel}; height: {px(8)}px; border-radius: {px(4)}px; }}
QProgressBar::chunk {{ background: {p.accent}; border-radius: {px(4)}px; }}
QScrollArea {{ border: none; }}
QScrollBar:vertical {{ background: {p.ground}; width: {px(10)}px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {p.hair}; border-radius: {px(5)}px; min-height: 24px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; width: 0; }}
QScrollBar:horizontal {{ background: {p.ground}; height: {px(10)}px; margin: 0; }}
QScrollBar::handle:horizontal {{ background: {p.hair}; border-radius: {px(5)}px; }}
QToolTip {{ background: {p.ink}; color: {p.ground}; border: none; }}
"""
