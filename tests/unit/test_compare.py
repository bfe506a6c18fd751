"""Stored runs side by side: figures, differing settings, shared links, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcgnn.config import Config
from rcgnn.errors import InputError, RunDirError
from rcgnn.graph import LINK, CausalGraph
from rcgnn.health import Finding, GradHealth, GuardHealth, HealthRecord, LossHealth
from rcgnn.markdown import NOTHING
from rcgnn.report.compare import MEASURES, Run, differing, measured, overlaps, read_runs, short_names, warnings, who_has
from rcgnn.report.compare_page import SHOWN_PAIRS, draw_curves, page

NAMES = ("a", "b", "c")


def graph(*links: tuple[int, int, int], names: tuple[str, ...] = NAMES) -> CausalGraph:
    import numpy as np

    score = np.zeros((3, len(names), len(names)))
    verdict = np.zeros(score.shape, np.int8)
    for rank, key in enumerate(links):
        score[key], verdict[key] = 10.0 - rank, LINK
    return CausalGraph.of(names, score, verdict)


def record(epoch: int, loss: float, norm: float, clip: float, **more) -> HealthRecord:
    grad = GradHealth(raw_median=norm / 2, raw_max=norm, clip_share=clip, certificate=50.0)
    return HealthRecord(epoch=epoch, step=epoch, lr=1e-3 / epoch, seed=1, loss=LossHealth(train=loss, val=loss + 1), grad=grad, **more)


def run(name: str, *settings: str, links=(), records=None, findings=(), **summary) -> Run:
    told = [record(1, 9.0, 400.0, 1.0), record(2, 0.5, 3.0, 0.25)] if records is None else records
    return Run(name, Config().override(settings), {"data_digest": "x", **summary}, told, graph(*links), list(findings))


def figures(one: Run) -> dict[str, str]:
    return {row[0]: row[1] for row in measured([one])}


def test_figures_come_from_the_records():
    incidents = [record(1, 9.0, 400.0, 1.0, guard=GuardHealth(skipped_spike=2, rollbacks=1)), record(2, 0.5, 3.0, 0.25)]
    found = figures(run("one", records=incidents, links=[(1, 0, 1), (2, 0, 1), (0, 1, 2)], seconds={"train": 1.5, "screen": 2.0}))
    assert found["largest gradient norm"] == "400"
    assert found["median gradient norm"] == "100.8"
    assert found["share of steps clipped, first -> last epoch"] == "100.0% -> 25.0%"
    assert found["loss, first -> last epoch"] == "9 -> 0.5"
    assert found["held-out loss, first -> last"] == "10 -> 1.5"
    assert found["learning rate, first -> last epoch"] == "0.001 -> 0.0005"
    assert (found["links"], found["pairs"], found["seconds"]) == ("3", "2", "3.5")
    assert (found["steps skipped as spikes"], found["returns to a good state"]) == ("2", "1")


def test_a_run_without_a_network_says_nothing_about_training():
    found = figures(run("one", records=[], ranges={"a": [[0.0, 9.0], [-2.0, 3.0]], "b": [[0.0, 1.0], [None, None]]}))
    assert set(found) == set(MEASURES)
    assert {found[name] for name in MEASURES if "norm" in name or "loss" in name or "steps" in name} == {NOTHING}
    assert found["range of what is learned from"] == "-2 .. 3"


def test_the_range_that_training_saw_goes_before_the_range_after_scaling():
    seen = [record(1, 1.0, 1.0, 0.0, data={"input_low": 0.0, "input_high": 2775.0})]
    assert figures(run("one", records=seen, ranges={"a": [[0.0, 9.0], [-2.0, 3.0]]}))["range of what is learned from"] == "0 .. 2775"


def test_findings_that_act_are_named_once():
    told = [Finding(code="SPIKE", severity=severity, message="m") for severity in ("act", "act", "info")]
    told.append(Finding(code="INPUT", severity="info", message="m"))
    assert figures(run("one", findings=told))["findings that act or stop"] == "SPIKE"
    assert figures(run("one"))["findings that act or stop"] == "none"


def test_only_settings_that_differ_are_shown():
    rows = differing([run("one", "train.lr=1e-3"), run("two", "train.lr=1e-4"), run("three", "train.lr=1e-3")])
    assert rows == [["train.lr", "0.001", "0.0001", "0.001"]]
    assert differing([run("one"), run("two")]) == []


def test_overlap_and_who_has_a_pair():
    one, two = run("one", links=[(1, 0, 1), (2, 0, 1), (1, 1, 2)]), run("two", links=[(2, 0, 1), (0, 2, 0)])
    assert overlaps([one, two]) == [["one", "1.00", "0.33"], ["two", "0.33", "1.00"]]
    assert overlaps([run("x"), run("y")])[0] == ["x", "1.00", "1.00"]
    assert who_has([one, two]) == [["a", "b", "lag 1", "lag 2"], ["b", "c", "lag 1", NOTHING], ["c", "a", NOTHING, "lag 0"]]


def test_what_cannot_be_compared_is_said():
    assert warnings([run("one"), run("two")]) == []
    other_table, other_loss = run("two", data_digest="y"), run("three", "losses.sparse=2")
    assert warnings([run("one"), other_table]) == ["The runs read different tables."]
    assert len(warnings([run("one"), other_table, other_loss])) == 2


def test_names_are_as_short_as_they_are_unmistakable():
    assert short_names([Path("x/p/run"), Path("x/q/run"), Path("x/q/other")]) == ["p/run", "q/run", "q/other"]


def test_one_run_twice_or_alone_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected at least 2 run folders, got 1"):
        read_runs([tmp_path])
    with pytest.raises(InputError, match="was given twice"):
        read_runs([tmp_path, tmp_path / "." / ""])
    with pytest.raises(RunDirError, match="holds no run"):
        read_runs([tmp_path, tmp_path.parent])


def test_the_page_shows_everything_and_says_what_it_left_out(tmp_path):
    names = tuple(f"s{n}" for n in range(9))
    many = [(1, i, j) for i in range(9) for j in range(9) if i != j]
    dense = Run("dense", Config().override(["train.lr=0.1"]), {}, [record(1, 2.0, 3.0, 0.0)], graph(*many, names=names), [])
    sparse = Run("sparse", Config(), {}, [], graph((1, 0, 1), names=names), [])
    draw_curves(tmp_path / "curves.svg", [dense, sparse])
    assert "<svg" in (tmp_path / "curves.svg").read_text(encoding="utf-8")
    text = page([dense, sparse], "curves.svg", "rcgnn compare dense sparse")
    assert "](curves.svg)" in text
    assert "| train.lr | 0.1 | 0.005 |" in text
    assert "| s0 | s1 | lag 1 | lag 1 |" in text
    assert f"... and {len(many) - SHOWN_PAIRS} more." in text
    assert "No run found a link." in page([run("x"), run("y")], None, "c")
    assert "svg" not in page([run("x"), run("y")], None, "c")
