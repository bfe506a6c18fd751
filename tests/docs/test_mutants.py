"""The mutation check finds its files: it runs too seldom to notice a renamed one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GROUPS = tomllib.loads((ROOT / "scripts" / "mutants.toml").read_text(encoding="utf-8"))["groups"]
TESTS_OF = {source: tests for sources in GROUPS.values() for source, tests in sources.items()}


@pytest.mark.parametrize("source", TESTS_OF)
def test_a_file_that_is_changed_is_there_with_tests_of_its_own(source):
    assert (ROOT / "src" / "rcgnn" / source).is_file()
    assert TESTS_OF[source]
    assert [name for name in TESTS_OF[source] if not (ROOT / "tests" / name).is_file()] == []


def test_the_core_is_checked():
    assert {"losses", "guard", "verdict", "readers"} <= set(GROUPS)
    terms = {f"losses/{file.name}" for file in (ROOT / "src" / "rcgnn" / "losses").glob("*.py")} - {"losses/__init__.py"}
    assert terms == set(GROUPS["losses"])
