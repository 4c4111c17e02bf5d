"""Where things of the lab are kept that belong to no trial."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def models_folder() -> Path:
    """Return where networks are kept: GAITLAB_MODELS, models/ in GAITLAB_HOME, or the user's own.

    The user's own is where the system keeps programs' data: ~/.local/share (XDG_DATA_HOME),
    ~/Library/Application Support, or %LOCALAPPDATA%.
    """
    if stated := os.environ.get("GAITLAB_MODELS"):
        return Path(stated)
    if home := os.environ.get("GAITLAB_HOME"):
        return Path(home) / "models"
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "gaitlab" / "models"
