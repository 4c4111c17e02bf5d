"""An X server and a PostgreSQL server of the tests' own."""

import glob
import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def x_server():
    """An X server of 1366 x 768; its display's name."""
    if shutil.which("Xvfb") is None:
        pytest.skip("there is no Xvfb: apt install xvfb")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1366x768x24", "-nolisten", "tcp"],
        pass_fds=(write,), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as told:
        number = told.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="module")
def screen():
    with x_server() as display:
        yield display


@pytest.fixture
def screens(screen):
    """Two of them: no window lies over the other."""
    with x_server() as second:
        yield screen, second


@pytest.fixture(scope="module")
def postgres():
    """A server of its own, on a free port of loopback."""
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not programs:
        pytest.skip("Debian's postgresql is not installed")
    as_user = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        known = subprocess.run(["id", "postgres"], capture_output=True).returncode == 0
        if shutil.which("runuser") is None or not known:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    folder = Path(tempfile.mkdtemp(prefix="gaitlab-postgres-"))
    folder.chmod(0o777)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*words):
        subprocess.run([*as_user, *map(str, words)], check=True, capture_output=True, cwd=folder)

    data = folder / "data"
    run(f"{programs[-1]}/initdb", "-D", data, "-U", "lab", "-A", "trust", "--no-sync")
    run(f"{programs[-1]}/pg_ctl", "-D", data, "-w", "-l", folder / "log",
        "-o", f"-p {port} -h 127.0.0.1 -k {folder} -F", "start")  # fmt: skip
    yield f"postgresql+psycopg://lab@127.0.0.1:{port}/postgres"
    run(f"{programs[-1]}/pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)
