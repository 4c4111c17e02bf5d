"""The checks that the types make of themselves on construction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def frozen_array(
    value: Any, shape: tuple[int | None, ...], what: str, dtype: Any = np.float64
) -> NDArray[Any]:
    """Return a read-only array of the given shape; None in `shape` stands for any length.

    The array is copied unless it is already read-only, so that no caller can change a type
    after it was validated.

    Raises:
        ValueError: When the shape does not fit.
    """
    array = np.asarray(value, dtype=dtype)
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=False)
    )
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{what}: expected shape ({wanted}), got {array.shape}")
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def unique_names(names: Sequence[str], what: str) -> tuple[str, ...]:
    """Return the names as a tuple, or raise ValueError when one is empty or stands twice."""
    result = tuple(str(n) for n in names)
    if any(not n for n in result):
        raise ValueError(f"{what}: a name is empty")
    if len(set(result)) != len(result):
        twice = sorted({n for n in result if result.count(n) > 1})
        raise ValueError(f"{what}: names stand twice: {', '.join(twice)}")
    return result


def rising_times(t: Any, what: str) -> FloatArray:
    """Return times (T,) s as a read-only array, or raise ValueError unless finite and rising."""
    times = frozen_array(t, (None,), what)
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ValueError(f"{what}: times must be finite and strictly rising")
    return times
