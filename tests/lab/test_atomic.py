from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lab.atomic import write_atomically
from lab.errors import FileError


def test_writes_and_leaves_nothing_else(tmp_path):
    write_atomically(tmp_path / "a.bin", b"one")
    write_atomically(str(tmp_path / "a.bin"), b"two")
    assert (tmp_path / "a.bin").read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


class Interrupted(BaseException):
    """What no `except Exception` stops, as Ctrl-C."""


@pytest.mark.parametrize("where", ["os.fsync", "pathlib.Path.replace"])
@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), Interrupted()])
def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch, where, fault):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(*_arguments):
        raise fault

    expected = FileError if isinstance(fault, OSError) else Interrupted
    with monkeypatch.context() as patch:
        patch.setattr(where, fail)
        with pytest.raises(expected) as caught:
            write_atomically(path, b"new")
    if expected is FileError:
        assert "could not be written (No space left on device)" in str(caught.value)
        assert str(path) in str(caught.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_content_is_on_disk_before_the_name(tmp_path, monkeypatch):
    order: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor):
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")
        real_sync(descriptor)

    def rename(self, target):
        assert self.parent == target.parent
        assert self.read_bytes() == b"new"
        order.append("name")
        return real_replace(self, target)

    monkeypatch.setattr("os.fsync", sync)
    monkeypatch.setattr("pathlib.Path.replace", rename)
    write_atomically(tmp_path / "a.bin", b"new")
    assert order == ["content", "name", "folder"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.bin").symlink_to(tmp_path / "real" / "a.bin")
    write_atomically(tmp_path / "link.bin", b"new")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "real" / "a.bin").read_bytes() == b"new"


def test_a_folder_of_that_name_is_refused(tmp_path):
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(FileError, match=r"a\.bin.*could not be written"):
        write_atomically(tmp_path / "a.bin", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
