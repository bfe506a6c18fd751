"""docs/results.md holds what the dated files of benchmarks/results hold: no row of figures is its own."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
FILES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks" / "results").glob("*.md")}


def rows(text: str) -> list[str]:
    """Rows of tables that hold figures."""
    return [line for line in text.splitlines() if line.startswith("|") and re.search(r"\d\.\d", line)]


def test_every_row_of_figures_stands_in_a_dated_file():
    written = [row.strip("| ") for text in FILES.values() for row in rows(text)]
    shown = [row.strip("| ") for row in rows(PAGE)]
    assert len(shown) > 60
    assert not [row for row in shown if not any(known.startswith(row) for known in written)]


def test_every_cell_where_a_peer_is_ahead_is_shown():
    behind = [row for row in rows(FILES["2026-11-25-accuracy-peers.md"]) if re.search(r"\| -0\.\d+ \|$", row)]
    assert len(behind) >= 7
    assert not [row for row in behind if row not in PAGE]


def test_files_that_are_named_exist():
    named = set(re.findall(r"`(?:benchmarks/results/)?(\d{4}-\d\d-\d\d-[\w-]+\.md)`", PAGE))
    assert named
    assert named <= set(FILES)
