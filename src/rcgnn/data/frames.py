"""Tables of Python -> `Series`: pandas, polars, DuckDB (anything narwhals knows), xarray, NumPy, a path, or a list of recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rcgnn.data.arrays import from_arrays
from rcgnn.data.columns import Columns, Roles, assemble
from rcgnn.data.labelled import is_labelled, to_frame
from rcgnn.data.readers import read_table
from rcgnn.errors import TableError, shown
from rcgnn.series import Series, concatenate, default_names

_EXPECTED = "a pandas or polars frame, a NumPy array [rows, sensors], a Series, the path of a table, or a list of those"


def to_series(data: Any, *, time: str | None = None, regime: str | None = None, names: Sequence[str] | None = None) -> Series:
    """What a Python user has in hand, as a series.

    Args:
        data: a pandas or polars frame, an Arrow table, a DuckDB relation, an xarray `Dataset` or `DataArray`, an array [T, N] (or
            windows [W, L, N]), a `Series` (returned as it is), the path of a file or folder, or a list of those (several
            recordings of one system).
        time: column that holds the time; the DatetimeIndex of a pandas frame is taken without being named.
        regime: column that holds the operating mode.
        names: sensor names of an array; the names of a frame are its own.

    Raises:
        TableError: not a table of numbers; the message names the column.

    Example:
        >>> to_series(np.eye(3), names=["a", "b", "c"]).names
        ('a', 'b', 'c')
    """
    if isinstance(data, Series):
        return data
    if isinstance(data, str | Path):
        return read_table(data, time=time, regime=regime)
    if is_labelled(data):
        frame = to_frame(data, time)
        return to_series(frame, time=time if time in frame.columns else None, regime=regime)
    roles = Roles(time, regime)
    if isinstance(data, list | tuple) and any(_is_table(part) for part in data):
        parts = [to_series(part, time=time, regime=regime, names=names) for part in data]
        numbered = [replace(part, source=f"table {number}") for number, part in enumerate(parts, start=1)]
        return replace(concatenate(numbered), source=f"{len(parts)} recordings")
    if _is_frame(data):
        return _frame(data, roles, names)
    return _array(data, roles, names)


def _is_table(data: Any) -> bool:
    return isinstance(data, Series | np.ndarray | str | Path) or is_labelled(data) or _is_frame(data)


def _is_frame(data: Any) -> bool:
    return hasattr(type(data), "columns")  # asked of the type: a lazy frame would have to be resolved


def _array(data: Any, roles: Roles, names: Sequence[str] | None) -> Series:
    if isinstance(data, np.ndarray) and np.iscomplexobj(data):
        raise TableError("data: expected real numbers, got complex ones; give their real part, size or phase as sensors of their own.")
    if isinstance(data, np.ndarray) and data.dtype.kind in "VMm":
        raise TableError(f"data: expected {_EXPECTED}; got an array of {data.dtype}, which is not an array of numbers; convert it.")
    try:
        values = np.ma.filled(np.ma.asarray(data, dtype=np.float64), np.nan) if np.ma.isMaskedArray(data) else np.asarray(data, np.float64)
    except (TypeError, ValueError) as error:
        raise TableError(f"data: expected {_EXPECTED}; got {type(data).__name__}, which is not an array of numbers ({error}).") from error
    if values.ndim not in (2, 3):
        raise TableError(f"data: expected {_EXPECTED}; got an array of {values.ndim} dimension(s).")
    named = tuple(str(name) for name in names) if names is not None else default_names(values.shape[-1])
    if len(named) != values.shape[-1]:
        raise TableError(f"data: {len(named)} names for {values.shape[-1]} columns; give one name per column.")
    if roles.time is None and roles.regime is None:
        return from_arrays({"values": values, "names": np.array(named)}, roles, "array")
    if values.ndim == 3:
        raise TableError("data: time and regime columns need an array [rows, columns]; windows [windows, rows, sensors] have none.")
    import pyarrow as pa

    return assemble(Columns(named, tuple(pa.array(column) for column in values.T), "array", dashes=False), roles)


def _frame(data: Any, roles: Roles, names: Sequence[str] | None) -> Series:
    import narwhals as nw

    if names is not None:
        raise TableError("data: a frame brings its own column names; rename its columns instead of passing names.")
    if hasattr(data, "index"):
        twice = data.columns[data.columns.duplicated()]
        if len(twice):
            raise TableError(f"frame: two columns are both called {shown(str(twice[0]))}; rename one of them.")
    try:
        frame = nw.from_native(data)
        eager = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    except (TypeError, ValueError) as error:
        raise TableError(f"data: expected {_EXPECTED}; got {type(data).__name__} ({error}).") from error
    labels = [str(label) for label in eager.columns]
    columns = [(label, _arrow(eager[:, place], label)) for place, label in enumerate(labels)]
    index = _datetime_index(data)
    if index is not None and roles.time is None:
        name = next(name for name in ("time", "index", "the index of the frame") if name not in labels)
        columns.insert(0, (name, index))
        roles = replace(roles, time=name)
    found = tuple(label for label, _ in columns), tuple(array for _, array in columns)
    return assemble(Columns(*found, "frame", dashes=False), roles)


def _arrow(column: Any, label: str) -> Any:
    """One column as an Arrow array."""
    import pyarrow as pa

    try:
        array = column.to_arrow()
    except (pa.ArrowException, TypeError, ValueError, OverflowError, NotImplementedError):
        return _converted(column, label)
    if pa.types.is_fixed_size_binary(array.type):
        raise TableError(f"frame: column {shown(label)} must hold numbers, got Python objects; convert it to numbers or dates.")
    return array


def _converted(column: Any, label: str) -> Any:
    """A column that Arrow has no kind for, cell by cell: integers beyond 64 bits, fractions, mixed numbers."""
    import pandas as pd
    import pyarrow as pa

    cells = column.to_list()
    try:
        return pa.array([None if cell is None or cell is pd.NA else float(cell) for cell in cells], pa.float64(), from_pandas=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise TableError(f"frame: column {shown(label)} must hold numbers, got cells of several kinds ({error}); convert it.") from error


def _datetime_index(data: Any) -> Any:
    """The DatetimeIndex of a pandas frame as an Arrow array; None for other frames."""
    index = getattr(data, "index", None)
    if type(index).__name__ not in ("DatetimeIndex", "TimedeltaIndex"):
        return None
    import pyarrow as pa

    return pa.array(index)
