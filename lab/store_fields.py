"""Dataclass <-> HDF5 group, field by field, driven by the type annotations.

    str, int, float, bool          scalar dataset
    NDArray[float64]               dataset
    tuple[str, ...], tuple[int, int]   one-dimensional dataset
    dataclass                      group
    dataclass | None               group, or an empty (null) dataset for None
    tuple[dataclass, ...]          a table: one dataset a column, where the dataclass holds nothing
                                   but scalars; else a group with the children "0", "1", ...;
                                   the number of rows stands in the attribute `count`
    Mapping[str, ...]              group with `names` and `values` in the same order

`field(metadata={"unit": ..., "frame": ...})` becomes the attributes `unit` and `frame`.
"""

# h5py carries no type information.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import h5py
import numpy as np

_SCALARS: tuple[type, ...] = (str, int, float, bool)
_DTYPES: dict[type, Any] = {int: np.dtype("<i8"), float: np.dtype("<f8"), bool: np.dtype(bool)}
# Up to here a dataset lies in its object header, which HDF5 protects with a checksum.
_COMPACT_BYTES = 1024


class MismatchError(Exception):
    """What a file holds does not fit the type; the message says where in the file and how."""


def write_fields(group: Any, value: Any) -> None:
    """Write every field of a dataclass into an HDF5 group.

    Raises:
        ValueError: For text that HDF5 cannot hold (a NUL character).
    """
    hints = get_type_hints(type(value))
    for field in fields(value):
        _write(group, field.name, hints[field.name], getattr(value, field.name), field)


def read_fields(group: Any, kind: type) -> Any:
    """Make a dataclass from an HDF5 group, through its validating constructor.

    Raises:
        MismatchError: When a dataset is missing, of another type or shape, or refused by the
            constructor.
    """
    hints = get_type_hints(kind)
    found = {f.name: _read(group, f.name, hints[f.name]) for f in fields(kind)}
    return _construct(kind, found, group.name)


def _construct(kind: type, found: Mapping[str, Any], where: str) -> Any:
    try:
        return kind(**found)
    except ValueError as error:
        raise MismatchError(f"{where}: {error}") from error


def _is_table(kind: Any) -> bool:
    return is_dataclass(kind) and all(h in _SCALARS for h in get_type_hints(kind).values())


def _optional(hint: Any) -> Any:
    """Return X of `X | None`, or None for any other annotation."""
    if get_origin(hint) not in (types.UnionType, Union):
        return None
    return next(kind for kind in get_args(hint) if kind is not type(None))


def _write(group: Any, name: str, hint: Any, value: Any, field: Field[Any] | None) -> None:
    optional, origin, arguments = _optional(hint), get_origin(hint), get_args(hint)
    if optional is not None:
        if value is None:
            group.create_dataset(name, data=h5py.Empty("<f8"), track_times=False)
        else:
            _write(group, name, optional, value, field)
    elif is_dataclass(hint):
        write_fields(group.create_group(name, track_times=False), value)
    elif origin is tuple and arguments[0] not in _SCALARS:
        _write_many(group.create_group(name, track_times=False), arguments[0], value, field)
    elif origin is Mapping:
        inner = group.create_group(name, track_times=False)
        _write(inner, "names", tuple[str, ...], tuple(value), None)
        _write(inner, "values", tuple[arguments[1], ...], tuple(value.values()), field)
    else:
        _write_dataset(group, name, arguments[0] if origin is tuple else hint, value, field)


def _write_many(group: Any, kind: Any, values: Sequence[Any], field: Field[Any] | None) -> None:
    group.attrs["count"] = np.int64(len(values))
    if not _is_table(kind):
        for row, value in enumerate(values):
            _write(group, str(row), kind, value, field)
        return
    hints = get_type_hints(kind)
    for column in fields(kind):
        cells = [getattr(value, column.name) for value in values]
        _write_dataset(group, column.name, hints[column.name], cells, column)


def _write_dataset(group: Any, name: str, kind: Any, value: Any, field: Field[Any] | None) -> None:
    array = _text_array(value) if kind is str else np.asarray(value, _DTYPES.get(kind, "<f8"))
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    filters: dict[str, Any] = {}
    if array.nbytes <= _COMPACT_BYTES:
        layout.set_layout(h5py.h5d.COMPACT)
    elif array.ndim:
        # gzip brings a checksum of its own, also where it gains nothing.
        filters = {"compression": "gzip", "shuffle": True}
    dataset = group.create_dataset(
        name, data=array, dtype=array.dtype, dcpl=layout, track_times=False, **filters
    )
    metadata: Mapping[str, Any] = {} if field is None else field.metadata
    for key in ("unit", "frame"):
        if key in metadata:
            dataset.attrs[key] = metadata[key]


def _text_array(value: str | Sequence[str]) -> Any:
    """Return text as fixed-length UTF-8, so that the same text always gives the same bytes."""
    texts = [value] if isinstance(value, str) else list(value)
    encoded = [text.encode() for text in texts]
    if any(b"\0" in text for text in encoded):
        raise ValueError(f"text with a NUL character cannot be stored: {texts}")
    length = max([1, *map(len, encoded)])
    array = np.array(encoded, dtype=h5py.string_dtype("utf-8", length))
    return array.reshape(()) if isinstance(value, str) else array


def _read(group: Any, name: str, hint: Any) -> Any:
    optional, origin, arguments = _optional(hint), get_origin(hint), get_args(hint)
    if optional is not None:
        item = _member(group, name)
        if isinstance(item, h5py.Dataset) and item.shape is None:
            return None
        return _read(group, name, optional)
    if is_dataclass(hint):
        return read_fields(_subgroup(group, name), cast(type, hint))
    if origin is tuple and arguments[0] not in _SCALARS:
        return _read_many(_subgroup(group, name), arguments[0])
    if origin is Mapping:
        inner = _subgroup(group, name)
        names = _read(inner, "names", tuple[str, ...])
        values = _read(inner, "values", tuple[arguments[1], ...])
        if len(names) != len(values) or len(set(names)) != len(names):
            raise MismatchError(f"{inner.name}: names and values do not match one to one")
        return dict(zip(names, values, strict=True))
    if hint in _SCALARS:
        return _read_dataset(group, name, hint, 0).item()
    if origin is tuple:
        values = tuple(_read_dataset(group, name, arguments[0], 1).tolist())
        if arguments[-1] is not Ellipsis and len(values) != len(arguments):
            raise MismatchError(f"{group.name}/{name}: expected {len(arguments)} values")
        return values
    array = _read_dataset(group, name, float, None)
    array.flags.writeable = False
    return array


def _read_many(group: Any, kind: Any) -> tuple[Any, ...]:
    count = group.attrs.get("count")
    if not isinstance(count, np.integer) or count < 0:
        raise MismatchError(f"{group.name}: the attribute 'count' is missing or wrong")
    if not _is_table(kind):
        return tuple(_read(group, str(row), kind) for row in range(int(count)))
    columns: dict[str, list[Any]] = {}
    for name, hint in get_type_hints(kind).items():
        columns[name] = _read_dataset(group, name, hint, 1).tolist()
        if len(columns[name]) != count:
            raise MismatchError(
                f"{group.name}/{name}: expected {count} rows, found {len(columns[name])}"
            )
    return tuple(
        _construct(kind, {n: column[row] for n, column in columns.items()}, f"{group.name}[{row}]")
        for row in range(int(count))
    )


def _member(group: Any, name: str) -> Any:
    item = group.get(name)
    if item is None:
        raise MismatchError(f"{group.name.rstrip('/')}/{name} is missing")
    return item


def _subgroup(group: Any, name: str) -> Any:
    item = _member(group, name)
    if not isinstance(item, h5py.Group):
        raise MismatchError(f"{item.name}: expected a group, found a dataset")
    return item


def _read_dataset(group: Any, name: str, kind: Any, ndim: int | None) -> Any:
    item = _member(group, name)
    if not isinstance(item, h5py.Dataset):
        raise MismatchError(f"{item.name}: expected a dataset, found a group")
    fits = (
        h5py.check_string_dtype(item.dtype) is not None
        if kind is str
        else item.dtype == _DTYPES[kind]
    )
    if not fits:
        raise MismatchError(f"{item.name}: expected {kind.__name__}, found {item.dtype}")
    if item.shape is None or (ndim is not None and len(item.shape) != ndim):
        raise MismatchError(f"{item.name}: expected {ndim} dimensions, found shape {item.shape}")
    return np.asarray(item.asstr()[()], dtype=object) if kind is str else np.asarray(item[()])
