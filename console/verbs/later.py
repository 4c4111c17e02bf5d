"""Verbs that a later version brings: each refuses with one sentence."""

from __future__ import annotations

from console.verbs.options import AsJson
from lab.errors import LabError


def console(json: AsJson = False) -> None:
    """Open the lab console (comes with a later version)."""
    raise LabError("the lab console comes with a later version of gaitlab")
