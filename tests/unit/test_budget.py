"""A budget of time: what is left, what was left out, and an answer whatever happens."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.budget import CUT, Budget
from rcgnn.config import Config
from rcgnn.delay import span_seconds
from rcgnn.errors import ConfigError
from rcgnn.health import silent
from rcgnn.pipeline import Fit, fit_series
from rcgnn.series import Series
from rcgnn.synth import simulate


class Watch:
    """A clock that is set by hand, or moves on by so much at every look."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def gappy() -> Series:
    clean = simulate("nonlinear", seed=3, rows=400, sensors=4).series
    return Series.of(np.where(np.random.default_rng(3).random(clean.shape) < 0.1, np.nan, clean.values), names=clean.names)


def fit(budget: Budget | None) -> Fit:
    settings = ["device=cpu", "select.halves=4", "select.refine=on", "train.epochs=3"]
    return fit_series(gappy(), Config().override(settings), budget=budget)


def told(done: Fit) -> list[dict]:
    return [finding.evidence for finding in done.findings if finding.evidence.get("kind") == "budget"]


@pytest.fixture(scope="module")
def unhurried() -> Fit:
    return fit(None)


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("10m", 600), ("10min", 600), ("1h", 3600), ("1h30m", 5400), ("0.5h", 1800), ("12", 12), (7, 7)]
)
def test_spans_of_time(written, seconds):
    assert span_seconds(written) == seconds
    assert Budget.of(written).seconds == seconds


@pytest.mark.parametrize("written", ["", "soon", "-5m", "0", "10 parsecs", "nan", "inf", True, [1]])
def test_what_is_no_span_of_time_is_refused_in_one_sentence(written):
    with pytest.raises(ConfigError, match=r"budget: expected a span of time such as 90s, 10m or 1h30m") as refused:
        Config.parse({"budget": written})
    assert "\n" not in str(refused.value)


def test_a_budget_counts_down_and_notes_what_it_refuses():
    watch = Watch()
    budget = Budget(100.0, watch)
    with budget.stage("screen", silent):
        watch.now = 30.0
    assert (budget.took, budget.left(), budget.half) == ({"screen": 30.0}, 70.0, 50.0)
    assert budget.allows("curves", 60.0)
    assert budget.findings() == []
    assert budget.copies(5, 7.0) == 5
    assert budget.copies(5, 10.0) == 3
    assert not budget.allows("train", 80.0)
    (found,) = budget.findings()
    assert found.evidence["left_out"] == ["copies", "train"]
    assert CUT["train"] in found.message
    assert "took longer" not in found.message
    watch.now = 130.0
    assert "took longer than the budget: 130 s" in budget.findings()[0].message


def test_no_limit_refuses_nothing():
    watch = Watch(step=1e9)
    budget = Budget(None, watch)
    assert budget.allows("train", 1e300)
    assert budget.copies(15, 1e300) == 15
    assert budget.findings() == []


def test_a_generous_budget_changes_nothing(unhurried):
    done = fit(Budget(1e9, Watch(step=1.0)))
    for name in ("score", "verdict", "strength", "confidence"):
        np.testing.assert_array_equal(getattr(done.graph, name), getattr(unhurried.graph, name))
    assert done.findings == unhurried.findings
    assert done.state.keys() == unhurried.state.keys()
    assert all(np.array_equal(done.state[name], unhurried.state[name]) for name in done.state)
    assert told(done) == []


def test_a_budget_used_up_still_gives_an_answer_and_says_what_it_lacks(unhurried):
    done = fit(Budget(1e-3, Watch(step=1.0)))
    assert unhurried.signal.smoothed
    assert not done.signal.smoothed
    assert done.screened.basis == "linear"
    assert done.refined is None
    assert done.summary["network"] == "not trained: the budget was used up"
    assert done.graph.links()
    (evidence,) = told(done)
    assert evidence["left_out"] == ["smooth", "curves", "copies", "train"]
    assert done.findings[0].severity == "warn"


@pytest.mark.parametrize(("seconds", "left_out"), [(300.0, ["smooth"]), (60.0, ["iterations"])])
def test_the_state_space_keeps_to_the_first_half(seconds, left_out):
    """An iteration takes so many of 1000 seconds; what follows takes five: too long at once, or after four iterations."""
    watch = Watch()
    iterations = []

    def work(stage, info):
        if stage == "smooth" and "done" in info:
            watch.now += seconds
            iterations.append(info["done"])
        elif stage == "screen":
            watch.now = 0.0

    settings = Config().override(["select.halves=4", "select.refine=off"])
    done = fit_series(gappy(), settings, budget=Budget(1000.0, watch), progress=work)
    assert told(done)[0]["left_out"] == left_out
    assert done.signal.smoothed == (left_out != ["smooth"])
    assert iterations == ([1] if left_out == ["smooth"] else [1, 2, 3, 4, 9, 10])


def test_training_ends_with_the_epoch_in_which_the_time_is_over(unhurried):
    watch = Watch()
    budget = Budget(1000.0, watch)
    stages = []

    def hurry(stage, info):
        stages.append(stage)
        if stage == "train" and "epoch" not in info:
            watch.now = 1001.0

    settings = ["device=cpu", "select.halves=4", "select.refine=on", "train.epochs=3"]
    done = fit_series(gappy(), Config().override(settings), budget=budget, progress=hurry)
    assert done.refined.stopped == "time"
    assert len(done.records) == 1 < len(unhurried.records)
    assert told(done)[0]["left_out"] == ["epochs"]
    np.testing.assert_array_equal(done.graph.score, unhurried.graph.score)
    assert stages.index("decide") < stages.index("train")
