"""The registry: which patients there are, under which code, and where their sessions lie.

The folders are the truth: everything but a patient's name and birth year can be made again from
them (`Registry.rebuild`). A name, where the lab keeps one, is kept here and nowhere else. Who
looked for whom, and when, is written down. SQLite in the lab's folder by default; a PostgreSQL
address for several workstations.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Engine,
    ForeignKey,
    String,
    create_engine,
    delete,
    event,
    func,
    or_,
    select,
)
from sqlalchemy.exc import (
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from console.lab_folder import find_sessions, lab_folder, read_lab
from console.settings import check_code
from lab.errors import LabError

REGISTRY_FILE = "registry.db"
_BUSY_S = 20.0


class _Table(DeclarativeBase):
    pass


class _Patient(_Table):
    __tablename__ = "patient"
    code: Mapped[str] = mapped_column(String(48), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    born: Mapped[int | None]


class _Session(_Table):
    __tablename__ = "session"
    folder: Mapped[str] = mapped_column(String(500), primary_key=True)
    patient: Mapped[str] = mapped_column(ForeignKey("patient.code"), index=True)
    recorded: Mapped[str] = mapped_column(String(40))
    activity: Mapped[str] = mapped_column(String(10))
    takes: Mapped[int]


class _Access(_Table):
    __tablename__ = "access"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[str] = mapped_column(String(40))
    who: Mapped[str] = mapped_column(String(100))
    computer: Mapped[str] = mapped_column(String(100))
    what: Mapped[str] = mapped_column(String(40))
    about: Mapped[str] = mapped_column(String(300))


@dataclass(frozen=True, slots=True)
class PatientRow:
    """A patient as the registry shows one.

    Attributes:
        code: The only thing that stands in any file.
        name: Empty where the lab keeps none.
        born: Year; None where not known.
        sessions: How many.
        last: ISO 8601 of the last session; empty without one.
    """

    code: str
    name: str
    born: int | None
    sessions: int
    last: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as the registry shows one; `folder` is relative to the lab's folder."""

    folder: str
    patient: str
    recorded: str
    activity: str
    takes: int


@dataclass(frozen=True, slots=True)
class AccessRow:
    """Who did what to whose entry, and when (ISO 8601, UTC)."""

    at: str
    who: str
    computer: str
    what: str
    about: str


def open_registry(lab: Path | None = None, address: str = "") -> Registry:
    """Open the registry of a lab.

    Args:
        lab: The lab's folder; None for the usual one.
        address: Of the database, as postgresql+psycopg://user@host/name. When empty, that of
            GAITLAB_REGISTRY, of lab.toml, or registry.db in the lab's folder.

    Raises:
        LabError: When it cannot be opened.
    """
    folder = lab_folder(lab)
    stated = address or os.environ.get("GAITLAB_REGISTRY", "") or read_lab(folder).registry
    if stated:
        return Registry(folder, stated)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / REGISTRY_FILE
        # Names stand in it: nobody else on this computer may read it.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise LabError(
            f"the registry cannot be made here ({error.strerror or error})",
            where=str(folder),
            remedy="Give another folder with --lab, or mend the rights to this one.",
        ) from error
    return Registry(folder, f"sqlite:///{path}")


def _make_tables(engine: Engine) -> None:
    """Make the tables that are not there."""
    for left in range(len(_Table.metadata.tables), -1, -1):
        try:
            _Table.metadata.create_all(engine)
        except (IntegrityError, ProgrammingError, OperationalError):
            # Another console made a table between the look and the making: look again.
            if not left:
                raise
        else:
            return


class Registry:
    """See the module; for one thread.

    Args:
        lab: The lab's folder.
        address: Of the database.
    """

    def __init__(self, lab: Path, address: str) -> None:
        self.lab = lab
        self._shown = re.sub(r"://[^@/]*@", "://", address)
        try:
            self._engine = create_engine(address, **_options(address))
        except (NoSuchModuleError, ModuleNotFoundError, SQLAlchemyError) as error:
            raise LabError(
                f"the registry's address cannot be used ({_short(error)})",
                where=self._shown,
                remedy="Write postgresql+psycopg://USER@HOST/NAME and install gaitlab[postgresql], "
                "or leave it out.",
            ) from error
        _let_writers_wait(self._engine)
        with self._telling():
            _make_tables(self._engine)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    # ---- patients ----

    def add(self, code: str, name: str = "", born: int | None = None) -> None:
        """Enter a patient.

        Raises:
            LabError: When the code is no code, or there is one.
        """
        check_code(code, "registry")
        try:
            with self._telling(), Session(self._engine) as session, session.begin():
                session.add(_Patient(code=code, name=name.strip(), born=born))
                self._log(session, "entered", code)
        except IntegrityError as error:
            raise LabError(
                f"there is a patient {code} already",
                where="registry",
                remedy="Search for it, or choose another code.",
            ) from error

    def ensure(self, code: str) -> None:
        """Enter a patient by code alone, where there is none."""
        with self._telling(), Session(self._engine) as session:
            known = session.get(_Patient, code) is not None
        if not known:
            try:
                self.add(code)
            except LabError:
                # Another console was quicker.
                with self._telling(), Session(self._engine) as session:
                    if session.get(_Patient, code) is None:
                        raise

    def change(self, code: str, *, name: str | None = None, born: int | None = None) -> None:
        """Change what is kept of a patient beside the code; None leaves it.

        Raises:
            LabError: When there is no such patient.
        """
        with self._telling(), Session(self._engine) as session, session.begin():
            patient = session.get(_Patient, code)
            if patient is None:
                raise LabError(f"there is no patient {code}", where="registry")
            if name is not None:
                patient.name = name.strip()
            if born is not None:
                patient.born = born
            self._log(session, "changed", code)

    def search(self, text: str = "", limit: int = 200) -> list[PatientRow]:
        """Find patients by a part of the code or the name; the last seen first. Logged."""
        wanted = text.strip().lower()
        like = f"%{wanted.replace('/', '//').replace('%', '/%').replace('_', '/_')}%"
        sessions = (
            select(
                _Session.patient,
                func.count().label("count"),
                func.max(_Session.recorded).label("last"),
            )
            .group_by(_Session.patient)
            .subquery()
        )
        query = (
            select(_Patient, sessions.c.count, sessions.c.last)
            .outerjoin(sessions, sessions.c.patient == _Patient.code)
            .where(
                or_(
                    func.lower(_Patient.code).like(like, escape="/"),
                    func.lower(_Patient.name).like(like, escape="/"),
                )
            )
            .order_by(func.coalesce(sessions.c.last, "").desc(), _Patient.code)
            .limit(limit)
        )
        with self._telling(), Session(self._engine) as session, session.begin():
            rows = [
                PatientRow(p.code, p.name, p.born, int(count or 0), str(last or ""))
                for p, count, last in session.execute(query).all()
            ]
            self._log(session, "searched", wanted or "everybody")
        return rows

    def sessions(self, code: str) -> list[SessionRow]:
        """Return a patient's sessions, the newest first. Logged."""
        query = select(_Session).where(_Session.patient == code)
        with self._telling(), Session(self._engine) as session, session.begin():
            found = session.scalars(query.order_by(_Session.recorded.desc())).all()
            rows = [SessionRow(s.folder, s.patient, s.recorded, s.activity, s.takes) for s in found]
            self._log(session, "looked at", code)
        return rows

    def accesses(self, limit: int = 200) -> list[AccessRow]:
        """Return the log of accesses, the newest first."""
        query = select(_Access).order_by(_Access.number.desc()).limit(limit)
        with self._telling(), Session(self._engine) as session:
            return [
                AccessRow(a.at, a.who, a.computer, a.what, a.about)
                for a in session.scalars(query).all()
            ]

    # ---- folders ----

    def rebuild(self) -> tuple[int, int]:
        """Make all entries of sessions anew from the lab's folders; names are kept.

        Returns:
            How many patients and sessions there are now.
        """
        found = list(find_sessions(self.lab))
        with self._telling(), Session(self._engine) as session, session.begin():
            self._hold_alone(session)
            session.execute(delete(_Session))
            known = set(session.scalars(select(_Patient.code)).all())
            for state in found:
                if state.patient not in known:
                    session.add(_Patient(code=state.patient, name="", born=None))
                    known.add(state.patient)
            session.flush()
            for state in found:
                session.add(
                    _Session(
                        folder=state.folder.relative_to(self.lab).as_posix(),
                        patient=state.patient,
                        recorded=state.recorded,
                        activity=state.activity,
                        takes=len(state.takes),
                    )
                )
            self._log(session, "rebuilt", f"{len(found)} sessions")
        return len(known), len(found)

    def _hold_alone(self, session: Session) -> None:
        """Let two rebuilds follow each other; SQLite's writers do so by themselves."""
        if self._engine.dialect.name == "postgresql":
            session.execute(select(func.pg_advisory_xact_lock(4_147_000)))

    def _log(self, session: Session, what: str, about: str) -> None:
        session.add(
            _Access(
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                who=_user()[:100],
                computer=socket.gethostname()[:100],
                what=what,
                about=about[:300],
            )
        )

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Put what the database says into an operator's words."""
        try:
            yield
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise LabError(
                f"the registry does not answer ({_short(error)})",
                where=self._shown,
                remedy="Check the database and the network. Sessions can be recorded without it: "
                "the registry is made again from the folders.",
            ) from error


def _options(address: str) -> dict[str, object]:
    if address.startswith("sqlite"):
        return {"connect_args": {"timeout": _BUSY_S}}
    return {"pool_pre_ping": True, "connect_args": {"connect_timeout": 5}}


def _let_writers_wait(engine: Engine) -> None:
    """Begin every SQLite transaction as a writer, so that two consoles wait and never deadlock."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"


def _short(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())[:160].rstrip(".")
