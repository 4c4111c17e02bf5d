"""A file appears whole or not at all."""

import pytest

from lab.errors import FileError
from report.files import replace_file


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "report.pdf"
    path.write_bytes(b"old")

    def fail(beside):
        beside.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(FileError, match="No space left"):
        replace_file(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_whole_write_replaces(tmp_path):
    path = tmp_path / "report.pdf"
    path.write_bytes(b"old")
    replace_file(path, lambda beside: beside.write_bytes(b"new"))
    assert path.read_bytes() == b"new"
