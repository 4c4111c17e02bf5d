"""Make `.venv` anew, with gaitlab in it, from the lock: `python3 install.py [--dev]`.

Needs Python 3.11 and pip 22.3 or newer, nothing else. With --dev also the tools for the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE / ".venv"
PROGRAMS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")


def install(*arguments: str) -> None:
    """Install into the environment with the pip of the Python that runs this file."""
    # `venv` brings no pip of its own: Debian takes ensurepip out of its Python.
    pip = [sys.executable, "-m", "pip", "--python", str(ENVIRONMENT), "install", "--quiet"]
    # The build backend looks for its program on the path.
    path = os.pathsep.join([str(PROGRAMS), os.environ.get("PATH", os.defpath)])
    subprocess.run(
        [*pip, "--disable-pip-version-check", *arguments],
        check=True,
        env={**os.environ, "PATH": path},
    )


def main() -> None:
    """Make the environment; exit with pip's status when something cannot be installed."""
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python may run this file
        sys.exit("gaitlab needs Python 3.11 or newer")
    dev = "--dev" in sys.argv[1:]
    lock = HERE / ("requirements-dev.lock" if dev else "requirements.lock")
    try:
        subprocess.run(
            [sys.executable, "-m", "venv", "--clear", "--without-pip", str(ENVIRONMENT)], check=True
        )
        install("--require-hashes", "-r", str(lock))
        editable = ["--editable"] if dev else []
        install("--no-deps", "--no-build-isolation", *editable, str(HERE))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main()
