"""EM finds the autoregression behind gappy readings, stays stable, and keeps to its support."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.signal.em import LARGEST_RADIUS, LEAST_PROCESS_NOISE, fit
from rcgnn.signal.interpolate import interpolate
from rcgnn.signal.statespace import Readings, smooth

TRUE = np.array(
    [
        [0.6, 0.0, 0.0, 0.0],
        [0.5, 0.3, 0.0, 0.0],
        [0.0, -0.5, 0.4, 0.0],
        [0.0, 0.0, 0.0, 0.7],
    ]
)


def simulated(rows: int = 800, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(unit-variance readings of x_t = TRUE x_t-1 + w_t, the coefficients in these units)."""
    rng = np.random.default_rng(seed)
    x = np.zeros((rows + 100, 4))
    for t in range(1, len(x)):
        x[t] = TRUE @ x[t - 1] + rng.standard_normal(4)
    x = x[100:]
    sd = x.std(axis=0)
    return (x - x.mean(axis=0)) / sd, TRUE * sd[None, :] / sd[:, None]


def gappy(x: np.ndarray, share: float = 0.3, seed: int = 1) -> Readings:
    mask = np.random.default_rng(seed).random(x.shape) >= share
    return Readings(np.where(mask, x, np.nan), mask, [slice(0, len(x))])


def radius(A: np.ndarray) -> float:
    sensors, width = A.shape
    companion = np.eye(width, k=-sensors)
    companion[:sensors] = A
    return float(np.abs(np.linalg.eigvals(companion)).max())


def least_squares(x: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(x[:-1], x[1:], rcond=None)[0].T


@pytest.mark.parametrize("seed", [0, 1])
def test_coefficients_with_30_percent_missing_are_half_as_wrong_as_after_interpolation(seed):
    x, true = simulated(seed=seed)
    readings = gappy(x, seed=seed + 10)
    found = fit(readings, np.full(4, 0.01), lags=1).model
    filled = least_squares(interpolate(readings.values, readings.mask, readings.segments))
    assert np.abs(found.A - true).max() < 0.12
    assert np.linalg.norm(found.A - true) < 0.5 * np.linalg.norm(filled - true)


def test_nearly_noiseless_complete_readings_give_least_squares_and_its_residuals():
    x, _ = simulated()
    found = fit(gappy(x, 0.0), np.full(4, 1e-4), lags=1, iterations=4).model
    expected = least_squares(x)
    np.testing.assert_allclose(found.A, expected, atol=0.04)
    residual = x[1:] - x[:-1] @ expected.T
    np.testing.assert_allclose(found.Q, residual.T @ residual / len(residual), atol=0.03)


def test_lag_one_comes_first():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 2))
    x[2:, 1] = 0.8 * x[:-2, 0] + 0.6 * x[2:, 1]  # sensor 0 drives sensor 1 two steps later
    found = fit(gappy(x, 0.1), np.full(2, 0.01), lags=3, iterations=3).model
    strongest = np.unravel_index(np.abs(found.A).argmax(), found.A.shape)
    assert strongest == (1, 2 * 1 + 0)  # effect 1; lag 2, cause 0
    assert found.lags == 3


def test_an_explosive_series_is_held_below_the_unit_circle():
    x = np.column_stack([1.01 ** np.arange(300.0), np.cos(np.arange(300.0))])
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    found = fit(gappy(x, 0.0), np.full(2, 0.01), lags=2, iterations=2).model
    assert radius(found.A) == pytest.approx(LARGEST_RADIUS, abs=1e-6)


def test_random_walks_stay_stable_with_and_without_support():
    x = np.cumsum(np.random.default_rng(3).standard_normal((400, 3)), axis=0)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    for support in (None, lambda *_: np.ones((3, 6), bool)):
        found = fit(gappy(x), np.full(3, 0.01), lags=2, iterations=3, support=support).model
        assert radius(found.A) <= LARGEST_RADIUS + 1e-9


def test_process_noise_is_symmetric_and_never_vanishes():
    t = np.arange(300.0)
    x = np.column_stack([np.sin(t / 5), np.cos(t / 5)]) * np.sqrt(2)  # perfectly predictable
    found = fit(gappy(x, 0.0), np.full(2, 0.01), lags=2, iterations=3).model
    np.testing.assert_allclose(found.Q, found.Q.T, atol=1e-12)
    assert np.linalg.eigvalsh(found.Q).min() >= LEAST_PROCESS_NOISE * (1 - 1e-9)


def test_measurement_noise_is_taken_as_given():
    x, _ = simulated(rows=200)
    noise = np.array([0.01, 0.2, 0.3, 0.5])
    np.testing.assert_array_equal(fit(gappy(x), noise, lags=1, iterations=2).model.R, noise)


def test_support_restricts_the_coefficients_and_sees_the_moments():
    x, true = simulated()
    allowed = np.concatenate([TRUE != 0, np.zeros((4, 4), bool)], axis=1)
    seen = []

    def support(moment: np.ndarray, observed: np.ndarray) -> np.ndarray:
        seen.append((moment.shape, observed.tolist()))
        return allowed

    readings = gappy(x)
    found = fit(readings, np.full(4, 0.01), lags=2, iterations=3, support=support).model
    assert (found.A[~allowed] == 0).all()
    assert np.abs(found.A[:, :4] - true).max() < 0.12
    assert seen == [((12, 12), readings.mask.sum(axis=0).tolist())] * 2


def test_an_empty_support_leaves_white_noise():
    x, _ = simulated(rows=300)
    found = fit(gappy(x), np.full(4, 0.01), lags=1, iterations=2, support=lambda *_: np.zeros((4, 4), bool)).model
    assert not found.A.any()
    np.testing.assert_allclose(np.diag(found.Q), 1.0, atol=0.15)


def test_absent_coefficients_shrink_towards_zero():
    x, true = simulated()
    readings = gappy(x, 0.0)
    found = fit(readings, np.full(4, 0.01), lags=1).model
    plain = least_squares(x)
    absent = true == 0
    assert np.abs(found.A[absent]).mean() < 0.7 * np.abs(plain[absent]).mean()


def test_every_iteration_is_told():
    x, _ = simulated(rows=120)
    told = []
    support = lambda *_: np.ones((4, 4), bool)  # noqa: E731
    fit(gappy(x), np.full(4, 0.01), lags=1, iterations=3, support=support, progress=lambda s, i: told.append((s, i["done"], i["total"])))
    assert told == [("smooth", k, 5) for k in range(1, 6)]


def test_more_iterations_explain_the_readings_better():
    x, _ = simulated(rows=400)
    readings = gappy(x, 0.5)
    fitted = [fit(readings, np.full(4, 0.01), lags=1, iterations=n).model for n in (1, 3, 8)]
    likelihood = [smooth(model, readings, gate=1e9, likelihood=True).log_likelihood for model in fitted]
    assert likelihood[0] + 5 < likelihood[1] < likelihood[2]
