"""docs/benchmarks.md names every suite, every entry of a suite file, every column and every file of the results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from rcgnn.bench.conduct import LINKS, REPORT, RESULTS, RUNS
from rcgnn.bench.rows import LINK, RESULT
from rcgnn.bench.suite import Block, Suite, read_suite

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def first_cells(heading: str) -> set[str]:
    """What stands in backticks in the first cells of the tables under a heading."""
    part = re.search(rf"^## {re.escape(heading)}$\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert part, heading
    return {name for row in re.findall(r"^\| ([^|]*) \|", part[1], re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)}


def test_every_suite_is_in_the_table():
    assert first_cells("Suites") == {path.stem for path in (ROOT / "benchmarks" / "suites").glob("*.yaml")}


@pytest.mark.parametrize(("heading", "columns"), [("results.parquet", RESULT), ("links.parquet", LINK)])
def test_every_column_is_explained(heading, columns):
    assert first_cells(heading) == set(columns)


def test_every_entry_of_a_suite_file_is_explained():
    assert first_cells("Your own suite in a minute") == set(Suite.model_fields) | set(Block.model_fields)


def test_every_file_is_named():
    assert {REPORT, RESULTS, LINKS, RUNS} <= first_cells("A run")


def test_the_suite_shown_is_one(tmp_path):
    [shown] = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "shown.yaml").write_text(shown, encoding="utf-8")
    assert read_suite(tmp_path / "shown.yaml").about == yaml.safe_load(shown)["about"]
