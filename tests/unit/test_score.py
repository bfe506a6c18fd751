"""Evidence of a pair: likelihood-ratio statistics that equal least squares, and p-values on the table's own scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rcgnn.screen.features import Features, from_moment
from rcgnn.screen.order import Scores, search
from rcgnn.screen.score import Evidence, additions, evidence, log_p_values, removal
from rcgnn.screen.search import grow, start

ROWS = 300


def table(seed: int, sensors: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((ROWS + 1, sensors))
    for t in range(1, len(x)):
        x[t] += 0.4 * x[t - 1]
        x[t, 1] += 0.5 * x[t - 1, 0]
    return x


def features_of(x: np.ndarray) -> Features:
    stacked = np.concatenate([x[1:], x[:-1]], axis=1)
    stacked = stacked - stacked.mean(axis=0)
    return from_moment(stacked.T @ stacked / ROWS, x.shape[1], ROWS)


def residual(x: np.ndarray, target: int, used: list[int]) -> float:
    """Residual sum of squares of least squares on columns of (now, past), with an intercept."""
    columns = np.concatenate([x[1:], x[:-1]], axis=1)
    design = np.column_stack([np.ones(ROWS), columns[:, used]])
    fitted = design @ np.linalg.lstsq(design, columns[:, target], rcond=None)[0]
    return float(((columns[:, target] - fitted) ** 2).sum())


def evidence_of(x: np.ndarray, penalty: float = 8.0, *, instantaneous: bool = True) -> Evidence:
    features = [features_of(x)] * x.shape[1]
    rows = np.full(x.shape[1], float(ROWS))
    cost = [np.full(len(f.lag), penalty) for f in features]
    found = search(Scores(features, rows, lambda j: cost[j], 20), instantaneous=instantaneous)
    return evidence(features, found, rows, cost, 1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_removal_and_addition_are_the_likelihood_ratios_of_least_squares(seed):
    x = table(seed)
    model = grow(start(features_of(x), 1), np.arange(8) >= 4, rows=float(ROWS), penalty=0.5, most=10)
    used, chosen = [*model.forced.tolist(), *model.chosen.tolist()], model.chosen.tolist()
    for picked in [chosen[:1], chosen[:2]] if len(chosen) > 1 else [chosen] if chosen else []:
        without = [u for u in used if u not in picked]
        expected = ROWS * np.log(residual(x, 1, without) / residual(x, 1, used))
        assert removal(model, np.array(picked), ROWS) == pytest.approx(expected, rel=1e-3, abs=1e-3)
    extra = [f for f in range(8) if f not in used and f != 1][:2]
    expected = ROWS * np.log(residual(x, 1, used) / residual(x, 1, [*used, *extra]))
    (stat,), (freedom,) = additions(model, np.array([extra]), ROWS)
    assert stat == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert freedom == len(extra)


def test_adding_what_is_already_known_adds_nothing():
    x = table(0)
    x[:, 3] = x[:, 0]
    model = grow(start(features_of(x), 1), np.arange(8) == 4, rows=float(ROWS), penalty=1.0, most=5)
    assert model.chosen.tolist() == [4]
    stat, freedom = additions(model, np.array([[7]]), ROWS)
    assert (stat.tolist(), freedom.tolist()) == ([0.0], [1])


def test_a_linked_pair_has_its_removal_and_an_unlinked_one_its_best_addition():
    x = table(3)
    found = evidence_of(x, 15.0, instantaneous=False)
    assert np.argwhere(found.chosen).tolist() == [[1, 0, 1]]
    full = residual(x, 1, [5, 4])
    worth = ROWS - 3  # own past, one feature, one for the mean
    assert found.stat[0, 1] == pytest.approx(worth * np.log(residual(x, 1, [5]) / full), rel=1e-3)
    assert found.surplus[0, 1] == pytest.approx(found.stat[0, 1] - 15.0)
    assert found.stat[2, 1] == pytest.approx(worth * np.log(full / residual(x, 1, [5, 4, 6])), rel=1e-2, abs=1e-3)
    assert found.surplus[2, 1] == pytest.approx(found.stat[2, 1] - 15.0, rel=1e-6)
    assert found.freedom[0, 1] == found.freedom[2, 1] == 1


def test_profile_separates_the_lags():
    found = evidence_of(table(3))
    assert found.profile[1, 0, 1] > 50 > found.profile[0, 0, 1]


def test_a_pair_linked_twice_counts_both_lags_together():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS + 1, 3))
    x[1:, 0] += 0.8 * x[:-1, 2]
    x[1:, 1] += 0.8 * x[1:, 0] + 0.8 * x[:-1, 0]
    found = evidence_of(x)
    assert found.chosen[:, 0, 1].all()
    assert found.freedom[0, 1] == 2
    assert found.stat[0, 1] > found.profile[:, 0, 1].max() + 8.0
    assert found.surplus[0, 1] == pytest.approx(found.stat[0, 1] - 16.0)


def test_direction_is_one_without_and_a_share_with_a_link_in_the_step():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((ROWS + 1, 2))
    x[:, 1] += x[:, 0]
    found = evidence_of(x)
    linked = found.chosen[0]
    assert linked.sum() == 1
    assert found.direction[linked][0] == pytest.approx(0.5, abs=0.1)
    assert (found.direction[~linked] == 1).all()


def by_hand(stat: np.ndarray, linked: np.ndarray, freedom: int = 2) -> Evidence:
    square = stat.shape
    chosen = linked[None]
    return Evidence(stat.copy(), stat, np.full(square, freedom), stat[None].copy(), chosen, np.ones(square))


def test_p_values_are_chi_square_when_the_unlinked_pairs_are_as_they_should_be():
    stat = np.full((5, 5), stats.chi2.ppf(0.5, 2))
    stat[0, 1] = 40.0
    linked = np.zeros((5, 5), bool)
    linked[0, 1] = True
    log_p = log_p_values(by_hand(stat, linked))
    assert log_p[0, 1] == pytest.approx(stats.chi2.logsf(40.0, 2))
    assert log_p[2, 3] == pytest.approx(np.log(0.5))
    assert not log_p.diagonal().any()


def test_inflated_unlinked_pairs_raise_the_scale_and_calm_ones_do_not_lower_it():
    linked = np.zeros((5, 5), bool)
    linked[0, 1] = True
    for factor, scale in ((3.0, 3.0), (0.2, 1.0)):
        stat = np.full((5, 5), factor * stats.chi2.ppf(0.5, 2))
        stat[0, 1] = 40.0
        assert log_p_values(by_hand(stat, linked))[0, 1] == pytest.approx(stats.chi2.logsf(40.0 / scale, 2))


def test_too_few_unlinked_pairs_give_no_scale():
    linked = ~np.eye(3, dtype=bool)
    linked[0, 1] = linked[1, 0] = False
    stat = np.full((3, 3), 40.0)
    assert log_p_values(by_hand(stat, linked))[0, 1] == pytest.approx(stats.chi2.logsf(40.0, 2))


def test_overwhelming_evidence_stays_a_number():
    stat = np.zeros((4, 4))
    stat[0, 1] = 1e9
    found = by_hand(stat, stat > 0)
    assert log_p_values(found)[0, 1] == pytest.approx(-5e8)
    assert np.isfinite(log_p_values(replace(found, stat=np.zeros((4, 4))))).all()
