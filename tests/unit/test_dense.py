"""Evidence beside everybody's past: the F-test's numbers, products, few rows, and how it blends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rcgnn.config import ScreenConfig
from rcgnn.screen.dense import DENSE_WEIGHT, WITHOUT_PRODUCTS, blend_dense, dense_choice, dense_evidence
from rcgnn.screen.features import Sample, build
from rcgnn.screen.moments import moments
from rcgnn.screen.score import log_chi2_tail
from rcgnn.screen.structural import screen

T, N, K = 500, 4, 2


def table(seed: int = 0, rows: int = T) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((rows, N))
    for t in range(2, rows):
        x[t] += 0.5 * x[t - 1]
        x[t, 1] += 0.3 * x[t - 1, 0]
        x[t, 3] += 0.3 * x[t - 2, 2]
    return (x - x.mean(axis=0)) / x.std(axis=0)


def features_of(x: np.ndarray, basis: str = "linear"):
    tables = build(x[None], [slice(0, len(x))], max_lag=K, basis=basis)
    return [moments(tables, np.ones(len(tables.time), bool))] * N


def test_it_is_the_likelihood_ratio_of_the_dense_autoregression():
    x = table()
    past = np.concatenate([x[K - k : T - k] for k in range(1, K + 1)], axis=1)
    past = past - past.mean(axis=0)
    y = x[K:, 1] - x[K:, 1].mean()

    def rss(z):
        return float(((y - z @ np.linalg.lstsq(z, y, rcond=None)[0]) ** 2).sum())

    without = np.delete(past, [0, N], axis=1)
    stat = (T - K - K * N - 1) * np.log(rss(without) / rss(past))
    found = dense_evidence(features_of(x), np.full(N, T - K, float))[0, 1]
    assert found == pytest.approx(-2 * stats.chi2.logsf(stat, K), rel=1e-3)


def test_without_links_it_is_two_on_average_and_never_negative():
    rows = np.full(N, T - K, float)
    found = np.stack([dense_evidence(features_of(np.random.default_rng(s).standard_normal((T, N))), rows) for s in range(30)])
    off = ~np.eye(N, dtype=bool)
    assert (found >= 0).all()
    assert found[:, off].mean() == pytest.approx(2.0, abs=0.3)
    assert not found[:, ~off].any()


def test_few_rows_keep_the_linear_features_and_fewer_none():
    x = table(rows=70)
    full, linear = (dense_evidence(features_of(x, basis), np.full(N, 40.0)) for basis in ("nonlinear", "linear"))
    assert full[0, 1] == pytest.approx(linear[0, 1], rel=0.3)
    assert not dense_evidence(features_of(x), np.full(N, 20.0)).any()
    assert dense_choice(features_of(x), np.full(N, 20.0), [np.full(N * (K + 1), 5.0)] * N, K) is None


def test_choice_finds_the_links_at_their_lags():
    x = table()
    own = features_of(x)
    found, models = dense_choice(own, np.full(N, T - K, float), [np.full(N * (K + 1), 9.0)] * N, K)
    assert np.argwhere(found.chosen).tolist() == [[1, 0, 1], [2, 2, 3]]
    assert [len(m.chosen) for m in models] == [0, 1, 0, 1]
    assert (found.surplus[found.chosen.any(axis=0)] > 0).all()


def test_the_blend_raises_what_the_dense_model_sees_and_less_where_products_count():
    x = np.random.default_rng(3).standard_normal((800, N))
    x[1:, 2] += 1.5 * x[:-1, 0] * x[:-1, 1]
    got = screen(Sample((x - x.mean(axis=0))[None] / x.std(axis=0), np.ones(x.shape, bool), [slice(0, 800)], 1), ScreenConfig())
    assert got.bases[2] == "nonlinear"
    score = np.zeros((2, N, N))
    score[1, 0, 2] = score[1, 0, 3] = 10.0
    score[0, 0, 3] = 5.0
    dense = np.full((N, N), 20.0)
    mixed = blend_dense(score, dense, got.ordered.locals, got.features)
    assert mixed[1, 0, 3] == pytest.approx(10 * 20**DENSE_WEIGHT)
    assert mixed[0, 0, 3] == pytest.approx(mixed[1, 0, 3] / 2)
    assert mixed[1, 0, 2] == pytest.approx(10 * 20 ** (DENSE_WEIGHT * WITHOUT_PRODUCTS))


def test_the_far_tail_goes_on_where_the_exact_one_underflows():
    stat = np.linspace(1000, 1600, 601)
    tail = log_chi2_tail(stat, np.full(601, 3))
    assert np.isfinite(tail).all()
    steps = np.diff(tail)
    assert (steps < 0).all()
    assert steps.min() > -0.51
