"""A core of the stress matrix: the cells that are hardest on the program, one or two an axis. All of it: `make stress`."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

stress, stress_cells = (importlib.import_module(name) for name in ("stress", "stress_cells"))
CORE = (
    "auto/scale/float limits/linear/1/200x5",
    "auto/scale/mixed/nonlinear/2/200x5",
    "auto/columns/all missing everywhere/linear/1/200x5",
    "auto/columns/duplicate/linear/1/200x5",
    "auto/columns/all constant/linear/1/200x5",
    "auto/outliers/1 % at 1e15 sd/linear/1/200x5",
    "auto/outliers/infinite/linear/1/200x5",
    "auto/missing/MCAR 90%/linear/11/120x8",
    "auto/missing/MNAR 70%/linear/1/200x5",
    "auto/missing/outage 40%/lorenz96/3/200x5",
    "auto/noise/Cauchy/linear/1/200x5",
    "auto/noise/rare counts/linear/1/200x5",
    "auto/noise/binary/linear/1/200x5",
    "auto/process/double roots/linear/1/200x5",
    "auto/process/exponential/linear/1/200x5",
    "auto/links/ring/linear/1/200x5",
    "auto/size/T 5, d 13/linear/1/5x13",
    "auto/size/T 20, d 50/linear/1/20x50",
    "auto/rate/lr x 10000/linear/1/200x5",
    "auto/batch/1/linear/1/200x5",
    "auto/alike/units/linear/1/200x5",
    "auto/alike/columns/lorenz96/3/200x5",
    "origin-after/scale/x 1e+6/linear/1/200x5",
)
CELLS = {cell.key: cell for cell in stress_cells.cells()}


def test_every_cell_has_a_key_of_its_own():
    assert len(CELLS) == len(stress_cells.cells())
    assert sum(cell.recipe == "auto" for cell in CELLS.values()) >= 400


@pytest.mark.parametrize("key", CORE)
def test_nothing_is_wrong(key):
    line = stress.run(CELLS[key])
    assert line["wrong"] == []
    assert line["verdict"]


def test_a_learning_rate_out_of_all_reason_ends_with_a_verdict():
    line = stress.run(CELLS["auto/rate/lr x 10000/linear/1/200x5"])
    assert line["verdict"] == "refinement failed: UPDATE_RATIO"
    assert line["ratio"] is None or line["ratio"] <= 1


def test_what_is_wrong_is_seen(monkeypatch):
    """A step that leaves NaN behind, an exception, another graph: each must be told."""
    from rcgnn.train.step import Stepper

    cell = CELLS["auto/batch/all/linear/1/200x5"]
    take = Stepper.take

    def spoiling(stepper, batch):
        action = take(stepper, batch)
        stepper.optimizer.mean.fill_(float("nan"))
        return action

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "take", spoiling)
        assert any("not finite after" in what for what in stress.run(cell)["wrong"])
    with monkeypatch.context() as patch:
        patch.setattr(stress, "table", lambda _cell: 1 / 0)
        assert stress.run(cell)["wrong"] == ["exception ZeroDivisionError: division by zero"]
    with monkeypatch.context() as patch:
        patch.setitem(stress_cells.ALIKE, "units", lambda x, _draw: np.roll(x, 1, axis=1))
        assert "verdicts differ" in stress.run(CELLS["auto/alike/units/linear/1/200x5"])["wrong"][0]


def test_the_script_goes_on_where_it_stopped_and_writes_the_page(tmp_path):
    store, out = tmp_path / "cells.jsonl", tmp_path / "stress.md"
    command = [sys.executable, BENCHMARKS / "stress.py", "--only", "columns/all constant/linear/1/", "--jobs", "1"]
    said = [subprocess.run([*command, "--store", store, "--out", out], check=True, capture_output=True, text=True).stderr for _ in range(2)]
    assert "[1/3]" in said[0]
    assert "[1/3]" not in said[1]
    lines = [json.loads(text) for text in store.read_text(encoding="utf-8").splitlines()]
    assert {line["recipe"] for line in lines} == set(stress_cells.RECIPES)
    assert "3 of 3 cells were run, 1 of them with recipe auto" in out.read_text(encoding="utf-8")
