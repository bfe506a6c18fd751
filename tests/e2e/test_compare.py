"""`rcgnn compare` through the real door."""

from __future__ import annotations

import pytest

from rcgnn.report import picture


@pytest.fixture
def two(rcgnn, table, tmp_path):
    """Two runs of the fake estimator on one table."""
    for name, lr in (("one", "1e-3"), ("two", "1e-4")):
        assert rcgnn("fit", table, "--out", tmp_path / name, "--set", f"train.lr={lr}", "--quiet").code == 0
    return tmp_path / "one", tmp_path / "two"


def test_two_runs_side_by_side(rcgnn, two, tmp_path):
    done = rcgnn("compare", *two, "--out", tmp_path / "pages" / "compared.md")
    assert done.code == 0, done.err
    assert "train.lr  0.001  0.0001" in done.out
    assert "largest gradient norm" in done.out
    text = (tmp_path / "pages" / "compared.md").read_text(encoding="utf-8")
    assert "| train.lr | 0.001 | 0.0001 |" in text
    assert "](compared.svg)" in text
    assert (tmp_path / "pages" / "compared.svg").read_bytes().startswith(b"<?xml")


def test_without_matplotlib_the_page_comes_without_curves(rcgnn, two, tmp_path, monkeypatch):
    monkeypatch.setattr(picture, "available", lambda: False)
    done = rcgnn("compare", *two, "--out", tmp_path / "compared.md")
    assert done.code == 0
    assert picture.INSTALL in done.out
    assert ".svg" not in (tmp_path / "compared.md").read_text(encoding="utf-8")


def test_what_cannot_be_compared_is_one_sentence_and_exit_2(rcgnn, two, tmp_path):
    for words in ([two[0]], [two[0], two[0]], [two[0], tmp_path / "nowhere"]):
        done = rcgnn("compare", *words)
        assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    (two[1] / "graph.json").unlink()
    done = rcgnn("compare", *two)
    assert done.code == 2
    assert "graph.json is missing" in done.err
    blocked = tmp_path / "file"
    blocked.write_text("x", encoding="utf-8")
    (two[1] / "graph.json").write_bytes((two[0] / "graph.json").read_bytes())
    done = rcgnn("compare", *two, "--out", blocked / "page.md")
    assert done.code == 2
    assert "cannot be written" in done.err
