"""The band of a curve in the window lies between its ends, however long the trial."""

import numpy as np
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor

from console.qt.curve_plot import _band


def test_a_band_lies_between_its_ends():
    t = np.linspace(0.0, 60.0, 3001)
    middle, half = 20 * np.sin(t), 1 + t / 60
    path = _band(t, middle - half, middle + half, QColor("red")).path()
    for i in range(50, 2950, 97):
        for share, inside in ((0.0, True), (0.8, True), (-0.8, True), (1.3, False), (-1.3, False)):
            assert path.contains(QPointF(t[i], middle[i] + share * half[i])) == inside
