"""Capture: the patient's code, a list that must be green, and one big button."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QLineEdit,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from console.capture_run import (
    COLLECTING,
    FAULT,
    OPENING,
    READY,
    RECORDING,
    STARTING,
    CaptureRun,
)
from console.cell import BAD, GOOD, LOOK, UNKNOWN, CellNow
from console.checks import Check, ready
from console.desk import Desk, is_rig_run
from console.jobs import FAILED, REFUSED, RUNNING, STOPPED, WAITING, Job
from console.lab_folder import TakeState, leave_out, take_in
from console.lab_watch import LabNow
from console.qt.camera_grid import CameraGrid
from console.qt.look import HEAD, Look
from console.qt.page import Page
from console.qt.parts import (
    CheckLine,
    MarkLabel,
    NumberField,
    boxed,
    button,
    column,
    label,
    restyle,
    row,
    rule,
    set_text,
)
from console.qt.rig_page import scrolled
from console.texts import TEXTS, say

_FORM, _SESSION = 0, 1


class CapturePage(Page):
    """See the module."""

    name = "capture"

    def __init__(
        self, desk: Desk, tell: Callable[[str, str], None], go: Callable[[str], None]
    ) -> None:
        super().__init__(desk, tell, go)
        self._takes: dict[Path, _TakeLine] = {}
        self._checks: list[Check] = []
        self._ready = False
        self._waiting: Path | None = None
        self._stack = QStackedLayout()
        self._stack.addWidget(self._form_panel())
        self._stack.addWidget(self._session_panel())
        self._lines = [CheckLine(HEAD, f"check {i}", go) for i in range(5)]
        checks = QWidget()
        checks.setFixedWidth(Look.px(310))
        self._list = QVBoxLayout()
        self._list.setSpacing(Look.px(4))
        takes = boxed(column(self._list, None))
        self._none = label(say("cap.none"), "quiet", wrap=True)
        side = column(
            label(say("cap.checklist"), "head"), *self._lines, 8, rule(), 8,
            label(say("cap.takes"), "head"), self._none, scrolled(takes),
        )  # fmt: skip
        side.setStretch(side.count() - 1, 1)
        checks.setLayout(side)
        body = row(checks, gap=28)
        body.addLayout(self._stack, 1)
        self._title = label(say("cap.head"), "title")
        self._end = button(say("cap.end"), self._end_session, name="end")
        self._left = MarkLabel()
        self._fetch = button(say("cap.fetch"), self._fetch_left, name="fetch")
        head = row(self._title, None, self._left, self._fetch, self._end)
        head.setStretch(2, 3)
        whole = column(head, 8)
        whole.addLayout(body, 1)
        whole.setContentsMargins(*[Look.px(20)] * 4)
        self.setLayout(whole)

    def _form_panel(self) -> QWidget:
        self._patient = QLineEdit()
        self._patient.setObjectName("patient")
        self._patient.setMaxLength(48)
        self._patient.returnPressed.connect(self._begin)
        self._activity = QComboBox()
        self._activity.setObjectName("activity")
        self._activity.addItem(say("cap.run"), "run")
        self._activity.addItem(say("cap.walk"), "walk")
        self._speed = NumberField(0.1, 12.0, 2, "speed")
        self._speed.setPlaceholderText(say("cap.overground"))
        if self.desk.demo is not None:
            self._speed.set_value(self.desk.demo.speed_m_s)
        self._height = NumberField(0.5, 2.5, 2, "height")
        needed = self.desk.settings.needs_height
        self._height.setPlaceholderText(say("cap.height.needed" if needed else "cap.height.not"))
        for field in (self._patient, self._activity, self._speed, self._height):
            field.setFixedWidth(Look.px(220))
            field.setFont(Look.font(HEAD))
        form = QGridLayout()
        form.setHorizontalSpacing(Look.px(16))
        form.setVerticalSpacing(Look.px(10))
        for i, (key, field) in enumerate(
            (("cap.patient", self._patient), ("cap.activity", self._activity),
             ("cap.speed", self._speed), ("cap.height", self._height))
        ):  # fmt: skip
            form.addWidget(label(say(key), "head"), i, 0)
            form.addWidget(field, i, 1)
        form.setColumnStretch(2, 1)
        self._form_hint = label("", "head", wrap=True)
        self._begin_button = button(say("cap.begin"), self._begin, "big", "begin")
        return boxed(
            column(
                self._form_hint, 12, form, 20,
                row(self._begin_button, None), None,
            )
        )  # fmt: skip

    def _session_panel(self) -> QWidget:
        self._big = button("", self.press_space, "big", "big")
        self._big.setMinimumHeight(Look.px(104))
        self._count = label("", "huge", name="count")
        self._count.setFixedWidth(Look.px(190))
        self._static = button(say("cap.static"), lambda: self._record("static"), name="static")
        self._hint = label("", "head", wrap=True)
        self._grid = CameraGrid()
        top = row(self._big, self._count, gap=20)
        top.setStretch(0, 1)
        hint = row(self._hint, self._static)
        hint.setStretch(0, 1)
        whole = column(top, hint, 4, self._grid)
        whole.setStretch(3, 1)
        return boxed(whole)

    # ---- showing ----

    def draw(self, cell: CellNow) -> None:
        """Show the newest pictures."""
        for camera in cell.cameras:
            view = self._grid.views.get(camera.name)
            if view is not None:
                view.show_picture(camera.picture)

    def refresh(self, cell: CellNow, now: LabNow) -> None:
        """Show the checklist, the takes, and what can be done."""
        self._checks = list(self.desk.checks())
        self._ready = ready(self._checks)
        for line, check in zip(self._lines, self._checks, strict=True):
            line.show_check(check.mark, check.about, check.words, check.page)
        run = self._session()
        state = run.look() if run is not None else None
        self._grid.show_cameras([c.name for c in cell.cameras])
        for camera in cell.cameras:
            self._grid.views[camera.name].show_state(camera.mark, camera.words)
        filled = bool(self._patient.text().strip())
        self._begin_button.setEnabled(self._ready and filled and not self.errands.out)
        lacking = self.desk.settings.needs_height and not self._height.text()
        set_text(self._form_hint, say("cap.hint.height" if lacking else "cap.hint.patient"))
        self._stack.setCurrentIndex(_SESSION if run is not None else _FORM)
        self._end.setVisible(run is not None)
        self._show_left(now)
        session = self.desk.session
        if run is None or state is None:
            set_text(self._title, say("cap.head"))
            self._show_takes([])
            return
        set_text(self._title, f"{run.plan.patient}   {run.folder.name}")
        self._show_takes(list(session.takes) if session else [])
        self._show_big(state, bool(session and any(t.kind == "static" for t in session.takes)))

    def _show_big(self, state, standing: bool) -> None:  # noqa: ANN001
        text, hint, enabled = say("cap.trial"), say("cap.hint.trial"), True
        if state.state == READY:
            if not standing:
                text, hint = say("cap.static"), say("cap.hint.static")
            if not self._ready:
                enabled, hint = False, say("cap.hint.not")
            text = f"{text}   ·   {say('cap.space')}"
        elif state.state == RECORDING:
            text, hint = f"{say('cap.stop')}   ·   {say('cap.space')}", say("cap.recording")
        elif state.state == FAULT:
            text, hint, enabled = say("mark.bad"), state.fault, False
        else:
            enabled = False
            text = {OPENING: say("cap.opening"), STARTING: say("cap.starting")}.get(
                state.state, say("cap.collecting")
            )
            hint = state.take
        recording = state.state == RECORDING
        if bool(self._big.property("recording")) != recording:
            self._big.setProperty("recording", recording)
            restyle(self._big)
        set_text(self._big, text)
        self._big.setEnabled(enabled)
        share = "" if state.share is None else f"{state.share:.0%}"
        seconds = f"{state.seconds:.0f} s" if recording else ""
        set_text(self._count, seconds or (share if state.state == COLLECTING else ""))
        self._static.setVisible(state.state == READY and standing)
        self._static.setEnabled(self._ready)
        set_text(self._hint, hint)

    def _show_left(self, now: LabNow) -> None:
        """Name takes that an earlier console left on the nodes."""
        run = self.desk.run
        left = next(
            (s for s in now.sessions if s.on_nodes and (run is None or s.folder != run.folder)),
            None,
        )
        self._waiting = None if left is None else left.folder
        self._left.setVisible(left is not None and run is None)
        self._fetch.setVisible(left is not None and run is None)
        if left is not None:
            words = say("cap.waiting", patient=left.patient, names=", ".join(left.on_nodes))
            self._left.show_mark(LOOK, words)

    def _show_takes(self, takes: list[TakeState]) -> None:
        folders = [t.folder for t in takes]
        if folders != list(self._takes):
            for line in self._takes.values():
                self._list.removeWidget(line)
                line.deleteLater()
            self._takes = {f: _TakeLine(f, self._leave) for f in folders}
            for line in reversed(self._takes.values()):
                self._list.addWidget(line)
        self._none.setVisible(not takes)
        for take in takes:
            job = self.desk.jobs.latest(str(take.folder), "process")
            look = self.desk.looks.latest(str(take.folder))
            self._takes[take.folder].show_take(take, job, look)

    def mark(self, cell: CellNow, now: LabNow) -> str:
        """Return good when a trial of the open session is accepted."""
        session = self.desk.session
        takes = session.takes if session else ()
        return GOOD if any(t.state == "accepted" for t in takes) else UNKNOWN

    # ---- doing ----

    def set_patient(self, code: str) -> None:
        """Take a code from the list of patients."""
        self._patient.setText(code)

    def _begin(self) -> None:
        if self._speed.text() and self._speed.value() is None:
            self.tell(BAD, say("cap.speed.wrong"))
            self._speed.setFocus()
            return
        if self._height.text() and self._height.value() is None:
            self.tell(BAD, say("cap.height.wrong"))
            self._height.setFocus()
            return
        if self.errands.out:
            return
        asked = (
            self._patient.text().strip(), self._activity.currentData(), self._speed.value(),
            self._height.value(),
        )  # fmt: skip
        self.errands.send(lambda: self.desk.begin_session(*asked), lambda _: self._big.setFocus())

    def _end_session(self) -> None:
        self.errands.send(self.desk.end_run)
        self._patient.clear()
        self._height.clear()

    def _fetch_left(self) -> None:
        folder = self._waiting
        if folder is not None and not self.errands.out:
            self.errands.send(lambda: self.desk.go_on(folder))

    def _session(self) -> CaptureRun | None:
        """Return the session that is open, and no calibration."""
        run = self.desk.run
        return None if is_rig_run(run) else run

    def press_space(self) -> None:
        """Record, or stop."""
        run = self._session()
        if run is None:
            return
        state = run.look().state
        if state == RECORDING:
            run.stop()
        elif state == READY and self._ready:
            session = self.desk.session
            standing = bool(session and any(t.kind == "static" for t in session.takes))
            self._record("trial" if standing else "static")

    def _record(self, kind: str) -> None:
        self.errands.send(lambda: self.desk.record(kind))

    def _leave(self, take: TakeState) -> None:
        def change() -> None:
            if take.state == "left out":
                take_in(take.folder)
            else:
                leave_out(take.folder, "the operator left it out")
            self.desk.watch.look_again()

        self.errands.send(change)


def _look_words(look: Job | None) -> list[str]:
    """Return what a first look at a take says."""
    if look is None or look.state in (STOPPED, REFUSED):
        return []
    if look.state in (WAITING, RUNNING):
        return [say("cap.points.wait")]
    if look.state == FAILED:
        return [look.error]
    share, (name, least) = look.result["found_share"], look.result["weakest"]
    if least >= 1:
        return [say("cap.points.all")]
    part = name.replace("_", " ")
    return [say("cap.points", share=share, name=part, least=least)]


class _TakeLine(QWidget):
    """One take: its name and state, what was lost, and keep or leave out."""

    def __init__(self, folder: Path, leave: Callable[[TakeState], None]) -> None:
        super().__init__()
        self._leave, self._take = leave, None
        self._name = MarkLabel(HEAD)
        self._words = label("", "quiet", wrap=True)
        self._button = button(say("cap.leave"), self._press, "plain", f"leave {folder.name}")
        self._words.setContentsMargins(Look.px(20), 0, 0, 0)
        self.setLayout(column(row(self._name, None, self._button), self._words, gap=0))
        self.setObjectName(f"take {folder.name}")

    def show_take(self, take: TakeState, job: Job | None, look: Job | None) -> None:
        """Show how it stands."""
        self._take = take
        state, words = take.state, []
        if job is not None and job.state in (WAITING, RUNNING) and state != "left out":
            state = "processing"
            if job.step:
                words.append(job.step + ("" if job.share is None else f" {job.share:.0%}"))
        elif job is not None and job.state == FAILED and state == "recorded":
            state = "failed"
            words.append(job.error)
        elif state == "recorded" and take.kind == "static":
            state = "static"
        lost = sum(a for a, _ in take.lost.values())
        every = lost + sum(b for _, b in take.lost.values())
        if every:
            text = say("cap.lost", lost=lost, all=every) if lost else say("cap.lost.none")
            words.append(text)
        if "sync_error_95_ms" in take.figures:
            words.append(say("cap.sync", ms=take.figures["sync_error_95_ms"]))
        words += _look_words(look)
        if state in ("refused", "unfit", "damaged", "left out") and take.reasons:
            words.append(take.reasons[0])
        sign, _, word = TEXTS[f"cap.state.{state}"].partition(" ")
        mark = {"✓": GOOD, "✗": BAD, "…": UNKNOWN, "–": UNKNOWN}[sign]
        self._name.show_mark(mark, f"{take.name}  {word}")
        set_text(self._words, "; ".join(words))
        set_text(self._button, say("cap.keep" if take.state == "left out" else "cap.leave"))

    def _press(self) -> None:
        if self._take is not None:
            self._leave(self._take)
