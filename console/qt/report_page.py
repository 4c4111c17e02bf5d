"""Report: the page as it will be printed, and the files for others."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QImage, QPixmap
from PySide6.QtWidgets import (
    QComboBox,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QScrollArea,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from console.cell import BAD, GOOD, UNKNOWN, CellNow
from console.desk import Desk
from console.jobs import DONE, FAILED, REFUSED, RUNNING, WAITING, Job
from console.lab_folder import SessionState, TakeState
from console.lab_watch import LabNow
from console.qt.look import Look
from console.qt.page import Page
from console.qt.parts import (
    MarkLabel,
    boxed,
    button,
    column,
    empty_state,
    label,
    row,
    rule,
    set_text,
)
from console.texts import say

_EXPORTS = ("csv", "c3d", "trc", "mot")
_TRIALS_SHOWN = 10  # the others by scrolling
_FOLDER = Qt.ItemDataRole.UserRole


class ReportPage(Page):
    """See the module."""

    name = "report"
    _page_read = Signal(QImage, str)

    def __init__(
        self, desk: Desk, tell: Callable[[str, str], None], go: Callable[[str], None]
    ) -> None:
        super().__init__(desk, tell, go)
        self._pictures = tempfile.TemporaryDirectory(prefix="gaitlab-pages-")
        self._known: tuple[object, ...] = ()
        self._shown: tuple[object, ...] | None = None
        self._job: Job | None = None
        self._told: set[int] = set()
        self._takes: dict[Path, TakeState] = {}
        self._page_read.connect(self._show_page)
        self._session = QComboBox()
        self._session.setObjectName("session")
        self._session.activated.connect(lambda _: self._fill(self.desk.now))
        self._list = QListWidget()
        self._list.setObjectName("trials")
        self._list.currentItemChanged.connect(lambda *_: self._show())
        self._list.itemChanged.connect(lambda _: self._count())
        self._before = QComboBox()
        self._before.setObjectName("previous")
        self._before.activated.connect(lambda _: self._show())
        self._state = MarkLabel()
        self._pdf = button(say("rep.pdf"), self._write_pdf, "next", "pdf")
        self._others = [
            button(say(f"rep.{kind}"), lambda kind=kind: self._export(kind), name=kind)
            for kind in _EXPORTS
        ]
        self._open = button(say("rep.open"), self._open_folder, name="open folder")
        self._written = label("", "quiet", wrap=True, name="written")
        side = column(
            label(say("rep.session"), "head"), self._session, 4,
            label(say("rep.trials"), "head"), self._list, self._state, 4,
            label(say("rep.previous"), "head"), self._before, 4, self._pdf, 8, rule(), 4,
            row(*self._others, gap=4), self._open, self._written, None,
        )  # fmt: skip
        side_widget = QWidget()
        side_widget.setFixedWidth(Look.px(330))
        side_widget.setLayout(side)
        self._pages = QVBoxLayout()
        self._pages.setSpacing(Look.px(16))
        holder = boxed(self._pages, 16, "strip")
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setWidget(holder)
        self._area.setObjectName("pages")
        both = row(side_widget, self._area, gap=20)
        both.setStretch(1, 1)
        self._stack = QStackedLayout()
        self._stack.addWidget(
            empty_state(say("rep.empty"), say("rep.empty.more"), lambda: go("capture"))
        )
        self._stack.addWidget(boxed(both))
        whole = column(label(say("rep.head"), "title"), 4)
        whole.addLayout(self._stack, 1)
        whole.setContentsMargins(*[Look.px(20)] * 4)
        self.setLayout(whole)

    # ---- showing ----

    def refresh(self, cell: CellNow, now: LabNow) -> None:
        """List sessions and trials, and show how work goes."""
        sessions = [s for s in now.sessions if _trials(s)]
        known = tuple(
            (s.folder, t.folder, t.state, t.processed_s) for s in sessions for t in _trials(s)
        )
        if known != self._known:
            self._known = known
            chosen = self._session.currentData()
            open_one = self.desk.session
            self._session.clear()
            for session in sessions:
                text = f"{session.patient}  {session.folder.name}"
                self._session.addItem(text, session.folder)
            wanted = chosen or (open_one.folder if open_one else None)
            self._session.setCurrentIndex(max(0, self._session.findData(wanted)))
            self._fill(now)
        self._stack.setCurrentIndex(1 if sessions else 0)
        self._follow()

    def _fill(self, now: LabNow) -> None:
        """List the trials of a session, the accepted ones chosen, and what went before."""
        session = now.session(self._session.currentData())
        items = [self._list.item(r) for r in range(self._list.count())]
        left = {i.data(_FOLDER) for i in items if i.checkState() == Qt.CheckState.Unchecked}
        current = self._list.currentItem()
        kept = current.data(_FOLDER) if current is not None else None
        self._list.blockSignals(True)
        self._list.clear()
        self._takes = {}
        for take in _trials(session) if session else []:
            item = QListWidgetItem(f"{'✓' if take.state == 'accepted' else '✗'}  {take.name}")
            item.setData(_FOLDER, take.folder)
            chosen = take.state == "accepted" and take.folder not in left
            item.setCheckState(Qt.CheckState.Checked if chosen else Qt.CheckState.Unchecked)
            self._takes[take.folder] = take
            self._list.addItem(item)
        rows = list(self._takes)
        self._list.setCurrentRow(rows.index(kept) if kept in rows else len(rows) - 1)
        self._list.blockSignals(False)
        lines = min(max(2, self._list.count()), _TRIALS_SHOWN)
        height = self._list.sizeHintForRow(0) if self._list.count() else Look.px(18)
        self._list.setFixedHeight(lines * height + 2 * self._list.frameWidth() + Look.px(6))
        self._fill_previous(session, now)
        self._count()
        self._show()

    def _fill_previous(self, session: SessionState | None, now: LabNow) -> None:
        """Offer the accepted trials of earlier sessions of this patient to compare with."""
        kept = self._before.currentData()
        self._before.clear()
        self._before.addItem(say("rep.previous.none"), None)
        earlier = [
            (other, take)
            for other in now.sessions
            if session is not None
            and other.patient == session.patient
            and other.folder != session.folder
            and (other.recorded, other.folder.name) < (session.recorded, session.folder.name)
            for take in _trials(other)
            if take.state == "accepted"
        ]
        for other, take in earlier:
            self._before.addItem(f"{other.folder.name}  {take.name}", take.record)
        self._before.setCurrentIndex(max(0, self._before.findData(kept)))
        self._before.setEnabled(bool(earlier))

    def _chosen(self) -> list[TakeState]:
        """Return the trials that are ticked."""
        items = [self._list.item(r) for r in range(self._list.count())]
        ticked = [i.data(_FOLDER) for i in items if i.checkState() == Qt.CheckState.Checked]
        return [self._takes[folder] for folder in ticked]

    def _count(self) -> None:
        count = len(self._chosen())
        text = say("rep.pdf") if count < 2 else say("rep.pdfs", n=count)
        set_text(self._pdf, text)
        for widget in (self._pdf, *self._others):
            widget.setEnabled(count > 0)

    def _take(self) -> TakeState | None:
        item = self._list.currentItem()
        return self._takes.get(item.data(_FOLDER)) if item is not None else None

    def _previous(self) -> tuple[str, ...]:
        record = self._before.currentData()
        return () if record is None else ("--previous", str(record))

    def _show(self) -> None:
        take = self._take()
        if take is None:
            return
        accepted = take.state == "accepted"
        self._state.show_mark(
            GOOD if accepted else BAD, "accepted" if accepted else f"refused: {take.reasons[0]}"
        )
        key = (take.folder, take.processed_s, self._before.currentData())
        if key == self._shown:
            return
        self._shown = key
        self._show_pictures([])
        into = Path(self._pictures.name) / f"{abs(hash(key)):x}"
        verb = ("report", str(take.record), "-o", str(into), "--pages", *self._previous())
        self._job = self.desk.jobs.add(verb, str(take.folder))

    def _follow(self) -> None:
        job = self._job
        if job is not None and job.state in (DONE, REFUSED):
            self._job = None
            self._show_pictures([Path(p) for p in job.result.get("pages", ())])
        elif job is not None and job.state == FAILED:
            self._job = None
            self.tell(BAD, job.error)
        for job in self.desk.jobs.jobs:
            mine = job.verb[0] in ("report", "export") and "--pages" not in job.verb
            if mine and id(job) not in self._told and job.state not in (WAITING, RUNNING):
                self._told.add(id(job))
                if job.state == FAILED:
                    self.tell(BAD, job.error)
                else:
                    path = job.result.get("report") or ", ".join(job.result.get("files", ()))
                    words = say("rep.written", path=self._short(path))
                    set_text(self._written, words)
                    self.tell(GOOD, say("rep.written", path=path))

    def _short(self, path: str) -> str:
        """Return a path as it lies in the lab's folder: long ones do not fit."""
        return path.replace(f"{self.desk.lab}/sessions/", "")

    def _show_pictures(self, paths: list[Path]) -> None:
        while self._pages.count():
            item = self._pages.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.deleteLater()
        if not paths:
            self._pages.addWidget(label(say("rep.wait"), "quiet"))
            return
        width = max(200, min(self._area.width() - Look.px(60), Look.px(900)))

        def work() -> None:
            for number, path in enumerate(paths, start=1):
                image = QImage(str(path)).scaledToWidth(
                    width, Qt.TransformationMode.SmoothTransformation
                )
                self._page_read.emit(image, say("rep.page", n=number, all=len(paths)))

        threading.Thread(target=work, name="pages", daemon=True).start()

    def _show_page(self, image: QImage, words: str) -> None:
        page = QLabel()
        page.setPixmap(QPixmap.fromImage(image))
        page.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        page.setAccessibleName(words)
        page.setObjectName("page of the report")
        self._pages.addWidget(page)

    # ---- doing ----

    def _write_pdf(self) -> None:
        for take in self._chosen():
            verb = ("report", str(take.record), "-o", str(take.report), *self._previous())
            self.desk.jobs.add(verb, str(take.folder))
            set_text(self._written, say("rep.wait"))

    def _export(self, kind: str) -> None:
        for take in self._chosen():
            verb = ("export", str(take.record), "--to", kind, "-o", str(take.folder / "export"))
            self.desk.jobs.add(verb, str(take.folder))

    def _open_folder(self) -> None:
        take = self._take()
        if take is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(take.folder))):
            self.tell("look", str(take.folder))

    def mark(self, cell: CellNow, now: LabNow) -> str:
        """Return good when the open session has a report."""
        session = self.desk.session
        takes = session.takes if session else ()
        return GOOD if any(t.state == "accepted" and t.reported for t in takes) else UNKNOWN

    def close_files(self) -> None:
        """Remove the pictures."""
        self._pictures.cleanup()


def _trials(session: SessionState) -> list[TakeState]:
    return [t for t in session.takes if t.state in ("accepted", "refused") and t.kind == "trial"]
