"""A network that lost every link is trained again with a tenth of both lambdas, within a budget, and it is told."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.diagnosis import diagnose
from rcgnn.health import GraphHealth, HealthRecord, LossHealth
from rcgnn.pipeline import fit_series
from rcgnn.rerun import until_links
from rcgnn.series import Series
from rcgnn.synth import simulate

SET = ["losses.sparse=1", "losses.acyclic=0.2"]


def record(epoch: int, edges: int = 0, candidates: float = 4.0) -> HealthRecord:
    graph = GraphHealth(edges=edges, density=0.0)
    return HealthRecord(epoch=epoch, step=epoch, lr=1e-3, seed=1, loss=LossHealth(train=1.0), graph=graph, data={"candidates": candidates})


class Fake:
    """A training that keeps a link once losses.sparse is at most `enough`."""

    def __init__(self, enough: float, without: int | None = 0) -> None:
        self.enough, self.without, self.seen = enough, without, []

    def train(self, config, keep):
        self.seen.append((round(config.losses.sparse, 9), round(config.losses.acyclic, 9)))
        links = 3 if config.losses.sparse <= self.enough else self.without
        keep(record(1, links or 0))
        keep(record(2, links or 0))
        return links

    def until(self, *settings, **more):
        return until_links(self.train, lambda links: links, Config().override([*SET, *settings]), **more)


def test_no_rerun_while_there_are_links():
    fake = Fake(enough=1)
    done = fake.until()
    assert (done.last, fake.seen, done.findings) == (3, [(1, 0.2)], [])
    assert [r.attempt for r in done.records] == [1, 1]


def test_both_lambdas_are_divided_by_ten_until_a_link_is_there():
    fake, told, news = Fake(enough=0.011), [], []
    done = fake.until("train.reruns=5", on_record=told.append, progress=lambda _, info: news.append(info["message"]))
    assert fake.seen == [(1, 0.2), (0.1, 0.02), (0.01, 0.002)]
    assert (done.last, done.config.losses.sparse) == (3, pytest.approx(0.01))
    assert [(r.attempt, r.epoch) for r in done.records] == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]
    assert told == done.records
    assert len(news) == 2
    assert "losses.sparse 0.01" in news[1]
    (finding,) = done.findings
    assert (finding.code, finding.applied, finding.severity) == ("COLLAPSE", True, "act")
    assert finding.evidence["before"] == {"sparse": 1.0, "acyclic": 0.2}
    assert finding.evidence["after"] == pytest.approx({"sparse": 0.01, "acyclic": 0.002})
    assert (finding.evidence["reruns"], finding.evidence["links"]) == (2, 3)
    assert "losses.sparse=0.01 " in finding.remedy


def test_the_budget_bounds_it():
    fake = Fake(enough=0)
    done = fake.until("train.reruns=2")
    assert len(fake.seen) == 3
    assert (done.last, done.findings[0].evidence["links"]) == (0, 0)
    assert "still no link" in done.findings[0].message


@pytest.mark.parametrize("settings", [["train.reruns=0"], ["losses.sparse=0", "losses.acyclic=0"]])
def test_no_rerun_without_a_budget_or_with_nothing_to_divide(settings):
    fake = Fake(enough=-1)
    assert fake.until(*settings).findings == []
    assert len(fake.seen) == 1


def test_no_rerun_where_it_is_not_about_links():
    fake = Fake(enough=0, without=None)
    assert fake.until().findings == []
    assert len(fake.seen) == 1


def test_rules_judge_the_last_attempt():
    lost, kept = record(1, edges=0), record(1, edges=4).model_copy(update={"attempt": 2})
    assert [f.code for f in diagnose([lost], Config())] == ["COLLAPSE"]
    assert diagnose([lost, kept], Config()) == []
    spiked = lost.model_copy(update={"guard": lost.guard.model_copy(update={"skipped_spike": 3}), "graph": kept.graph})
    assert [f.code for f in diagnose([spiked], Config())] == ["SPIKE"]
    assert diagnose([spiked, kept], Config()) == []


def curved() -> Series:
    return simulate("nonlinear", seed=2, rows=400, sensors=4).series


def test_auto_trains_again_and_the_graph_stays_the_screens():
    common = ["data.max_lag=2", "train.epochs=6", "train.eval_every=1", "select.refine=on", "device=cpu"]
    plain = fit_series(curved(), Config().override(common))
    lost = fit_series(curved(), Config().override([*common, "losses.sparse=1000", "train.reruns=0"]))
    told = []
    again = fit_series(curved(), Config().override([*common, "losses.sparse=1000", "train.reruns=3"]), on_record=told.append)
    assert lost.summary["verdict"] == "refinement failed: COLLAPSE"
    given_up = next(finding for finding in lost.findings if "was given up" in finding.message)
    assert (given_up.code, given_up.applied) == ("COLLAPSE", False), "its remedy is left to the reader"
    assert {r.attempt for r in lost.records} == {1}
    (event,) = [f for f in again.findings if f.code == "COLLAPSE" and "reruns" in f.evidence]
    assert event.evidence["before"]["sparse"] == 1000
    assert event.evidence["after"]["sparse"] == pytest.approx(1000 / 10 ** event.evidence["reruns"])
    assert event.evidence["links"] > 0
    assert "verdict" not in again.summary
    assert [r.attempt for r in told] == [r.attempt for r in again.records]
    assert max(r.attempt for r in told) == 1 + event.evidence["reruns"]
    assert again.records[-1].graph.edges > 0
    for other in (lost, again):
        np.testing.assert_array_equal(other.graph.verdict, plain.graph.verdict)


def test_the_origins_recipes_train_again_too():
    rows = np.random.default_rng(0).normal(size=(120, 4))
    heavy = ["recipe=origin-after", "train.epochs=20", "train.lr=0.01", "train.eval_every=1", "train.patience=40"]
    heavy += ["train.weight_decay=0", "losses.sparse=1e-5", "losses.acyclic=0"]
    lost = fit_series(Series.of(rows), Config().override([*heavy, "train.reruns=0"]))
    again = fit_series(Series.of(rows), Config().override(heavy))
    assert not lost.graph.links()
    assert not [f for f in lost.findings if f.code == "COLLAPSE"]
    (event,) = [f for f in again.findings if f.code == "COLLAPSE"]
    assert event.applied
    assert (event.evidence["before"]["sparse"], event.evidence["after"]["sparse"], event.evidence["reruns"]) == (1e-5, 1e-7, 2)
    assert event.evidence["links"] == len(again.graph.links())  # on noise: how many is up to the last digits of the arithmetic
    assert max(r.attempt for r in again.records) == 3
    first = [r.loss.train for r in again.records if r.attempt == 1]
    assert first == [r.loss.train for r in lost.records]
