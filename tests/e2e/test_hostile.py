"""Strange tables through the whole command line: exit code 0 or 2, one sentence, never a traceback."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from typer.testing import CliRunner

from hostile.absurd import ABSURD, NAMES, SMALL_FIT, as_csv, noise
from hostile.judge import deadline
from hostile.strategies import absurd_tables
from rcgnn.cli.app import app
from rcgnn.rundir import RunDir


def fitted(folder: Path, text: str) -> int:
    """Exit code of a fit of this table; a run that is said to be there is there."""
    (folder / "table.csv").write_text(text, encoding="utf-8")
    out = folder / "run"
    words = ["fit", str(folder / "table.csv"), "--out", str(out), "--overwrite", "--quiet", *SMALL_FIT]
    with deadline(60), warnings.catch_warnings():
        warnings.simplefilter("error")
        done = CliRunner().invoke(app, words)
    assert done.exit_code in (0, 2), done.output
    if done.exit_code == 0:
        assert RunDir.open(out).summary()["conclusion"]
    return done.exit_code


@pytest.mark.parametrize("name", ABSURD)
def test_a_table_that_makes_no_sense_is_fitted(name, tmp_path):
    assert fitted(tmp_path, as_csv(ABSURD[name]())) == 0


def test_names_that_could_be_taken_for_something_else(tmp_path):
    assert fitted(tmp_path, as_csv(noise(60, len(NAMES)), NAMES)) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "table.csv"]


def test_a_table_that_lies_on_its_side_is_refused(tmp_path):
    """Three rows of 1,200 sensors would leave 5.8 million questions open, each with its reason."""
    assert fitted(tmp_path, as_csv(noise(3, 1200))) == 2


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=absurd_tables())
def test_any_table_that_makes_no_sense(tmp_path_factory, text):
    fitted(tmp_path_factory.mktemp("absurd"), text)


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
