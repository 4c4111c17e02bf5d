"""A plane through the room with how well a point is known in each of its cells."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.checks import FloatArray, frozen_array


@dataclass(frozen=True, slots=True, eq=False)
class RoomSlice:
    """Square cells in a plane of the lab frame, spanned by two of its axes.

    Attributes:
        axes: The axes across and upward, 0 for x, 1 for y, 2 for z.
        at_m: Where the plane cuts the third axis.
        low_m: (2,) the lower left corner of the first cell, by those axes.
        step_m: The side of a cell.
        sigma_m: (rows, columns) standard deviation of a point in the middle of a cell, its three
            axes together, rows upward; NaN where fewer than two cameras see it.
    """

    axes: tuple[int, int]
    at_m: float
    low_m: FloatArray = field(metadata={"unit": "m", "frame": "lab"})
    step_m: float
    sigma_m: FloatArray = field(metadata={"unit": "m"})

    def __post_init__(self) -> None:
        object.__setattr__(self, "low_m", frozen_array(self.low_m, (2,), "RoomSlice.low_m"))
        sigma = frozen_array(self.sigma_m, (None, None), "RoomSlice.sigma_m")
        object.__setattr__(self, "sigma_m", sigma)
        if not self.step_m > 0:
            raise ValueError(f"RoomSlice: a cell's side is above 0, got {self.step_m}")
