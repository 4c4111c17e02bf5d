"""What a file of 3D markers holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.gait import Event
from lab.points import Points3D


@dataclass(frozen=True, slots=True, eq=False)
class MarkerData:
    """Markers over time, and what else the file says of the walk.

    Attributes:
        points: In the lab frame, m; names as in the file without a subject's prefix.
        subject: Measures of the body by the keys of trial.toml, as far as the file has them.
        events: Foot strikes and foot offs stored in the file, in order of time; their sigma is
            not known.
    """

    points: Points3D
    subject: Mapping[str, float] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
