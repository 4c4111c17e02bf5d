"""What all tests share: the folder of real recordings, and laws that repeat exactly."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

import console  # noqa: F401  # before numpy: it keeps linear algebra to one thread

# No timed tests, and a law that fails does so every time.
settings.register_profile("gaitlab", deadline=None, derandomize=True)
settings.load_profile("gaitlab")

_ROOT = Path(__file__).resolve().parents[1]
_ORIGINS = (
    "They are public: board videos from Caliscope's test sessions (github.com/mprib/caliscope), "
    "the single-person demo of Pose2Sim (github.com/perfanalytics/pose2sim), Vicon trials from "
    "biomechZoo (github.com/PhilD001/biomechZoo) and pyCGM (github.com/cadop/pyCGM), a run from "
    "BMC (github.com/BMClab) and one from nimblephysics (github.com/keenon/nimblephysics)."
)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real recordings: GAITLAB_DATA, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("GAITLAB_DATA", _ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}; set GAITLAB_DATA to their folder. {_ORIGINS}")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Corners found by tests do not go to the user's cache, nor come from it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("GAITLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()
