"""Calibrate: the board carried, the board on the floor, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QProgressBar,
    QStackedLayout,
)

from console.board_watch import ENOUGH_TOGETHER, BoardWatch
from console.calibrating import (
    FLOOR,
    MOVED,
    RigState,
    boards,
)
from console.capture_run import COLLECTING, FAULT, READY, RECORDING, RunNow
from console.cell import BAD, GOOD, LOOK, UNKNOWN, CellNow
from console.desk import Desk, is_rig_run
from console.jobs import FAILED, RUNNING, WAITING
from console.lab_watch import LabNow
from console.qt.camera_grid import CameraGrid
from console.qt.camera_view import CameraView
from console.qt.look import Look
from console.qt.page import Page
from console.qt.pair_graph import PairGraph
from console.qt.parts import MarkLabel, boxed, button, column, label, row, set_text
from console.qt.rig_result import RigResult, sentence
from console.qt.up_panel import UpPanel
from console.texts import say

_LIVE, _RESULT = 0, 1
# Full frames are large: with more of them in one turn keys and clicks would be kept waiting.
_NEW_A_TURN = 2


class CalibratePage(Page):
    """See the module."""

    name = "calibrate"

    def __init__(
        self, desk: Desk, tell: Callable[[str, str], None], go: Callable[[str], None]
    ) -> None:
        super().__init__(desk, tell, go)
        self._watch: BoardWatch | None = None
        self._turn = 0
        self._state = ""
        self._sizes: dict[str, tuple[int, int]] = {}
        self._making: RigState | None = None
        self._board = QComboBox()
        self._board.setObjectName("board")
        self._board.setMaximumWidth(Look.px(420))
        for choice in boards(desk.lab):
            self._board.addItem(f"{choice.name}: {choice.words.split(', marker')[0]}", choice)
            row_at = self._board.count() - 1
            self._board.setItemData(row_at, choice.words, Qt.ItemDataRole.ToolTipRole)
        self._board.currentIndexChanged.connect(self._change_board)
        self._steps = [MarkLabel() for _ in range(3)]
        for step in self._steps:
            step.setWordWrap(False)
        self._next = button("", self._go_on, "next", "next")
        self._other = button("", self._go_other, name="other")
        self._hint = label(role="quiet", wrap=True)
        self._unfit = label(wrap=True, name="unfit")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setMaximumWidth(Look.px(420))
        self._graph = PairGraph(ENOUGH_TOGETHER)
        self._together = boxed(column(label(say("cal.together"), "head"), self._graph, None))
        self._grid = CameraGrid(self._made)
        self._stack = QStackedLayout()
        live = row(self._grid, self._together, gap=20)
        live.setStretch(0, 1)
        self._stack.addWidget(boxed(live))
        self._result = RigResult()
        self._stack.addWidget(self._result)
        steps = row(*self._steps, None, gap=28)
        actions = row(self._next, self._other, 12, self._hint)
        actions.setStretch(3, 1)
        head = row(label(say("cal.head"), "title"), None, label(say("cal.board")), self._board)
        self._up = UpPanel()
        whole = column(head, steps, actions, self._unfit, self._up, self._bar, 4)
        whole.addLayout(self._stack, 1)
        whole.setContentsMargins(*[Look.px(20)] * 4)
        self.setLayout(whole)

    # ---- in and out of view ----

    def enter(self) -> None:
        """Begin to look for the board."""
        self._result.forget()

    def leave(self) -> None:
        """Look for the board no longer."""
        self._end_watch()

    def _change_board(self) -> None:
        self._end_watch()

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _begin_watch(self, names: list[str]) -> None:
        choice = self._board.currentData()
        if choice is not None and choice.board is not None and names:
            self._watch = BoardWatch(self.desk.cell.live, choice.board, names)

    # ---- showing ----

    def draw(self, cell: CellNow) -> None:
        """Show the pictures and the board in them."""
        if self._stack.currentIndex() != _LIVE:
            return
        seen = self._watch.look() if self._watch is not None else {}
        left = _NEW_A_TURN
        # Who had to wait comes first next time.
        cameras = (*cell.cameras[self._turn :], *cell.cameras[: self._turn])
        for camera in cameras:
            view = self._grid.views.get(camera.name)
            if view is None:
                continue
            if not left:
                self._turn = cell.cameras.index(camera)
                break
            self._show_line(camera.name)
            own = seen.get(camera.name)
            # The frame in which the board was sought, so that what is drawn fits it.
            left -= view.show_picture(own.picture if own and own.picture else camera.picture)
            if own is None:
                continue
            keep = self._watch is not None and self._watch.keep
            view.show_board(own.corners, own.covered if keep else None)
            mark = GOOD if own.words == "found" else UNKNOWN
            words = own.words
            if keep:
                words = f"{own.covered.mean():.0%} covered, depth × {own.depth:.1f}"
                mark = GOOD if own.enough else LOOK
            view.show_state(mark, words)

    def refresh(self, cell: CellNow, now: LabNow) -> None:
        """Show where the calibration stands."""
        self._making = making = now.making
        run = self._run()
        job = self.desk.solving(making)
        self._state = self._find_state(cell, run, making, job)
        done = making is not None and making.rig is not None and run is None
        moved = making is not None and making.moved
        lying = making is not None and making.lying
        unfit = making.unfit if making is not None else {}
        for line, text, there, kind in zip(
            self._steps, ("cal.step.board", "cal.step.floor", "cal.step.solve"),
            (moved, lying, done), (MOVED, FLOOR, ""), strict=True,
        ):  # fmt: skip
            if kind in unfit:
                line.show_mark(BAD, f"{say(text)}: {say('cal.unfit')}")
            else:
                line.show_mark(GOOD if there else "todo", say(text))
        self._show_unfit(unfit)
        self._show_action(run, job, now.rig)
        self._up.setVisible(self._state == "recorded")
        result = self._state in ("solved", "failed")
        if result:
            self._end_watch()
            self._result.show_result(making, job.error if job and job.state == FAILED else "")
        else:
            names = [c.name for c in cell.cameras]
            self._sizes = {c.name: c.described.size_px for c in cell.cameras if c.described}
            self._grid.show_cameras(names)
            wanted = self._state in ("ready", "recording", "recorded", "idle")
            if wanted and self._watch is None:
                self._begin_watch(names)
            if self._watch is not None:
                self._watch.keep = bool(run and run.state == RECORDING and run.take == MOVED)
            self._show_together()
        self._stack.setCurrentIndex(_RESULT if result else _LIVE)

    def _find_state(self, cell, run, making, job) -> str:  # noqa: ANN001
        if job is not None and job.state in (WAITING, RUNNING):
            return "solving"
        if run is not None:
            if run.state == FAULT:
                return "idle"
            if run.state == RECORDING:
                return "recording"
            if run.state != READY:
                return "busy"
            if making is not None and not making.to_record:
                return "failed" if job is not None and job.state == FAILED else "recorded"
            return "ready"
        if making is None:
            return "idle"
        if job is not None and job.state == FAILED:
            return "failed"
        if making.rig is not None:
            return "solved"
        return "idle" if making.to_record else "recorded"

    def _show_unfit(self, unfit: Mapping[str, tuple[str, ...]]) -> None:
        """Show why no rig is made from what is recorded, as long as it is to be recorded again."""
        lines = []
        if self._state in ("idle", "ready"):
            for kind, reasons in unfit.items():
                lines += [say(f"cal.unfit.{kind}"), *(f"•  {sentence(r)}" for r in reasons)]
        set_text(self._unfit, "\n".join(lines))
        self._unfit.setVisible(bool(lines))

    def _show_action(self, run, job, in_use) -> None:  # noqa: ANN001
        state, other, hint, enabled = self._state, "", "", True
        making = self._making
        wanted = making.to_record if making is not None else MOVED
        record = "cal.record.floor" if wanted == FLOOR else "cal.record"
        if making is not None and wanted in making.unfit:
            record += ".again"
        text = {
            "idle": say("cal.begin"),
            "recording": say("cal.stop"),
            "recorded": say("cal.solve"),
            "solving": say("cal.solving"),
            "solved": say("cal.again"),
            "failed": say("cal.again"),
            "busy": say("cap.collecting"),
        }.get(state, say(record))
        if state == "idle":
            hint = say("cal.hint.begin")
            if not self._grid.views:
                text, hint = say("cal.go.rig"), say("cal.no.nodes")
            if run is not None and run.state == FAULT:
                hint = run.fault
        elif state == "ready":
            hint = say("cal.hint.floor" if wanted == FLOOR else "cal.hint.board")
            other = say("cal.again.board") if wanted == FLOOR else ""
        elif state == "recording":
            hint = self._advice()
        elif state == "recorded":
            hint, other = say("cal.hint.solve"), say("cal.again.board")
        elif state == "busy":
            enabled = False
            if run is not None and run.state != COLLECTING:
                text = say("cap.opening") if run.state == "opening" else say("cap.starting")
        elif state == "solving":
            enabled, other = False, say("cal.cancel")
            if job is not None:
                left = "" if job.left_s is None else f", {job.left_s:.0f} s left"
                hint = f"{job.step}{left}"
        elif state == "failed":
            other = say("cal.again.board")
        elif state == "solved" and self._is_accepted():
            text, other = say("go.capture"), say("cal.again")
        if state in ("solved", "failed") and in_use is not None and in_use.accepted:
            other_one = making is None or in_use.folder != making.folder
            hint = say("cal.stays", made=in_use.made) if other_one else ""
        set_text(self._next, text)
        self._next.setEnabled(enabled and not self.errands.out)
        self._other.setVisible(bool(other))
        if other:
            set_text(self._other, other)
        set_text(self._hint, hint)
        share = job.share if state == "solving" and job is not None else None
        if state == "busy" and run is not None:
            share = run.share
        self._bar.setVisible(state in ("solving", "busy"))
        self._bar.setRange(0, 0 if share is None else 100)
        if share is not None:
            self._bar.setValue(round(100 * share))

    def _advice(self) -> str:
        run = self._run()
        if run is not None and run.take == FLOOR:
            return say("cal.hint.floor")
        if self._watch is None:
            return ""
        advice = [s.advice for s in self._watch.look().values() if s.advice]
        seconds = f"{run.seconds:.0f} s. " if run is not None else ""
        if not advice:
            return seconds + say("cal.hint.enough")
        return f"{seconds}{advice[0][0].upper()}{advice[0][1:]}."

    def _show_together(self) -> None:
        keep = self._watch is not None and self._watch.keep
        self._together.setVisible(keep)
        if self._watch is not None and keep:
            self._graph.show_pairs({a: s.together for a, s in self._watch.look().items()})

    def _made(self, view: CameraView) -> None:
        view.clicked_at.connect(self._mark)

    def _mark(self, camera: str, x: float, y: float) -> None:
        """Take a click on a hanging line."""
        size = self._sizes.get(camera)
        if self._up.by_line and size is not None:
            # The middle of the top-left pixel is (0, 0).
            at = (x * size[0] - 0.5, y * size[1] - 0.5)
            self._up.mark(camera, at, size[0] / max(1.0, self._grid.views[camera].shown_width))

    def _show_line(self, camera: str) -> None:
        size, points = self._sizes.get(camera), self._up.line(camera)
        if size is None:
            return
        ends = (np.array(points, float).reshape(-1, 2) + 0.5) / size
        if len(ends) == 1:
            ends = np.repeat(ends, 2, axis=0)
        self._grid.views[camera].show_lines([(ends, "accent")] if len(ends) else [])

    def mark(self, cell: CellNow, now: LabNow) -> str:
        """Return good when the rig in use is accepted."""
        rig = now.rig
        if rig is None or rig.rig is None:
            return UNKNOWN
        return GOOD if rig.accepted else BAD

    # ---- doing ----

    def press_space(self) -> None:
        """Do the next thing."""
        if self._next.isEnabled():
            self._go_on()

    def _go_on(self) -> None:
        making, run = self._making, self.desk.run
        if self._state == "idle" and not self._grid.views:
            self.go("rig")
        elif self._state == "solved" and self._is_accepted():
            self.go("capture")
        elif self._state in ("idle", "solved", "failed"):
            self._end_watch()
            again = self._state == "idle" and making is not None and making.rig is None
            self._begin(making.folder if again and making is not None else None)
        elif self._state == "recording" and run is not None:
            run.stop()
        elif self._state == "ready":
            self._record(making.to_record if making is not None else MOVED)
        elif self._state == "recorded" and making is not None:
            self._solve(making)

    def _begin(self, folder: Path | None = None) -> None:
        if not self.errands.out:
            self.errands.send(lambda: self.desk.begin_calibration(folder))

    def _solve(self, making: RigState) -> None:
        board, choice = self._board.currentData(), self._up.choice()

        def solve() -> None:
            self.desk.solve(making, board.path, choice)
            self.desk.end_run()

        if not self.errands.out:
            self.errands.send(solve)

    def _record(self, kind: str) -> None:
        if self._watch is not None and kind == MOVED:
            self._watch.begin_anew()
        self.errands.send(lambda: self.desk.record(kind))

    def _run(self) -> RunNow | None:
        """Return how the recording of a calibration stands; None where none is open."""
        run = self.desk.run
        return run.look() if run is not None and is_rig_run(run) else None

    def _is_accepted(self) -> bool:
        return self._making is not None and self._making.accepted

    def _go_other(self) -> None:
        if self._state == "solved":
            self._begin()
            return
        if self._making is None:
            return
        if self._state == "solving":
            self.desk.stop_solving(self._making)
            return
        if self.desk.run is None:
            self._begin(self._making.folder)
        else:
            self._record(MOVED)
