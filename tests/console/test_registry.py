"""The registry on SQLite and on a real PostgreSQL server."""

import multiprocessing
import shutil
import stat

import pytest

from console.registry import Registry, open_registry
from lab.errors import LabError


def make_take(lab, patient, day, name, activity="run"):
    folder = lab / "sessions" / patient / day / name
    folder.mkdir(parents=True)
    (folder / "trial.toml").write_text(
        f'[trial]\npatient = "{patient}"\nactivity = "{activity}"\nrecorded = "{day}T10:00:00"\n'
        'rig = "r.h5"\n[cameras.cam01]\nvideo = "cam01.mkv"\n'
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.db'}"
    found = request.getfixturevalue("postgres")
    registry = Registry(tmp_path, found)
    from console import registry as module

    with registry._engine.begin() as connection:
        module._Table.metadata.drop_all(connection)
    registry.close()
    return found


def test_patients_are_found_by_code_and_by_name(tmp_path, address):
    registry = Registry(tmp_path, address)
    registry.add("P017", "Anna Berg", 1980)
    registry.add("P018")
    registry.add("X_1", "100% Ost")
    assert [r.code for r in registry.search("berg")] == ["P017"]
    assert {r.code for r in registry.search("p01")} == {"P017", "P018"}
    assert [r.code for r in registry.search("_")] == ["X_1"]  # not a wildcard
    assert [r.code for r in registry.search("0%")] == ["X_1"]
    registry.change("P018", name="Cy", born=1990)
    assert registry.search("cy")[0].born == 1990
    registry.close()


def test_a_code_is_no_name_and_stands_once(tmp_path, address):
    registry = Registry(tmp_path, address)
    with pytest.raises(LabError, match="no patient code"):
        registry.add("Anna Berg")
    registry.add("P017")
    with pytest.raises(LabError, match="already"):
        registry.add("P017")
    registry.ensure("P017")
    registry.close()


def test_it_is_rebuilt_from_the_folders_and_names_stay(tmp_path, address):
    registry = Registry(tmp_path, address)
    registry.add("P017", "Anna Berg")
    make_take(tmp_path, "P017", "2026-03-14", "static")
    make_take(tmp_path, "P017", "2026-03-14", "run1")
    make_take(tmp_path, "P018", "2026-03-15", "walk1", "walk")
    assert registry.rebuild() == (2, 2)
    (session,) = registry.sessions("P017")
    assert (session.takes, session.activity, session.folder) == (
        2,
        "run",
        "sessions/P017/2026-03-14",
    )
    assert [r.code for r in registry.search("")] == ["P018", "P017"]
    shutil.rmtree(tmp_path / "sessions" / "P018")
    assert registry.rebuild() == (2, 1)
    assert registry.search("berg")[0].name == "Anna Berg"
    registry.close()


def test_who_looked_for_whom_is_written_down(tmp_path, address):
    registry = Registry(tmp_path, address)
    registry.add("P017", "Anna Berg")
    registry.search("berg")
    registry.sessions("P017")
    assert [(a.what, a.about) for a in registry.accesses()] == [
        ("looked at", "P017"), ("searched", "berg"), ("entered", "P017"),
    ]  # fmt: skip
    assert registry.accesses()[0].who
    registry.close()


def _work(lab, address, number):
    registry = Registry(lab, address)
    for k in range(4):
        registry.add(f"P{number}-{k}")
        registry.search("p")
        registry.rebuild()
    registry.close()


def test_two_consoles_at_once(tmp_path, address):
    make_take(tmp_path, "P017", "2026-03-14", "run1")
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_work, args=(tmp_path, address, n)) for n in (1, 2)]
    for process in both:
        process.start()
    for process in both:
        process.join(240)
    assert [p.exitcode for p in both] == [0, 0]
    registry = Registry(tmp_path, address)
    assert len(registry.search("")) == 9
    assert len(registry.sessions("P017")) == 1
    registry.close()


def test_no_name_stands_in_any_other_file(tmp_path):
    make_take(tmp_path, "P017", "2026-03-14", "run1")
    registry = open_registry(tmp_path)
    registry.add("P017", "Anna Berg")
    registry.rebuild()
    registry.close()
    holding = [f.name for f in tmp_path.rglob("*") if f.is_file() and b"Berg" in f.read_bytes()]
    assert holding == ["registry.db"]
    assert stat.S_IMODE((tmp_path / "registry.db").stat().st_mode) == 0o600


def test_a_server_that_is_not_there_is_said_in_words(tmp_path):
    with pytest.raises(LabError, match="does not answer") as raised:
        Registry(tmp_path, "postgresql+psycopg://lab:secret@127.0.0.1:1/none")
    assert "secret" not in str(raised.value)
    assert "Check the database" in str(raised.value)
    with pytest.raises(LabError, match="cannot be used"):
        Registry(tmp_path, "nonsense://x")
