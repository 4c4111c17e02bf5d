"""Matrices as OpenCV's FileStorage keeps them in YAML and JSON: rows, cols, data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from calibration.formats.reading import numbers
from calibration.formats.writing import array
from lab.checks import FloatArray
from lab.errors import FileError


def matrix_of(table: Mapping[str, Any], key: str, where: str) -> FloatArray:
    """Return a matrix by its key, kept as rows, cols and data or as lists of numbers.

    Raises:
        FileError: When it is missing or not made of finite numbers.
    """
    if key not in table or table[key] is None:
        raise FileError(f"{key} is missing", where=where)
    value = table[key]
    if not isinstance(value, Mapping):
        return numbers(value, np.shape(value) if _is_rows(value) else None, key, where)
    for part in ("rows", "cols", "data"):
        if part not in value:
            raise FileError(f"{key} has no {part}", where=where)
    shape = numbers([value["rows"], value["cols"]], (2,), f"{key}: its size", where)
    if (shape < 1).any() or (shape > 64).any() or (shape % 1).any():
        raise FileError(f"{key} has the wrong shape", where=where)
    data = numbers(value["data"], None, key, where)
    if data.size != int(shape[0]) * int(shape[1]):
        raise FileError(f"{key} has the wrong shape", where=where)
    return data.reshape(int(shape[0]), int(shape[1]))


def _is_rows(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and isinstance(value[0], list)
        and (len({len(row) if isinstance(row, list) else -1 for row in value}) == 1)
    )


def yaml_matrix(key: str, values: FloatArray, indent: str = "") -> list[str]:
    """Return the lines of a matrix (rows, cols) in OpenCV's YAML."""
    return [
        f"{indent}{key}: !!opencv-matrix",
        f"{indent}   rows: {values.shape[0]}",
        f"{indent}   cols: {values.shape[1]}",
        f"{indent}   dt: d",
        f"{indent}   data: {array(values.ravel())}",
    ]


def json_matrix(values: FloatArray) -> dict[str, Any]:
    """Return a matrix (rows, cols) as OpenCV's JSON holds it."""
    return {
        "type_id": "opencv-matrix",
        "rows": values.shape[0],
        "cols": values.shape[1],
        "dt": "d",
        "data": [float(value) for value in values.ravel()],
    }
