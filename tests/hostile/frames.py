"""Nasty tables in memory: what they are, and what must become of them."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

NAN = float("nan")
WIDE = getattr(pl, "Int128", pl.Float64)
"""Old polars has no integers of 128 bits."""
STEPS = pd.date_range("2024-03-31", periods=2, freq="h", tz="Europe/Berlin")


def holds_itself() -> list[Any]:
    one: list[Any] = []
    one.append(one)
    return one


Made = Callable[[], Any]
ANSWERS: dict[str, tuple[Made, list[list[float]]]] = {
    "nullable integers": (lambda: pd.DataFrame({"a": pd.array([1, None], "Int64")}), [[1], [NAN]]),
    "nullable booleans": (lambda: pd.DataFrame({"a": pd.array([True, None], "boolean")}), [[1], [NAN]]),
    "arrow integers": (lambda: pd.DataFrame({"a": pd.array([1, None], "int64[pyarrow]")}), [[1], [NAN]]),
    "sparse": (lambda: pd.DataFrame({"a": pd.arrays.SparseArray([1.0, NAN])}), [[1], [NAN]]),
    "categories of numbers": (lambda: pd.DataFrame({"a": pd.Categorical([1.5, 2.5])}), [[1.5], [2.5]]),
    "texts that are numbers": (lambda: pd.DataFrame({"a": ["1.5", "NA"]}), [[1.5], [NAN]]),
    "decimals": (lambda: pd.DataFrame({"a": [decimal.Decimal("1.5"), None]}), [[1.5], [NAN]]),
    "objects that are numbers": (lambda: pd.DataFrame({"a": [1, 2.5]}, dtype=object), [[1], [2.5]]),
    "fractions": (lambda: pd.DataFrame({"a": [fractions.Fraction(1, 2), fractions.Fraction(3, 2)]}), [[0.5], [1.5]]),
    "big integers": (lambda: pd.DataFrame({"a": [10**30, 1]}), [[1e30], [1]]),
    "names that are no texts": (lambda: pd.DataFrame({1: [1.0], (2, "x"): [2.0], None: [3.0]}), [[1, 2, 3]]),
    "an index of several levels": (
        lambda: pd.DataFrame({"a": [1.0, 2.0]}, pd.MultiIndex.from_tuples([(0, "x"), (0, "y")])),
        [[1], [2]],
    ),
    "columns of several levels": (
        lambda: pd.DataFrame([[1.0, 2.0]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])),
        [[1, 2]],
    ),
    "polars decimals": (lambda: pl.DataFrame({"a": [decimal.Decimal("1.5"), None]}), [[1.5], [NAN]]),
    "polars categories": (lambda: pl.DataFrame({"a": pl.Series(["1", "2"], dtype=pl.Categorical)}), [[1], [2]]),
    "polars nothing": (lambda: pl.DataFrame({"a": [None, None], "b": [1.0, 2.0]}), [[NAN, 1], [NAN, 2]]),
    "polars 128 bits": (lambda: pl.DataFrame({"a": pl.Series([2**100, None], dtype=WIDE)}), [[float(2**100)], [NAN]]),
    "float16": (lambda: pd.DataFrame({"a": np.array([1, 2], np.float16)}), [[1], [2]]),
    "arrow in chunks": (lambda: pa.table({"a": pa.chunked_array([[1.0], [], [None]])}), [[1], [NAN]]),
    "a matrix": (lambda: np.array([[1, 2], [3, 4]]).view(), [[1, 2], [3, 4]]),
    "objects in an array": (lambda: np.array([[1, 2.5], [None, 3]], dtype=object), [[1, 2.5], [NAN, 3]]),
}
REFUSALS: dict[str, tuple[Made, str]] = {
    "texts": (lambda: pd.DataFrame({"a": ["x", "y"]}), "column 'a' must hold numbers, but row 1 holds 'x'"),
    "lists": (lambda: pd.DataFrame({"a": [[1], [2]]}), "column 'a' must hold numbers"),
    "dictionaries": (lambda: pd.DataFrame({"a": [{"x": 1}, {"x": 2}]}), "column 'a' must hold numbers"),
    "texts and numbers": (lambda: pd.DataFrame({"a": [1, "x"]}), "column 'a' must hold numbers, got cells of several kinds"),
    "objects": (lambda: pd.DataFrame({"a": [object(), object()]}), "column 'a' must hold numbers"),
    "complex": (lambda: pd.DataFrame({"a": [1j, 2j]}), "column 'a' must hold numbers"),
    "periods": (lambda: pd.DataFrame({"a": pd.period_range("2024", periods=2, freq="M")}), "column 'a' must hold numbers"),
    "intervals": (lambda: pd.DataFrame({"a": pd.interval_range(0, 2)}), "column 'a' must hold numbers"),
    "durations as a sensor": (lambda: pd.DataFrame({"b": [1.0, 2.0], "a": pd.to_timedelta([1, 2], "s")}), "column 'a' must hold numbers"),
    "bytes": (lambda: pd.DataFrame({"a": [b"1", b"2"]}), "column 'a' must hold numbers"),
    "names that are equal as texts": (lambda: pd.DataFrame({1: [1.0], "1": [2.0]}), "both called '1'"),
    "names that are empty": (lambda: pd.DataFrame({"": [1.0], "b": [2.0]}), "column 1 has no name"),
    "polars lists": (lambda: pl.DataFrame({"a": [[1], [2]]}), "column 'a' must hold numbers"),
    "polars structs": (lambda: pl.DataFrame({"a": [{"x": 1}]}), "column 'a' must hold numbers"),
    "polars arrays": (lambda: pl.DataFrame({"a": pl.Series([[1, 2]], dtype=pl.Array(pl.Int64, 2))}), "column 'a' must hold numbers"),
    "polars enums": (
        lambda: pl.DataFrame({"a": pl.Series(["x"], dtype=pl.Enum(["x"]))}),
        "column 'a' must hold numbers, but row 1 holds 'x'",
    ),
    "polars bytes": (lambda: pl.DataFrame({"a": [b"1"]}), "column 'a' must hold numbers"),
    "polars, no column": (pl.DataFrame, "no row of readings"),
    "a lazy frame that fails": (lambda: pl.DataFrame({"a": ["x"]}).lazy().select(pl.col("a").cast(pl.Int64)), "data: "),
    "a lazy frame of no such column": (lambda: pl.DataFrame({"a": [1]}).lazy().select("zz"), "data: "),
    "an index that falls": (lambda: pd.DataFrame({"a": [1.0, 2.0]}, STEPS[::-1]), "time does not rise from row 1"),
    "an index twice": (lambda: pd.DataFrame({"a": [1.0, 2.0]}, STEPS[[0, 0]]), "time does not rise from row 1"),
    "an array of four dimensions": (lambda: np.zeros((1, 1, 1, 1)), r"4 dimension\(s\)"),
    "an array of texts": (lambda: np.array([["x"]]), "not an array of numbers"),
    "an array of stamps": (lambda: np.array([["2024-01-01"]], "M8[s]"), "not an array of numbers|must be numbers"),
    "an array of records": (lambda: np.zeros((2, 1), [("a", float)]), "not an array of numbers"),
    "an array of lists": (lambda: np.array([[[1], "x"]], dtype=object), "not an array of numbers"),
    "a list that holds itself": (holds_itself, "expected a pandas or polars frame"),
    "a number": (lambda: 3, "expected a pandas or polars frame"),
    "a function": (lambda: print, "expected a pandas or polars frame"),
    "a stamp": (lambda: dt.datetime(2024, 1, 1, tzinfo=dt.UTC), "expected a pandas or polars frame"),
}
