"""xarray's `DataArray` and `Dataset` as a pandas frame. Known by their module, so that xarray itself is never loaded here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rcgnn.errors import TableError

if TYPE_CHECKING:
    import pandas as pd


def is_labelled(data: Any) -> bool:
    """True for xarray's tables."""
    return type(data).__module__.partition(".")[0] == "xarray" and hasattr(data, "dims")


def to_frame(data: Any, time: str | None = None) -> pd.DataFrame:
    """One column a sensor, rows along the dimension of time; a coordinate of dates becomes the index.

    A further dimension spreads: variable `flow` over stations a and b becomes `flow[a]` and `flow[b]`; of an array with two
    dimensions the labels of the other one are the names.

    Args:
        data: a `DataArray` or `Dataset`.
        time: its dimension of time; where none is given the one with dates, or called `time`, or the only one.

    Raises:
        TableError: no dimension can be taken for time, a variable does not run along it, or has more than one further dimension.
    """
    import numpy as np
    import pandas as pd

    rows = _time_dimension(data, time)
    arrays = {str(name): data[name] for name in data.data_vars} if hasattr(data, "data_vars") else {"": data}
    columns: dict[str, Any] = {}
    for name, array in arrays.items():
        others = [dim for dim in array.dims if dim != rows]
        if rows not in array.dims or len(others) > 1:
            raise TableError(
                f"xarray: {name or 'the array'} has the dimensions {list(map(str, array.dims))}; expected {str(rows)!r} and at most one "
                "more. Select or average over the others first."
            )
        cells = np.asarray(array.transpose(rows, *others).values)
        if not others:
            columns[name or str(array.name or "x0")] = cells
            continue
        labels = array[others[0]].values if others[0] in array.coords else range(cells.shape[1])
        for place, label in enumerate(labels):
            column = f"{name}[{label}]" if name else str(label)
            if column in columns:
                raise TableError(f"xarray: two columns would both be called {column!r}; rename a label of {str(others[0])!r}.")
            columns[column] = cells[:, place]
    frame = pd.DataFrame(columns)
    if rows not in data.coords:
        return frame
    stamps = data[rows].values
    if stamps.dtype.kind in "Mm":
        return frame.set_axis(pd.Index(stamps), axis=0)
    if time is not None or str(rows) == "time":
        frame.insert(0, str(rows), stamps)
    return frame


def _time_dimension(data: Any, time: str | None) -> Any:
    dims = list(data.dims)
    if time is not None:
        if time not in dims:
            raise TableError(f"xarray: there is no dimension {time!r}; the dimensions are {', '.join(map(str, dims))}.")
        return time
    dated = [dim for dim in dims if dim in data.coords and data[dim].dtype.kind in "Mm"]
    called = [dim for dim in dims if str(dim) == "time"]
    found = dated if len(dated) == 1 else called or (dims if len(dims) == 1 else [])
    if not found:
        raise TableError(f"xarray: which of the dimensions {', '.join(map(str, dims))} is the time? Name it: to_series(data, time=...).")
    return found[0]
