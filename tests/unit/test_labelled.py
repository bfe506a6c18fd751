"""Tables of other libraries: xarray, DuckDB, files and folders; all become the series that a frame gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from rcgnn.data.frames import to_series
from rcgnn.errors import TableError

HOURS = pd.date_range("2024-03-01", periods=4, freq="h")
FRAME = pd.DataFrame({"flow": [1.0, 2.0, 3.0, 5.0], "level": [4.0, np.nan, 6.0, 7.0]}, index=HOURS.rename("when"))


@pytest.fixture(scope="module")
def xr():
    return pytest.importorskip("xarray", reason="xarray is not installed")


def same(found, expected) -> None:
    assert found.names == expected.names
    assert np.array_equal(found.values, expected.values, equal_nan=True)
    assert np.array_equal(found.time, expected.time)


def test_dataset_and_array_either_way_round_give_the_series_of_the_frame(xr):
    expected, dataset = to_series(FRAME), FRAME.to_xarray()
    same(to_series(dataset), expected)
    array = dataset.to_dataarray("sensor")
    assert array.dims == ("sensor", "when")
    same(to_series(array), expected)
    same(to_series(array.transpose()), expected)
    assert to_series([dataset, dataset]).recording.tolist() == [0] * 4 + [1] * 4


def test_a_further_dimension_spreads(xr):
    values = np.arange(8.0).reshape(4, 2)
    data = xr.Dataset({"flow": (("time", "station"), values), "t": ("time", values[:, 0])}, {"time": HOURS, "station": ["a", "b"]})
    s = to_series(data)
    assert s.names == ("flow[a]", "flow[b]", "t")
    assert s.values[:, 1].tolist() == values[:, 1].tolist()
    assert to_series(xr.DataArray(values, dims=("time", "x"))).names == ("0", "1")


def test_time_of_numbers_and_named_time(xr):
    data = xr.Dataset({"flow": ("tick", [1.0, 2.0])}, {"tick": [3.0, 7.0]})
    assert to_series(data, time="tick").time.tolist() == [3, 7]
    assert to_series(data).time is None


def test_what_cannot_be_laid_out_is_told(xr):
    cube = xr.DataArray(np.zeros((2, 3, 4)), dims=("time", "x", "y"))
    with pytest.raises(TableError, match="at most one more"):
        to_series(cube)
    with pytest.raises(TableError, match="which of the dimensions a, b is the time"):
        to_series(xr.DataArray(np.zeros((2, 3)), dims=("a", "b")))
    with pytest.raises(TableError, match="no dimension 'when'"):
        to_series(cube, time="when")
    with pytest.raises(TableError, match="both be called 'a'"):
        to_series(xr.DataArray(np.zeros((2, 2)), dims=("time", "x"), coords={"x": ["a", "a"]}))
    with pytest.raises(TableError, match=r"rows x sensors|no column"):
        to_series(xr.Dataset(coords={"time": HOURS}))


def test_duckdb_relation(tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    FRAME.reset_index().to_parquet(tmp_path / "plant.parquet", index=False)
    same(to_series(duckdb.read_parquet(str(tmp_path / "plant.parquet"))), to_series(FRAME))
    chosen = duckdb.read_parquet(str(tmp_path / "plant.parquet")).filter("level > 4").select("flow", "level")
    assert to_series(chosen).values.tolist() == [[3, 6], [5, 7]]


def test_paths_of_files_and_folders_of_parquet(tmp_path):
    for part, rows in enumerate((slice(0, 2), slice(2, 4))):
        pl.from_pandas(FRAME.reset_index()[rows]).write_parquet(tmp_path / f"part-{part}.parquet")
    files = sorted(tmp_path.iterdir())
    whole = to_series(tmp_path)
    assert whole.recording.tolist() == [0, 0, 1, 1]
    assert np.array_equal(whole.values, FRAME.to_numpy(), equal_nan=True)
    assert to_series(str(files[0])).shape == (2, 2)
    assert to_series([files[1], FRAME]).shape == (6, 2)
    with pytest.raises(TableError, match="no such file"):
        to_series(str(tmp_path / "none.csv"))
