"""Each baseline against a second way to compute it, and against a system made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rcgnn.baselines import BASELINES
from rcgnn.baselines.granger import front_end
from rcgnn.baselines.lagged import Lagged, Regression, evidence
from rcgnn.baselines.lasso_var import _by_bic
from rcgnn.graph import LINK
from rcgnn.series import Series


def chain(rows=1200, seed=0, sizes=(1.0, 1.0, 1.0)):
    """a(t-2) -> b(t) -> c(t+1), with memory; variances before units about equal."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    for t in range(2, rows):
        x[t, 0] += 0.5 * x[t - 1, 0]
        x[t, 1] += 0.3 * x[t - 1, 1] + 0.6 * x[t - 2, 0]
        x[t, 2] += 0.3 * x[t - 1, 2] + 0.6 * x[t - 1, 1]
    return Series.of(x * np.array(sizes), names=["a", "b", "c"])


def f_by_two_regressions(table, i, j):
    rows, lags, sensors = table.shape
    columns = np.arange(lags * sensors)
    rss = []
    for use in (columns, columns[columns % sensors != i]):
        x = table.regressors[:, use]
        b = np.linalg.lstsq(x, table.now[:, j], rcond=None)[0]
        rss.append(((table.now[:, j] - x @ b) ** 2).sum())
    free = rows - 1 - lags * sensors
    return (rss[1] - rss[0]) / lags / (rss[0] / free), free


@pytest.mark.parametrize(("i", "j"), [(0, 1), (1, 2), (0, 2), (2, 0)])
def test_granger_score_is_the_f_test_of_two_nested_regressions(i, j):
    table = Lagged.of(chain(), 3)
    f, free = f_by_two_regressions(table, i, j)
    score = BASELINES["granger"](chain(), max_lag=3).score[:, i, j].max()
    assert score == pytest.approx(-stats.f.logsf(f, 3, free) / np.log(10), rel=1e-6)


@pytest.mark.parametrize("name", ["granger", "granger+clean"])
def test_granger_finds_the_chain_at_its_lags(name):
    assert sorted(BASELINES[name](chain(), max_lag=3, alpha=0.001).links()) == [(1, 1, 2), (2, 0, 1)]


def test_granger_strength_is_the_standardised_coefficient():
    sizes = (1.0, 100.0, 1e-3)
    series = chain(rows=20_000, sizes=sizes)
    graph = BASELINES["granger"](series, max_lag=3, alpha=1e-6)
    sd = series.values.std(axis=0) / sizes
    assert graph.strength[2, 0, 1] == pytest.approx(0.6 * sd[0] / sd[1], abs=0.02)
    assert graph.strength[1, 1, 2] == pytest.approx(0.6 * sd[1] / sd[2], abs=0.02)


def test_granger_false_discoveries_stay_at_their_level():
    """200 tables of independent AR(1) sensors: a link in any of them is false, in at most about alpha of the tables."""
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(200):
        x = rng.normal(size=(300, 4))
        for t in range(1, 300):
            x[t] += 0.7 * x[t - 1]
        hits += bool(BASELINES["granger"](Series.of(x), max_lag=2, alpha=0.05).links())
    assert hits <= stats.binom.ppf(0.9999, 200, 0.05)


@given(f=st.floats(0, 200), within=st.integers(1, 8), free=st.integers(1, 500))
@settings(max_examples=200, deadline=None)
def test_evidence_is_scipys_tail_where_that_has_digits(f, within, free):
    expected = -stats.f.logsf(f, within, free) / np.log(10)
    if np.isfinite(expected) and expected < 200:
        assert evidence(np.array([f]), within, free)[0] == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("f", [1.0, 1e3, 1e6, 1e12, 1e30])
def test_evidence_far_out_has_the_closed_form_of_two_degrees(f):
    """P(F > f) = (1 + 2 f / d)^(-d/2) for 2 and d degrees of freedom."""
    assert evidence(np.array([f]), 2, 1400)[0] == pytest.approx(700 * np.log1p(2 * f / 1400) / np.log(10), rel=1e-9)


def test_evidence_grows_through_the_change_of_formula():
    f = np.linspace(300, 2000, 4000)
    steps = np.diff(evidence(f, 3, 1400))
    assert (steps > 0).all()
    assert np.abs(np.diff(steps)).max() < 1e-3


def test_front_end_takes_spikes_and_drift_and_leaves_the_rest():
    rng = np.random.default_rng(1)
    signal = rng.normal(size=(1000, 2))
    x = signal + np.linspace(0, 50, 1000)[:, None]
    x[300, 0] += 30
    after = front_end(Series.of(x))
    assert np.argwhere(~after.mask).tolist() == [[300, 0]]
    inner = slice(100, 900)
    kept = after.mask[inner]
    assert np.corrcoef(after.values[inner][kept], signal[inner][kept])[0, 1] > 0.98
    assert np.abs(after.values[inner][kept].mean()) < 0.05


def test_front_end_gains_on_drifting_readings_with_spikes():
    series = chain()
    rng = np.random.default_rng(2)
    spikes = 12 * (rng.random(series.shape) < 0.01)
    worse = series.with_values(series.values + 0.2 * np.cumsum(rng.normal(size=series.shape), axis=0) + spikes, series.mask)
    plain, clean = (BASELINES[name](worse, max_lag=3) for name in ("granger", "granger+clean"))
    for key in [(1, 1, 2), (2, 0, 1)]:
        assert clean.score[key] > plain.score[key] + 5


def test_lasso_path_ends_at_least_squares_and_bic_drops_the_idle():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(800, 12))
    x -= x.mean(axis=0)
    y = 2 * x[:, 0] - x[:, 5] + 0.5 * rng.normal(size=800)
    y -= y.mean()
    b = _by_bic(x.T @ x, x.T @ y, float(y @ y), 800)
    assert set(np.flatnonzero(b)) >= {0, 5}
    assert np.count_nonzero(b) <= 6
    assert b[[0, 5]] == pytest.approx([2, -1], abs=0.15)


def test_lasso_agrees_with_sklearns_bic_path():
    from sklearn.linear_model import LassoLarsIC

    table = Lagged.of(chain(), 3)
    ours = _by_bic(table.regressors.T @ table.regressors, table.regressors.T @ table.now[:, 1], float((table.now[:, 1] ** 2).sum()), 1197)
    fitted = LassoLarsIC(criterion="bic", fit_intercept=False).fit(table.regressors, table.now[:, 1])
    assert set(np.flatnonzero(ours)) >= {3}
    assert np.flatnonzero(ours).tolist() == np.flatnonzero(fitted.coef_).tolist()


def test_lasso_takes_more_coefficients_than_rows():
    wide = Series.of(np.random.default_rng(4).normal(size=(30, 25)))
    graph = BASELINES["lasso-var"](wide, max_lag=3)
    assert (graph.verdict == LINK).sum(axis=(0, 1)).max() <= 14


def test_correlation_is_pearsons():
    series = chain(rows=300)
    graph = BASELINES["correlation"](series, max_lag=3)
    x = series.values
    assert graph.score[2, 0, 1] == pytest.approx(abs(np.corrcoef(x[1:-2, 0], x[3:, 1])[0, 1]), rel=1e-9)
    assert not graph.score[0].any()
    assert (2, 0, 1) in graph.links()


def test_correlation_claims_what_memory_and_detours_explain():
    assert (3, 0, 2) in BASELINES["correlation"](chain(), max_lag=3).links()


def test_sort_regress_follows_the_units():
    up, down = (BASELINES["sort-regress"](chain(sizes=sizes), max_lag=3) for sizes in ((1.0, 10.0, 100.0), (100.0, 10.0, 1.0)))
    assert {(2, 0, 1), (1, 1, 2)} <= set(up.links())
    assert all(i < j for _, i, j in up.links())
    assert all(i > j for _, i, j in down.links())


def test_r2_sort_regress_does_not_follow_the_units():
    one, two = (BASELINES["r2-sort-regress"](chain(sizes=sizes), max_lag=3) for sizes in ((1.0, 10.0, 100.0), (100.0, 10.0, 1.0)))
    assert one.links() == two.links()


def test_random_depends_on_its_seed_alone():
    s, other = chain(seed=1), chain(seed=2)
    random = BASELINES["random"]
    assert np.array_equal(random(s, max_lag=3, seed=4).score, random(other, max_lag=3, seed=4).score)
    assert not np.array_equal(random(s, max_lag=3, seed=4).score, random(s, max_lag=3, seed=5).score)
    assert len(random(s, max_lag=3).links()) == 3


def test_origin_says_that_its_graph_reads_no_data():
    graph = BASELINES["origin"](chain(rows=120), max_lag=3)
    assert "decoder" in graph.conclusion
    assert {k for k, _, _ in graph.links()} <= {1}


def test_table_puts_past_beside_present_and_never_crosses_a_seam():
    x = np.arange(8.0)[:, None] * np.ones((1, 2)) + np.array([[0.0, 0.5]]) * np.arange(8.0)[:, None] ** 2
    seam = Series(x, np.ones((8, 2), bool), ("a", "b"), recording=np.array([0, 0, 0, 0, 1, 1, 1, 1]))
    table = Lagged.of(seam, 2)
    assert table.shape == (4, 2, 2)
    step = table.now[:, 0] - table.past[:, 0, 0]
    assert step == pytest.approx(step[0])


def test_regression_is_least_squares():
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(50, 4)), rng.normal(size=(50, 2))
    fitted = Regression.of(x, y)
    assert fitted.coefficient == pytest.approx(np.linalg.lstsq(x, y, rcond=None)[0], rel=1e-6)
    assert fitted.free == 45
    assert fitted.f(np.array([2])) == pytest.approx(fitted.t_squared()[2], rel=1e-9)
