"""Whatever is in a file: an answer that agrees with itself, or one sentence. `make hostile` runs many more of these."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from hostile.judge import ANSWER, judged
from hostile.strategies import File, spoken_settings, table_files, yaml_files
from rcgnn.config import Config
from rcgnn.data.readers import read_table
from rcgnn.prior import Prior

few = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("any")


def read_file(folder: Path, file: File) -> str:
    path = folder / file.name
    path.write_bytes(file.content)
    return judged(lambda: read_table(path, **file.options))


def read_settings(folder: Path, content: bytes) -> list[str]:
    path = folder / "settings.yaml"
    path.write_bytes(content)
    return [
        judged(lambda: Prior.given(Config.load(path), ("a", "b"))),
        judged(lambda: Prior.given(Config.assemble(None, [], path), ("a", "b"))),
    ]


@few
@given(file=table_files())
def test_any_table(folder, file):
    read_file(folder, file)


@few
@given(content=yaml_files())
def test_any_settings_and_prior_knowledge(folder, content):
    read_settings(folder, content)


@few
@given(said=spoken_settings())
def test_any_set_option(said):
    judged(lambda: Config.assemble(None, said))


def test_whole_tables_are_among_them(folder):
    """The strategies reach answers, and a judge that sees nothing would not be noticed otherwise."""
    seen: list[str] = []

    @settings(max_examples=100, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(file=table_files())
    def look(file: File) -> None:
        seen.append(read_file(folder, file))

    look()
    assert 10 < seen.count(ANSWER) < 90
