"""The benchmark scripts run, write what they say, and do not compute a result twice."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(script, *args, code=0):
    done = subprocess.run([sys.executable, BENCHMARKS / script, *map(str, args)], check=False, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture
def cases(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    spec = importlib.util.spec_from_file_location("cases", BENCHMARKS / "cases.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "cases", module)
    spec.loader.exec_module(module)
    return module


def test_floor_writes_its_table_and_goes_on_where_it_stopped(tmp_path):
    out, cache = tmp_path / "floor.md", tmp_path / "cache.jsonl"
    small = ("--families", "linear", "--cells", "clean", "--rows", 300, "--sensors", 4, "--seeds", "1:2", "--jobs", 1, "--cache", cache)
    first = run("floor.py", *small, "--methods", "granger,empty", "--out", out)
    assert "0 of 2 results" in first.stderr
    text = out.read_text(encoding="utf-8")
    assert "| granger | 1 |" in text
    assert "torch" in text
    assert "--rows 300" in text
    with cache.open("a", encoding="utf-8") as file:
        file.write('{"key": "cut off')
        file.write("\n")
    second = run("floor.py", *small, "--methods", "granger,empty,rcgnn", "--refine", "off", "--out", out)
    assert "2 of 3 results" in second.stderr
    assert "mean AUPRC" in out.read_text(encoding="utf-8")


def test_ablation_changes_one_thing_at_a_time(tmp_path):
    out = tmp_path / "ablation.md"
    run("ablation.py", "--seeds", "1:2", "--rows", 120, "--variants", "basis linear", "--jobs", 1, "--out", out)
    rows = [line for line in out.read_text(encoding="utf-8").splitlines() if line.startswith("| basis linear |")]
    assert len(rows) == 2


def test_real_table_is_skipped_with_a_reason(tmp_path):
    assert run("air_quality.py", "--data", tmp_path / "absent.csv").stdout.startswith("skipped: absent.csv is not there")


def test_seeds_are_a_range_or_a_list(cases):
    assert cases.seeds("9000:9003") == [9000, 9001, 9002]
    assert cases.seeds("5,1") == [5, 1]


def test_a_method_that_fails_is_counted_not_hidden(cases):
    job = cases.Job("linear", "clean", 1, "granger", 60, 4, max_lag=0)
    line = cases.run_job(job)
    assert line["error"].startswith("ConfigError: baseline: max_lag")
    means = cases.summary([line])
    assert (means["runs"], means["failed"], means["F1"]) == (1, 1, None)


def test_a_result_belongs_to_its_source_code_and_settings(cases):
    one = cases.Job("linear", "clean", 1, "rcgnn", settings=("select.refine=off",), label="a")
    same = cases.Job("linear", "clean", 1, "rcgnn", settings=("select.refine=off",), label="b")
    other = cases.Job("linear", "clean", 1, "rcgnn")
    assert one.key("x") == same.key("x")
    assert len({one.key("x"), one.key("y"), other.key("x")}) == 3
    assert json.loads(one.key("x"))["system"] == "linear"


def test_precision_and_false_discoveries_of_an_empty_answer(cases):
    nothing = {"links_true": 3, "links_found": 0, "undecided": 0, "precision": None, "recall": 0.0, "f1": 0.0, "auprc": 0.1}
    wrong = {**nothing, "links_found": 4, "precision": 0.25}
    means = cases.summary([{"error": None, "seconds": 1.0, "scores": {"summary": s}} for s in (nothing, wrong)])
    assert means["precision"] == 0.25
    assert means["FDR"] == pytest.approx(0.375)
