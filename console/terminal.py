"""What a verb says: lines for a person, or one JSON object for a machine."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from lab.errors import LabError

# Exit statuses: done; done, and refused; not done.
REFUSED = 1
FAILED = 2

out = Console(highlight=False, soft_wrap=True)
log = Console(stderr=True, highlight=False, soft_wrap=True)


def write_json(result: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output; NaN becomes null.

    At once: whoever reads a verb that runs on, as of a node, would otherwise wait for its end.
    """
    sys.stdout.write(json.dumps(_plain(result), indent=2, allow_nan=False) + "\n")
    sys.stdout.flush()


def describe_error(error: LabError) -> dict[str, Any]:
    """Return an error as JSON carries it."""
    return {"error": {"what": error.what, "where": error.where, "remedy": error.remedy}}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
