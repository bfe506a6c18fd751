"""The smoother against exact conditioning of the joint Gaussian, on a case small enough to write that down."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest

from rcgnn.signal import kalman
from rcgnn.signal.statespace import LinearModel, Readings, smooth

N, L, T = 3, 2, 14
A = np.zeros((N, N * L))
A[:, :N] = 0.5 * np.eye(N)
A[0, 1], A[1, N + 2], A[2, N] = 0.3, 0.4, -0.3
Q = np.array([[1.0, 0.3, 0.0], [0.3, 1.0, 0.0], [0.0, 0.0, 0.5]])
MODEL = LinearModel(A, Q, np.array([0.1, 0.2, 0.05]))
NO_GATE = 1e9


@dataclass(frozen=True)
class Dense:
    """Posterior of (x_-L, ..., x_T-1) in one piece: mean, covariance, log-likelihood."""

    mean: np.ndarray
    cov: np.ndarray
    log_likelihood: float

    @classmethod
    def condition(cls, model: LinearModel, values: np.ndarray, mask: np.ndarray) -> Dense:
        """x_-L .. x_0 ~ N(0, I), then the autoregression; condition on the observed cells."""
        rows, sensors = values.shape
        size, lead = sensors * (rows + model.lags), sensors * model.lags
        solve, shocks = np.eye(size), np.eye(size)
        for t in range(model.lags + 1, rows + model.lags):
            here = slice(t * sensors, (t + 1) * sensors)
            shocks[here, here] = model.Q
            for lag in range(1, model.lags + 1):
                solve[here, (t - lag) * sensors : (t - lag + 1) * sensors] = -model.A[:, (lag - 1) * sensors : lag * sensors]
        inverse = np.linalg.inv(solve)
        prior = inverse @ shocks @ inverse.T
        seen = lead + np.flatnonzero(mask)
        y = values[mask]
        spread = prior[np.ix_(seen, seen)] + np.diag(np.tile(model.R, rows)[np.flatnonzero(mask)])
        gain = prior[:, seen] @ np.linalg.inv(spread)
        log_likelihood = -0.5 * (y @ np.linalg.solve(spread, y) + np.linalg.slogdet(spread)[1] + len(y) * np.log(2 * np.pi))
        return cls(gain @ y, prior - gain @ prior[seen], float(log_likelihood))

    def rows(self, sensors: int, lags: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of the rows 0..T-1 alone."""
        lead = sensors * lags
        return self.mean[lead:], self.cov[lead:, lead:]

    def moment(self, sensors: int, lags: int) -> np.ndarray:
        """Mean over t >= L of E[s_t s_t'], s_t = (x_t, ..., x_t-L)."""
        mean, cov = self.rows(sensors, lags)
        every = []
        for t in range(lags, len(mean) // sensors):
            index = np.concatenate([np.arange((t - k) * sensors, (t - k + 1) * sensors) for k in range(lags + 1)])
            every.append(cov[np.ix_(index, index)] + np.outer(mean[index], mean[index]))
        return np.mean(every, axis=0)


def case(seed: int = 0, rows: int = T, share: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values, mask = 1.5 * rng.standard_normal((rows, N)), rng.random((rows, N)) < share
    mask[4] = False  # a row without any reading
    return np.where(mask, values, np.nan), mask


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_mean_variance_moment_and_likelihood_are_the_exact_ones(share):
    values, mask = case(share=share)
    dense = Dense.condition(MODEL, values, mask)
    mean, cov = dense.rows(N, L)
    found = smooth(MODEL, Readings(values, mask, [slice(0, T)]), gate=NO_GATE, likelihood=True)
    np.testing.assert_allclose(found.mean.ravel(), mean, atol=1e-10)
    np.testing.assert_allclose(found.variance.ravel(), np.diag(cov), atol=1e-10)
    np.testing.assert_allclose(found.moment, dense.moment(N, L), atol=1e-10)
    assert found.log_likelihood == pytest.approx(dense.log_likelihood, abs=1e-9)
    assert found.count == T - L


def test_draws_have_the_exact_joint_distribution():
    values, mask = case()
    dense = Dense.condition(MODEL, values, mask)
    mean, cov = dense.rows(N, L)
    count = 4000
    draws = smooth(MODEL, Readings(values, mask, [slice(0, T)]), gate=NO_GATE, draws=2 * count, rng=np.random.default_rng(1)).draws
    flat, mirrored = draws.reshape(2, count, -1)
    np.testing.assert_allclose(mirrored, 2 * mean - flat, atol=1e-9)
    off = (flat.mean(axis=0) - mean) / np.sqrt(np.diag(cov) / count)
    error = np.sqrt((cov**2 + np.outer(np.diag(cov), np.diag(cov))) / count)
    assert np.abs(off).max() < 4.5
    assert (np.abs(np.cov(flat, rowvar=False) - cov) / error).max() < 5.0


def test_segments_are_independent_and_counted_by_their_rows():
    values, mask = case(rows=24)
    parts = [slice(0, 9), slice(9, 24)]
    both = smooth(MODEL, Readings(values, mask, parts), likelihood=True)
    alone = [smooth(MODEL, Readings(values[p], mask[p], [slice(0, p.stop - p.start)]), likelihood=True) for p in parts]
    np.testing.assert_array_equal(both.mean, np.concatenate([one.mean for one in alone]))
    np.testing.assert_array_equal(both.variance, np.concatenate([one.variance for one in alone]))
    np.testing.assert_allclose(both.moment, (7 * alone[0].moment + 13 * alone[1].moment) / 20, atol=1e-12)
    assert (both.count, both.log_likelihood) == (20, pytest.approx(sum(one.log_likelihood for one in alone)))


def test_a_segment_shorter_than_the_lags_is_smoothed_but_not_counted():
    values, mask = case(rows=6)
    found = smooth(MODEL, Readings(values, mask, [slice(0, 2), slice(2, 6)]))
    dense = Dense.condition(MODEL, values[:2], mask[:2])
    np.testing.assert_allclose(found.mean[:2].ravel(), dense.rows(N, L)[0], atol=1e-12)
    assert found.count == 2


def test_an_absurd_reading_is_refused_named_and_without_influence():
    values, mask = case()
    mask[7] = True
    values[7] = [0.2, 60.0, -0.1]
    found = smooth(MODEL, Readings(values, mask, [slice(0, T)]), gate=6.0, likelihood=True)
    assert np.argwhere(found.gated).tolist() == [[7, 1]]
    without = mask.copy()
    without[7, 1] = False
    plain = smooth(MODEL, Readings(values, without, [slice(0, T)]), gate=6.0, likelihood=True)
    np.testing.assert_array_equal(found.mean, plain.mean)
    np.testing.assert_array_equal(found.moment, plain.moment)
    assert found.log_likelihood == plain.log_likelihood


def test_what_the_cell_holds_where_nothing_was_observed_does_not_matter():
    values, mask = case()
    rng = [np.random.default_rng(3) for _ in range(2)]
    one = smooth(MODEL, Readings(values, mask, [slice(0, T)]), draws=2, rng=rng[0])
    two = smooth(MODEL, Readings(np.where(mask, values, 1e30), mask, [slice(0, T)]), draws=2, rng=rng[1])
    np.testing.assert_array_equal(one.mean, two.mean)
    np.testing.assert_array_equal(one.draws, two.draws)


def test_same_generator_same_draws_and_other_generator_others():
    values, mask = case()
    readings = Readings(values, mask, [slice(0, T)])
    first, again, other = (smooth(MODEL, readings, draws=2, rng=np.random.default_rng(s)).draws for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_readings_are_not_changed():
    values, mask = case()
    before = values.copy(), mask.copy()
    smooth(MODEL, Readings(values, mask, [slice(0, T)]), gate=1.0, draws=1, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(values, before[0])
    np.testing.assert_array_equal(mask, before[1])


def test_long_precise_complete_readings_stay_finite():
    """The backward recursion grew without bound here while its information matrix was not kept symmetric."""
    rng = np.random.default_rng(0)
    sensors, rows = 6, 2000
    A = np.hstack([0.9 * np.eye(sensors) + 0.15 * np.eye(sensors, k=1), np.zeros((sensors, 2 * sensors))])
    model = LinearModel(A, 0.2 * np.eye(sensors), np.full(sensors, 0.01))
    x = np.zeros((rows, sensors))
    for t in range(1, rows):
        x[t] = A[:, :sensors] @ x[t - 1] + np.sqrt(0.2) * rng.standard_normal(sensors)
    x += 0.1 * rng.standard_normal(x.shape)
    found = smooth(model, Readings(x, np.ones(x.shape, bool), [slice(0, rows)]), gate=NO_GATE)
    assert np.abs(found.mean - x).max() < 1.0
    assert (found.variance > 0).all()
    assert (found.variance <= 0.01 + 1e-12).all()  # never less certain than the reading alone
    assert np.linalg.eigvalsh(found.moment).min() > 0


def test_sensor_of_another_order_of_the_columns_gives_the_same():
    values, mask = case()
    order = np.array([2, 0, 1])
    state = np.concatenate([order + N * lag for lag in range(L)])
    turned = replace(MODEL, A=A[np.ix_(order, state)], Q=Q[np.ix_(order, order)], R=MODEL.R[order])
    one = smooth(MODEL, Readings(values, mask, [slice(0, T)]), likelihood=True)
    two = smooth(turned, Readings(values[:, order], mask[:, order], [slice(0, T)]), likelihood=True)
    np.testing.assert_allclose(two.mean, one.mean[:, order], atol=1e-12)
    assert two.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-9)


def test_single_readings_may_have_a_noise_of_their_own():
    """A cell with variance r is the reading of a model whose sensor has R = r; the others keep the model's R."""
    values, mask = case()
    mask = mask.copy()
    mask[:, 1] = False
    mask[6, 1] = True
    values = np.where(mask, np.nan_to_num(values, nan=0.4), np.nan)
    spread = np.full(values.shape, np.nan)
    spread[6, 1] = 3.0
    own = smooth(MODEL, Readings(values, mask, [slice(0, T)], spread=spread), gate=NO_GATE, draws=4000, rng=np.random.default_rng(1))
    other = Dense.condition(replace(MODEL, R=np.array([MODEL.R[0], 3.0, MODEL.R[2]])), values, mask)
    mean, cov = other.rows(N, L)
    np.testing.assert_allclose(own.mean.ravel(), mean, atol=1e-10)
    np.testing.assert_allclose(own.variance.ravel(), np.diag(cov), atol=1e-10)
    drawn = own.draws.reshape(4000, -1)
    assert np.abs(drawn.var(axis=0) / np.diag(cov) - 1).max() < 0.15


def outages(rows: int = 400) -> Readings:
    """Long complete runs, an outage of one sensor, single gaps, one absurd reading and a row with another noise."""
    values, _ = case(5, rows, 1.0)
    values = np.nan_to_num(values)
    mask = np.ones(values.shape, bool)
    mask[150:260, 1], mask[[20, 300], 0] = False, False
    values[90, 2] = 40.0
    spread = np.full(values.shape, np.nan)
    spread[350, 0] = 3.0
    return Readings(values, mask, [slice(0, rows)], spread=spread)


def test_a_covariance_that_has_settled_is_not_worked_out_again_and_nothing_changes(monkeypatch):
    worked = []
    of = kalman._Update.of
    monkeypatch.setattr(kalman._Update, "of", staticmethod(lambda *a: worked.append(1) or of(*a)))
    quick = smooth(MODEL, outages(), draws=2, rng=np.random.default_rng(0), likelihood=True)
    few = len(worked)
    monkeypatch.setattr(kalman, "STILL", -1.0)
    slow = smooth(MODEL, outages(), draws=2, rng=np.random.default_rng(0), likelihood=True)
    assert few < 0.6 * (len(worked) - few) == 0.6 * 400
    for name in ("mean", "variance", "moment", "draws"):
        np.testing.assert_allclose(getattr(quick, name), getattr(slow, name), atol=1e-9, err_msg=name)
    np.testing.assert_array_equal(quick.gated, slow.gated)
    assert quick.gated[90, 2]
    assert quick.log_likelihood == pytest.approx(slow.log_likelihood, abs=1e-6)


@pytest.mark.parametrize("lengths", [(7, 60, 31, 60, 2, 1), (5,) * 12, (40, 30, 90)])
def test_segments_side_by_side_give_what_they_give_one_by_one(lengths, monkeypatch):
    bounds = np.cumsum([0, *lengths])
    whole = case(11, int(bounds[-1]), 0.7)[0]
    whole[3, 0] = 60.0
    readings = Readings(np.nan_to_num(whole), np.isfinite(whole), [slice(a, b) for a, b in itertools.pairwise(bounds)])
    beside = smooth(MODEL, readings, draws=2, rng=np.random.default_rng(0), likelihood=True)
    batches = kalman.together(lengths, MODEL.A)
    assert sorted(n for batch in batches for n in batch) == list(range(len(lengths)))
    assert len(batches) < len(lengths)
    assert all(max(lengths[n] for n in batch) <= 2 * min(lengths[n] for n in batch) for batch in batches)
    monkeypatch.setattr(kalman, "MOST_NUMBERS", 0)
    assert len(kalman.together(lengths, MODEL.A)) == len(lengths)
    single = smooth(MODEL, readings, draws=2, rng=np.random.default_rng(0), likelihood=True)
    for name in ("mean", "variance", "moment", "draws"):
        np.testing.assert_allclose(getattr(beside, name), getattr(single, name), atol=1e-12, err_msg=name)
    np.testing.assert_array_equal(beside.gated, single.gated)
    assert beside.gated[3, 0]
    assert beside.count == single.count == sum(max(n - MODEL.lags, 0) for n in lengths)
    assert beside.log_likelihood == pytest.approx(single.log_likelihood, abs=1e-9)


def test_a_long_segment_is_gone_through_in_stretches_and_nothing_changes(monkeypatch):
    readings = Readings(*(np.nan_to_num(case(5, 300, 0.7)[0]), np.isfinite(case(5, 300, 0.7)[0])), [slice(0, 200), slice(200, 300)])
    at_once = smooth(MODEL, readings, draws=2, rng=np.random.default_rng(0), likelihood=True)
    lengths = []
    through = kalman._Filter.through
    monkeypatch.setattr(
        kalman._Filter, "through", lambda own, part, place: lengths.append(part.stop - part.start) or through(own, part, place)
    )
    monkeypatch.setattr(kalman, "MOST_KEPT", 2 * 30 * kalman._each(MODEL.A))
    parts = smooth(MODEL, readings, draws=2, rng=np.random.default_rng(0), likelihood=True)
    assert max(lengths) <= 60
    for name in ("mean", "variance", "moment", "draws", "gated"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(at_once, name), err_msg=name)
    assert parts.log_likelihood == pytest.approx(at_once.log_likelihood, abs=1e-9)
