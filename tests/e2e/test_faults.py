"""Every injected fault is named by its rule and leaves the answer as it was; nothing else is said about a healthy run."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.pipeline import Fit, fit_series
from rcgnn.synth import simulate
from rcgnn.train.step import Stepper

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from faults import FAULTS, injected

SETTINGS = ["train.epochs=10", "train.batch=4", "train.eval_every=1", "data.window=12", "select.halves=2", "select.shifted_copies=3"]
CONFIG = Config().override(["select.refine=on", "signal.smooth=off", *SETTINGS])


def fit() -> Fit:
    return fit_series(simulate("linear", seed=1, rows=200, sensors=4).series, CONFIG)


@cache
def undisturbed() -> Fit:
    return fit()


def codes(done: Fit) -> set[str]:
    return {finding.code for record in done.records for finding in record.diagnoses}


def test_a_healthy_run_is_told_nothing():
    assert codes(undisturbed()) == set()


@pytest.mark.parametrize("step", [3, 14])
@pytest.mark.parametrize("name", FAULTS)
def test_the_rule_names_the_fault_and_the_answer_stays(name, step):
    with injected(name, step):
        done = fit()
    assert FAULTS[name].code in codes(done)
    assert np.array_equal(done.graph.verdict, undisturbed().graph.verdict)
    assert np.array_equal(done.graph.strength, undisturbed().graph.strength)
    assert all(np.isfinite(weight).all() for weight in done.state.values())
    assert done.refined.failed is None


@pytest.mark.parametrize("name", ["dead_sensor", "unit_change"])
def test_a_changed_feed_names_the_sensor(name):
    with injected(name, 6):
        done = fit()
    found = [finding for record in done.records for finding in record.diagnoses if finding.code == "INPUT"]
    assert {finding.sensor for finding in found} == {done.graph.names[0]}


def test_what_was_wrapped_is_as_before():
    take = Stepper.take
    with injected("gradient_nan", 0):
        assert Stepper.take is not take
    assert Stepper.take is take
