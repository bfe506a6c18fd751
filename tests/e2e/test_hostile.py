"""Strange tables through the whole command line: exit code 0 or 2, one sentence, never a traceback."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("words", "reads"),
    [(("fit", "{table}", "--out", "{out}"), "fit"), (("sweep", "{table}", "--out", "{out}", "--set", "train.lr=1e-3,1e-2"), "sweep")],
)
def test_a_table_above_max_cells_ends_with_2_and_writes_nothing(rcgnn, table, tmp_path, words, reads):
    out = tmp_path / "out"
    done = rcgnn(*(word.format(table=table, out=out) for word in words), "--max-cells", 1799)
    assert done.code == 2, reads
    assert "table.csv: expected at most 1,799 cells, got 300 rows x 6 columns = 1,800; leave out" in done.err
    assert not out.exists()
