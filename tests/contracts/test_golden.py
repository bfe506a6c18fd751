"""No change means the same numbers: loss curve, links and evidence of fixed seeds, stored in golden.json.

A refactoring leaves this test alone. A change that is meant to move the numbers renews them, in the same commit as the
benchmark row that says why:

    RCGNN_RENEW_GOLDEN=1 make golden

Tolerances let another CPU, another BLAS and another number of threads pass: they reorder sums, and training repeats the
difference a few hundred times.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.pipeline import Fit, fit_series
from rcgnn.series import Series
from rcgnn.synth import simulate

FILE = Path(__file__).with_name("golden.json")
RENEW = os.environ.get("RCGNN_RENEW_GOLDEN") == "1"
RTOL = 1e-3


def gappy(name: str, seed: int, missing: float) -> Series:
    clean = simulate(name, seed=seed, rows=500, sensors=5).series
    return Series.of(np.where(np.random.default_rng(seed).random(clean.shape) < missing, np.nan, clean.values), names=clean.names)


def fit(series: Series, *settings: str) -> Fit:
    return fit_series(series, Config().override(["device=cpu", "seed=1337", "select.halves=4", *settings]))


def answer(name: str, seed: int, missing: float) -> dict[str, Any]:
    """Links of a fit without network, and the evidence of each."""
    graph = fit(gappy(name, seed, missing), "select.refine=off").graph
    return {
        "links": [[graph.names[i], graph.names[j], k] for k, i, j in sorted(graph.links())],
        "score": [round(float(graph.score[key]), 4) for key in sorted(graph.links())],
        "strength": [round(float(graph.strength[key]), 6) for key in sorted(graph.links())],
    }


def training() -> dict[str, Any]:
    """Loss curve of a short training run, and what its links are worth."""
    done = fit(gappy("nonlinear", 1, 0.05), "select.refine=on", "train.epochs=4", "train.eval_every=1")
    return {
        "train": [r.loss.train for r in done.records],
        "val": [r.loss.val for r in done.records],
        "lr": [r.lr for r in done.records],
        "gain": sorted((round(float(g), 6) for g in done.refined.gain[done.graph.summary]), reverse=True),
    }


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "linear": lambda: answer("linear", 0, 0.0),
    "linear, a fifth missing": lambda: answer("linear", 1, 0.2),
    "non-linear": lambda: answer("nonlinear", 0, 0.0),
    "training": training,
}


def same(found: Any, stored: Any, where: str) -> None:
    """Numbers within `RTOL`, everything else equal."""
    if isinstance(stored, dict):
        assert found.keys() == stored.keys(), where
        for name in stored:
            same(found[name], stored[name], f"{where} / {name}")
    elif isinstance(stored, list) and stored and all(isinstance(x, float) for x in stored):
        np.testing.assert_allclose(found, stored, rtol=RTOL, atol=RTOL * 0.1, err_msg=f"{where}: renew it only if this change was meant")
    else:
        assert found == stored, f"{where}: renew it only if this change was meant"


@pytest.mark.parametrize("case", CASES)
def test_golden(case):
    found = CASES[case]()
    every = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    if RENEW:
        kept = {name: every[name] for name in CASES if name in every}
        FILE.write_text(json.dumps(kept | {case: found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return
    assert case in every, f"{FILE.name} has no {case!r}: run RCGNN_RENEW_GOLDEN=1 make golden"
    same(found, every[case], case)


def test_nothing_is_stored_that_is_not_tested():
    assert set(json.loads(FILE.read_text(encoding="utf-8"))) == set(CASES)


@pytest.mark.parametrize("change", [1.002, 0.998])
def test_a_moved_number_is_noticed(change):
    with pytest.raises(AssertionError):
        same({"train": [1.0 * change]}, {"train": [1.0]}, "case")
    with pytest.raises(AssertionError):
        same({"links": [["a", "b", 1]]}, {"links": [["a", "b", 2]]}, "case")
