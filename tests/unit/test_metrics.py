"""Scores: by hand on a small asymmetric graph, by simulation for the chance levels, and against scikit-learn."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from rcgnn.errors import InputError
from rcgnn.evaluate import METRICS, TARGETS, Scores, Truth, score, tune_threshold
from rcgnn.evaluate.metrics import Case, f1, random_f1, random_shd, shd
from rcgnn.graph import CausalGraph

NAMES = ("a", "b", "c")


def graph(verdict, evidence=None):
    verdict = np.asarray(verdict, np.int8)
    names = tuple("abcdefghijklmnop"[: verdict.shape[-1]])
    return CausalGraph.of(names, np.maximum(verdict, 0).astype(float) if evidence is None else evidence, verdict)


def links(*keys, lags=1, n=3):
    array = np.zeros((lags + 1, n, n), np.int8)
    for key in keys:
        array[key] = 1
    return array


def test_by_hand():
    """True: a->b at 1, b->c at 0. Found: a->b at 1, c->b at 0 (reversed), a->c at 1 (false)."""
    got = score(graph(links((1, 0, 1), (0, 2, 1), (1, 0, 2))), Truth.of(links((1, 0, 1), (0, 1, 2))))
    w = got["window"]
    assert (w.links_true, w.links_found, w.shd) == (2, 3, 2)
    assert (w.precision, w.recall, w.f1) == (pytest.approx(1 / 3), 0.5, 0.4)
    assert w.prevalence == w.random_auprc == pytest.approx(2 / 12)
    assert (w.empty_shd, w.empty_f1) == (2, 0.0)
    i = got["instantaneous"]
    assert (i.links_true, i.links_found, i.shd, i.f1) == (1, 1, 1, 0.0)
    assert got["summary"].shd == 2


def test_perfect():
    truth = links((1, 0, 1), (0, 1, 2), (1, 2, 0))
    for s in score(graph(truth), Truth.of(truth)).values():
        assert (s.f1, s.auroc, s.auprc, s.shd) == (1.0, 1.0, 1.0, 0)


def test_a_wrong_lag_is_wrong_in_the_window_and_right_in_the_summary():
    got = score(graph(links((1, 0, 1))), Truth.of(links((0, 0, 1))))
    assert got["summary"].f1 == 1.0
    assert got["window"].f1 == 0.0
    assert got["window"].shd == 2
    assert got["instantaneous"].links_found == 0


def test_summary_score_is_the_largest_over_the_lags():
    evidence = np.zeros((3, 3, 3))
    evidence[0, 0, 1], evidence[2, 0, 1], evidence[1, 1, 2] = 1.0, 5.0, 3.0
    got = score(graph(np.zeros((3, 3, 3)), evidence), Truth.of(links((0, 0, 1), lags=2)))
    assert got["summary"].auprc == 1.0
    assert got["instantaneous"].auprc == 1.0
    assert got["window"].auprc == pytest.approx(1 / 3)


def test_without_lags_only_the_summary_is_scored():
    got = score(graph(links((1, 0, 1))), Truth.of(links((1, 0, 1)).any(axis=0)))
    assert list(got) == list(TARGETS)
    assert got["window"] is got["instantaneous"] is None
    assert got["summary"].f1 == 1.0


def test_undecided_pairs_are_not_found_and_are_counted():
    verdict = links((1, 0, 1))
    verdict[0, 1, 2] = verdict[0, 2, 1] = verdict[0, 0, 1] = -1
    got = score(graph(verdict), Truth.of(links((1, 0, 1), (0, 1, 2))))
    assert (got["summary"].undecided, got["window"].undecided, got["instantaneous"].undecided) == (2, 3, 3)
    assert got["summary"].recall == 0.5
    assert got["summary"].links_found == 1


def test_self_links_are_never_counted():
    truth = links((1, 0, 0), (1, 0, 1))
    verdict = links((1, 1, 1), (1, 0, 1))
    for target in ("window", "summary"):
        s = score(graph(verdict), Truth.of(truth))[target]
        assert (s.links_true, s.links_found, s.f1) == (1, 1, 1.0)


@pytest.mark.parametrize(("lags", "true_lags"), [(1, 3), (3, 1)])
def test_other_depth_holds_no_links(lags, true_lags):
    got = score(graph(links((1, 0, 1), lags=lags)), Truth.of(links((1, 0, 1), (true_lags, 1, 2), lags=true_lags)))
    assert got["window"].recall == 0.5
    assert got["window"].prevalence == pytest.approx(2 / (4 * 6))


def test_undefined_is_none():
    empty = score(graph(links()), Truth.of(links()))["summary"]
    assert empty.f1 is empty.precision is empty.recall is empty.auroc is empty.auprc is empty.empty_f1 is None
    assert (empty.shd, empty.random_shd) == (0, 0.0)
    full = score(graph(links()), Truth.of(np.ones((2, 3, 3))))["summary"]
    assert full.auroc is full.auprc is full.precision is None
    assert (full.f1, full.recall) == (0.0, 0.0)


def test_one_sensor():
    got = score(graph(np.zeros((2, 1, 1))), Truth.of(np.zeros((2, 1, 1))))["summary"]
    assert got.prevalence is got.random_shd is got.auprc is None


def test_other_table():
    with pytest.raises(InputError, match="the graph has 3 sensors, the truth 4"):
        score(graph(links()), Truth.of(np.zeros((4, 4))))


def test_every_metric_is_a_field():
    assert [f.name for f in fields(Scores)] == list(METRICS)
    assert all(metric.__doc__ for metric in METRICS.values())
    got = score(graph(links((1, 0, 1))), Truth.of(links((1, 0, 1))))["window"]
    assert list(got.as_dict()) == list(METRICS)


@given(
    truth=arrays(bool, (2, 4, 4)),
    evidence=arrays(np.float64, (2, 4, 4), elements=st.sampled_from([0.0, 0.5, 1.0, 1e-300, 1e300])),
)
@settings(max_examples=60, deadline=None)
def test_rankings_and_f1_agree_with_scikit_learn(truth, evidence):
    off = np.broadcast_to(~np.eye(4, dtype=bool), truth.shape)
    got = score(graph(evidence > 0.7, evidence), Truth.of(truth))["window"]
    y, s = truth[off], evidence[off]
    if 0 < y.sum() < y.size:
        assert got.auroc == pytest.approx(roc_auc_score(y, s))
        assert got.auprc == pytest.approx(average_precision_score(y, s))
    if y.any() or (s > 0.7).any():
        assert got.f1 == pytest.approx(f1_score(y, s > 0.7))


@given(a=arrays(bool, (1, 4, 4)), b=arrays(bool, (1, 4, 4)))
@settings(max_examples=100, deadline=None)
def test_shd_is_a_distance(a, b):
    diagonal = np.eye(4, dtype=bool)
    a, b = a & ~diagonal, b & ~diagonal
    forward = shd(case(a, b))
    assert forward == shd(case(b, a))
    assert (forward == 0) == np.array_equal(a, b)
    assert np.ceil((a ^ b).sum() / 2) <= forward <= (a ^ b).sum()


def test_shd_counts_a_reversal_once():
    assert shd(case(links((0, 0, 1)), links((0, 1, 0)))) == 1
    assert shd(case(links((0, 0, 1)), links((1, 1, 0)))) == 2
    assert shd(case(links((0, 0, 1)), links((0, 1, 0), (0, 0, 1)))) == 1
    assert shd(case(links(), links((0, 1, 0), (0, 0, 1)))) == 2


def case(truth, found):
    truth, found = np.asarray(truth, bool), np.asarray(found, bool)
    return Case(truth, found, found.astype(float), np.zeros_like(found))


def test_chance_levels_are_the_means_over_random_graphs():
    rng = np.random.default_rng(0)
    off = np.flatnonzero(~np.eye(4, dtype=bool))
    truth = np.zeros((1, 4, 4), bool)
    for key in [(0, 1), (1, 0), (2, 3), (3, 1)]:
        truth[(0, *key)] = True
    drawn = []
    for _ in range(6000):
        found = np.zeros(16, bool)
        found[rng.choice(off, 5, replace=False)] = True
        drawn.append(case(truth, found.reshape(1, 4, 4)))
    assert np.mean([shd(c) for c in drawn]) == pytest.approx(random_shd(drawn[0]), abs=0.06)
    assert np.mean([f1(c) for c in drawn]) == pytest.approx(random_f1(drawn[0]), abs=0.01)


def test_oracle_finds_the_best_threshold():
    weights = np.array([[0.9, 0.62, 0.1], [0.3, 0.0, 0.71], [0.2, 0.58, 0.0]])
    truth = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    assert tune_threshold(weights, truth) == (0.6, 1.0, 0)


def test_oracle_on_nothing_to_find():
    assert tune_threshold(np.full((3, 3), 0.5), np.zeros((3, 3), bool)) == (0.5, 0.0, 0)


def test_oracle_prefers_fewer_mistakes_then_the_lowest():
    weights = np.array([[0.0, 0.4], [0.4, 0.0]])
    assert tune_threshold(weights, np.array([[False, True], [False, False]])) == (0.0, pytest.approx(2 / 3), 1)


@given(weights=arrays(np.float64, (4, 4), elements=st.floats(0, 1)), truth=arrays(bool, (4, 4)))
@settings(max_examples=60, deadline=None)
def test_oracle_is_never_beaten_by_a_fixed_threshold(weights, truth):
    off = ~np.eye(4, dtype=bool)
    best = tune_threshold(weights, truth)
    for threshold in (0.1, 0.5, 0.9):
        found = weights[off] > threshold
        if truth[off].any() or found.any():
            assert best.f1 >= f1_score(truth[off], found) - 1e-12


@pytest.mark.parametrize(
    ("weights", "truth", "says"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3)), "must both be"),
        (np.zeros((2, 2)), np.zeros((3, 3)), "must both be"),
        (np.full((2, 2), 1.5), np.zeros((2, 2)), "must lie in .0, 1."),
        (np.full((2, 2), np.nan), np.zeros((2, 2)), "must lie in"),
    ],
)
def test_oracle_refuses(weights, truth, says):
    with pytest.raises(InputError, match=says):
        tune_threshold(weights, truth)
