"""How large a table may be: asked before memory is filled, over all tables together."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from hostile.binaries import NUMPY
from hostile.texts import PACKED
from rcgnn.data import limits
from rcgnn.data.limits import MOST_CELLS, Limit
from rcgnn.data.readers import read_table, read_tables
from rcgnn.errors import InputError, TableError

AB = "a,b\n1,2\n3,4\n"


def test_the_default_follows_memory(monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda: 6_400_000)
    assert Limit.of(None).cells == 100_000
    monkeypatch.setattr(limits, "memory", lambda: 10**15)
    assert Limit.of(None).cells == MOST_CELLS


@pytest.mark.parametrize("given", [0, -5, 2.5, True, "7"])
def test_a_limit_is_a_whole_number_of_at_least_one(given, tmp_path):
    with pytest.raises(InputError, match="max_cells: expected a whole number of at least 1, got"):
        read_table(tmp_path / "any.csv", max_cells=given)


def test_the_limit_holds_for_all_tables_together(tmp_path):
    paths = [tmp_path / f"data_{k}.csv" for k in range(3)]
    for path in paths:
        path.write_text(AB)
    assert read_tables(paths, max_cells=12).values.size == read_table(tmp_path, max_cells=12).values.size == 12
    for read in (lambda: read_tables(paths, max_cells=11), lambda: read_table(tmp_path, max_cells=11)):
        with pytest.raises(
            TableError, match=r"data_2\.csv: expected at most 11 cells in all tables together, of which 8 are taken, got 2 rows x 2"
        ):
            read()


def test_the_origins_folder_is_limited_too(tmp_path):
    np.save(tmp_path / "X.npy", np.ones((4, 2)))
    np.save(tmp_path / "M.npy", np.ones((5, 2)))
    with pytest.raises(TableError, match="expected at most 7 cells, got 4 rows x 2 columns = 8"):
        read_table(tmp_path, max_cells=7)
    with pytest.raises(TableError, match="mask: expected at most 9 cells, got 5 rows x 2 columns"):
        read_table(tmp_path, max_cells=9)


@pytest.mark.parametrize("bomb", [*(PACKED[f"gzip bomb of {what}"] for what in ("cells", "one cell")), NUMPY["npz, a bomb that tells"]])
def test_a_bomb_is_refused_before_memory_is_filled(bomb, tmp_path):
    path = bomb.write(tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(TableError, match="expected at most"):
            read_table(path, **bomb.options)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
