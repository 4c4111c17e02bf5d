"""What is installed is what is here: the lock fits pyproject.toml, the wheel holds every file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import uv_build
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PYPROJECT["tool"]["uv"]["build-backend"]["module-name"]


def read_lock(name: str) -> dict[str, list[str]]:
    """The versions that a lock names for each distribution."""
    versions: dict[str, list[str]] = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / name).read_text(encoding="utf-8").strip()):
        pin = re.match(r"([a-z0-9-]+)==([^\s;]+)", entry)
        assert pin, entry
        assert "--hash=sha256:" in entry
        versions.setdefault(pin[1], []).append(pin[2])
    return versions


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_holds_what_the_project_asks_for(lock):
    groups = PYPROJECT["dependency-groups"]
    wanted = [*PYPROJECT["project"]["dependencies"], *groups["build"]]
    if lock == "requirements-dev.lock":
        wanted += [line for line in groups["dev"] if isinstance(line, str)]
    locked = read_lock(lock)
    for requirement in map(Requirement, wanted):
        versions = locked.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement} is not in {lock}"
        assert all(requirement.specifier.contains(v) for v in versions), requirement


def test_both_locks_name_the_same_versions():
    run, dev = read_lock("requirements.lock"), read_lock("requirements-dev.lock")
    assert {name: dev.get(name) for name in run} == run


def test_the_lock_names_no_place():
    for lock in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (ROOT / lock).read_text(encoding="utf-8")


def tracked(package: str) -> set[str]:
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--", package]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}


def test_the_wheel_holds_every_file_of_every_package(tmp_path, monkeypatch):
    # The build backend looks for its program on the path.
    programs = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]))
    monkeypatch.chdir(ROOT)
    wheel = uv_build.build_wheel(str(tmp_path))
    with zipfile.ZipFile(tmp_path / wheel) as archive:
        held = set(archive.namelist())
    for package in PACKAGES:
        assert f"{package}/__init__.py" in held
        missing = tracked(package) - held
        assert not {m for m in missing if not m.endswith(".gitkeep")}, missing
    outside = {n for n in held if n.partition("/")[0] not in PACKAGES}
    assert all(n.startswith("gaitlab-") for n in outside), outside
