"""Which file of a folder is read, in which order, and what a file is called."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rcgnn.data.readers import read_table, read_tables
from rcgnn.errors import TableError


def put(folder, **files: int) -> None:
    """Tables of one row and one column `a`, by the name of the file: `data_1_csv=3` writes 3 into data_1.csv."""
    for name, value in files.items():
        stem, suffix = name.rsplit("_", 1)
        (folder / f"{stem}.{suffix}").write_text(f"a\n{value}.5\n", encoding="utf-8")


def values(folder) -> list[float]:
    return read_table(folder).values.ravel().tolist()


def test_tables_called_data_are_read_and_others_left(tmp_path):
    put(tmp_path, notes_csv=1, data_2_csv=2, data_10_csv=10, data_txt=3)
    assert values(tmp_path) == [3.5, 2.5, 10.5]


def test_without_one_called_data_every_table_is_read_but_notes_and_arrays(tmp_path):
    put(tmp_path, b2_csv=2, b10_csv=10, a_tsv=1, readme_txt=99)
    np.save(tmp_path / "weights.npy", np.ones((2, 1)))
    assert values(tmp_path) == [1.5, 2.5, 10.5]


def test_truth_and_hidden_files_are_never_read(tmp_path):
    put(tmp_path, a_csv=1, my_truth_csv=9, Truth_csv=9, A_true_csv=9, A_true_2_csv=9)
    (tmp_path / "._a.csv").write_text("a\n9\n", encoding="utf-8")
    (tmp_path / "b.csv").mkdir()
    assert values(tmp_path) == [1.5]


def test_what_was_read_is_told_in_the_source(tmp_path):
    put(tmp_path, a_csv=1, b_csv=2, c_csv=3)
    paths = [tmp_path / f"{name}.csv" for name in "abc"]
    assert read_tables(paths).source == f"{paths[0]} and 2 more"
    assert read_tables(paths[:1]).source == read_tables(str(paths[0])).source == str(paths[0])
    assert read_tables(paths).recording.tolist() == [0, 1, 2]


def test_one_marker_of_missing_cells_may_be_given_alone(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n-99,2\n9,3\n", encoding="utf-8")
    assert read_table(tmp_path / "t.csv", na="-99").mask.tolist() == [[False, True], [True, True]]
    assert read_tables([tmp_path / "t.csv"], na="-99").mask.tolist() == [[False, True], [True, True]]


def test_the_index_of_a_frame_comes_first_only_where_it_was_stored(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    frame.to_parquet(tmp_path / "plain.parquet")
    assert read_table(tmp_path / "plain.parquet").names == ("a", "b")
    frame.index = pd.date_range("2024-01-01", periods=2, freq="h", name="when")
    frame.to_parquet(tmp_path / "timed.parquet")
    series = read_table(tmp_path / "timed.parquet")
    assert (series.names, np.diff(series.time).tolist()) == (("a", "b"), [3600.0])


def test_a_damaged_file_is_told_with_what_its_library_says(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(TableError, match=r"t\.parquet: cannot be read as parquet \(\w.+\); is the file complete\?$"):
        read_table(tmp_path / "t.parquet")


@pytest.mark.parametrize("name", ["t.csv.bak", "t.gz", "csv", "t.parquet2"])
def test_only_known_ends_of_names_are_read(tmp_path, name):
    (tmp_path / name).write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"must end in one of \.csv, "):
        read_table(tmp_path / name)
