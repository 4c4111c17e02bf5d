"""What came of a calibration: accepted or refused, with the reasons, and the cameras in space."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PySide6.QtWidgets import QGridLayout, QWidget

from console.calibrating import RigState, camera_sigmas_mm
from console.cell import BAD, GOOD
from console.qt.look import Look
from console.qt.parts import MarkLabel, boxed, column, label, row, rule, set_text
from console.qt.rig_page import scrolled
from console.qt.room_view import Place, RoomView, Stroke
from console.texts import say
from lab.rig import Rig


class RigResult(QWidget):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[Path, float] | None = None
        self._verdict = MarkLabel(30)
        self._why = label(wrap=True, name="why")
        self._figures = QGridLayout()
        self._figures.setHorizontalSpacing(Look.px(20))
        self._notes = label(role="quiet", wrap=True)
        self._room = RoomView(1.5, (0.0, 0.0, 0.9))
        words = scrolled(boxed(column(self._why, 4, self._figures, 4, rule(), self._notes, None)))
        left = column(self._verdict, words)
        left.setStretch(1, 1)
        right = column(self._room, label(say("cal.cameras"), "quiet", wrap=True))
        right.setStretch(0, 1)
        both = row(left, right, gap=24)
        both.setStretch(0, 1)
        both.setStretch(1, 1)
        self.setLayout(both)

    def forget(self) -> None:
        """Show it anew when asked next."""
        self._shown = None

    def show_result(self, making: RigState | None, fault: str) -> None:
        """Show a solved calibration, or why it was not solved."""
        if making is None:
            return
        key = (making.path, making.solved_s)
        if fault:
            self._verdict.show_mark(BAD, say("cal.failed").removeprefix("✗ "))
            self._why.setVisible(True)
            set_text(self._why, fault)
            self._shown = None
            self._room.show_room([])
            return
        if key == self._shown or making.rig is None:
            return
        self._shown = key
        rig = making.rig
        accepted = rig.quality.accepted
        word = say("cal.accepted" if accepted else "cal.refused")[2:]
        self._verdict.show_mark(GOOD if accepted else BAD, word)
        reasons = "\n".join(f"•  {sentence(r)}" for r in rig.quality.reasons)
        set_text(self._why, "" if accepted else f"{say('cal.refused.more')}\n{reasons}")
        self._why.setVisible(not accepted)
        set_text(self._notes, f"{say('cal.notes')}\n{reasons}" if accepted and reasons else "")
        self._show_figures(rig, making.made)
        self._room.show_room(*_cameras_drawn(rig))

    def _show_figures(self, rig: Rig, made: str) -> None:
        while self._figures.count():
            item = self._figures.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.deleteLater()
        figures = rig.quality.figures
        rows = [
            ("cal.figure.patient", f"{1.96 * figures.get('pelvis_sigma_mm', math.nan):.1f} mm"),
            ("cal.figure.board", f"{figures.get('held_out_distance_rmse_mm', math.nan):.2f} mm"),
            ("cal.figure.pixels", f"{figures.get('held_out_rmse_px', math.nan):.2f} px"),
            ("cal.figure.floor", f"{figures.get('floor_rmse_px', math.nan):.2f} px"),
            ("cal.figure.poses", f"{figures.get('board_poses', math.nan):.0f}"),
            ("cal.figure.made", made),
        ]
        for i, (key, value) in enumerate(rows):
            self._figures.addWidget(label(say(key), "quiet"), i, 0)
            self._figures.addWidget(label(value.replace("nan", "–")), i, 1)
        self._figures.setColumnStretch(2, 1)


def sentence(text: str) -> str:
    """Return a reason as a sentence of its own."""
    first = text.split(" ", 1)[0]
    # The name of a camera stays as it is.
    begin = text[:1] if any(c.isdigit() for c in first) else text[:1].upper()
    return f"{begin}{text[1:].rstrip('.')}."


def _cameras_drawn(rig: Rig) -> tuple[list[Stroke], list[Place]]:
    """Return each camera as a small pyramid, and its place with ten times its uncertainty."""
    strokes, places, sigmas = [], [], camera_sigmas_mm(rig)
    for camera in rig.cameras:
        lab_from_cam = camera.cam_from_lab.inverse()
        width, height = camera.size_px
        far = 0.45
        corners = np.array(
            [[-width / 2, -height / 2, 0], [width / 2, -height / 2, 0],
             [width / 2, height / 2, 0], [-width / 2, height / 2, 0]]
        ) / camera.intrinsics[0] * far + [0, 0, far]  # fmt: skip
        ends = lab_from_cam.transform(corners)
        for i in range(4):
            strokes.append(Stroke(np.stack([camera.centre, ends[i]]), "ink", 1.5))
            strokes.append(Stroke(np.stack([ends[i], ends[(i + 1) % 4]]), "ink", 1.5))
        sigma = sigmas[camera.name]
        words = camera.name if math.isnan(sigma) else f"{camera.name}  ± {1.96 * sigma:.1f} mm"
        radius = 0.0 if math.isnan(sigma) else 10 * 1.96 * sigma / 1000
        wide = far * width / 2 / camera.intrinsics[0]
        places.append(Place(camera.centre, words, radius, clear=wide))
    return strokes, places
