"""pandas, polars, NumPy and lists of them become the same series."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from rcgnn.data.frames import to_series
from rcgnn.errors import TableError
from rcgnn.series import Series

CELLS = {"flow": [1.0, 2.0, 3.0], "level": [4.0, None, 6.0]}
PANDAS = pd.DataFrame(CELLS)


@pytest.mark.parametrize(
    "data",
    [
        PANDAS,
        PANDAS.astype(object),
        PANDAS.convert_dtypes(),
        PANDAS.set_index(pd.Index([7, 8, 9])),
        pl.DataFrame(CELLS),
        pl.LazyFrame(CELLS),
        pa.table(CELLS),
    ],
    ids=["pandas", "object", "nullable", "index", "polars", "lazy", "arrow"],
)
def test_frames_agree(data):
    s = to_series(data)
    assert s.names == ("flow", "level")
    assert np.array_equal(s.values, [[1, 4], [2, np.nan], [3, 6]], equal_nan=True)
    assert s.time is None


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_datetime_index_is_the_time(zone):
    s = to_series(PANDAS.set_index(pd.date_range("2024-03-01", periods=3, freq="min", tz=zone)))
    assert s.time is not None
    assert np.diff(s.time).tolist() == [60, 60]
    assert s.names == ("flow", "level")


def test_index_does_not_shadow_a_column_called_time():
    frame = PANDAS.rename(columns={"flow": "time"}).set_index(pd.date_range("2024", periods=3, freq="s"))
    assert to_series(frame).names == ("time", "level")


def test_named_time_and_regime():
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, 3), "1d", eager=True)
    s = to_series(pl.DataFrame(CELLS).with_columns(day=days, mode=pl.Series(["b", "a", "b"])), time="day", regime="mode")
    assert s.time is not None
    assert np.diff(s.time).tolist() == [86400, 86400]
    assert (s.names, s.regime.tolist(), s.regime_names) == (("flow", "level"), [1, 0, 1], ("a", "b"))
    s = to_series(np.array([[0.0, 5.0], [2.0, 6.0]]), time="t", names=["t", "x"])
    assert s.time is not None
    assert (s.names, s.time.tolist()) == (("x",), [0, 2])


def test_rows_are_never_dropped_from_frames():
    assert to_series(pd.DataFrame({"a": [1, np.nan], "b": [2, np.nan]})).shape == (2, 2)


def test_recordings():
    s = to_series([PANDAS, pl.DataFrame(CELLS)])
    assert (s.shape, s.recording.tolist()) == ((6, 2), [0, 0, 0, 1, 1, 1])
    assert to_series([np.eye(2), np.ones((3, 2))]).recording.tolist() == [0, 0, 1, 1, 1]
    assert to_series(np.zeros((2, 3, 4))).recording.tolist() == [0, 0, 0, 1, 1, 1]
    assert to_series([[1, 2], [3, 4]]).shape == (2, 2)
    with pytest.raises(TableError, match="recording 2 has sensors"):
        to_series([np.eye(2), np.eye(3)])


def test_a_series_comes_back_as_it_is_and_nothing_is_changed():
    s = Series.of(np.eye(2))
    assert to_series(s) is s
    array = np.array([[1.0, np.inf], [2.0, 3.0]])
    copy = array.copy()
    assert to_series(array).mask.sum() == 3
    assert np.array_equal(array, copy)
    assert to_series(np.ma.masked_equal(np.eye(2), 0)).mask.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pd.DataFrame({"a": [1, "x", 3]}), "column 'a' must hold numbers"),
        (pd.DataFrame({"a": pd.Categorical(["u", "v"])}), r"column 'a' must hold numbers, but row 1 holds 'u'.*regime='a'"),
        (pd.DataFrame({"b": [1, 2], "a": pd.date_range("2024", periods=2)}), r"column 'a' .* holds dates: name it with time='a'"),
        (pd.DataFrame(np.eye(2), columns=["a", "a"]), "two columns are both called 'a'"),
        (pd.DataFrame(), "no row"),
        (pd.DataFrame({"a": [None, None]}), "no cell"),
        (PANDAS.set_index(pd.DatetimeIndex(["2024-01-02", "2024-01-01", "2024-01-03"])), "does not rise from row 1"),
        (PANDAS.set_index(pd.DatetimeIndex(["2024-01-02", None, "2024-01-03"])), "row 2 has no usable time"),
        (pl.DataFrame({"a": pl.Series([object(), object()], dtype=pl.Object)}), "column 'a' must hold numbers, got Python objects"),
        (np.arange(3), "1 dimension"),
        (np.eye(2) * 1j, "complex"),
        (np.array([["a"]]), "not an array of numbers"),
        (np.full((2, 2), np.nan), "no cell"),
        ("file.csv", "no such file"),
        (None, "expected a pandas or polars frame"),
        ([[1, 2], [3]], "not an array of numbers"),
        ({"a": [1]}, "expected a pandas or polars frame"),
        ([], "expected a pandas or polars frame"),
    ],
)
def test_bad_data(data, message):
    with pytest.raises(TableError, match=message):
        to_series(data)


def test_names_belong_to_arrays():
    with pytest.raises(TableError, match="1 names for 2"):
        to_series(np.eye(2), names=["a"])
    with pytest.raises(TableError, match="its own column names"):
        to_series(PANDAS, names=["a", "b"])
    with pytest.raises(TableError, match="no column 't' for time; the columns are x0, x1"):
        to_series(np.eye(2), time="t")
    with pytest.raises(TableError, match="both called 'a'"):
        to_series(np.eye(2), names=["a", "a"])
