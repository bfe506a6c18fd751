"""Strength: the standardised coefficient where the system is linear, the size of the swing where it is not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from rcgnn.config import ScreenConfig
from rcgnn.screen.features import Sample
from rcgnn.screen.structural import Screened, screen
from rcgnn.select.effects import strengths

T = 1500


def screened(x: np.ndarray, **settings) -> Screened:
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    return screen(Sample(z[None], np.ones(x.shape, bool), [slice(0, len(x))], 2), ScreenConfig(**settings))


@cache
def linear() -> tuple[np.ndarray, np.ndarray]:
    """(readings, true coefficients [3, 4, 4])."""
    rng = np.random.default_rng(0)
    true = np.zeros((3, 4, 4))
    true[1][np.diag_indices(4)] = [0.5, 0.3, 0.6, 0.0]
    true[2, 0, 1], true[1, 1, 2], true[0, 3, 2], true[1, 3, 0] = 0.7, -0.5, -0.8, 0.6
    x = rng.standard_normal((T, 4)) * np.array([1.0, 2.0, 0.5, 1.0])
    for t in range(2, T):
        for j in (3, 0, 1, 2):
            x[t, j] += sum(true[k, :, j] @ x[t - k] for k in (1, 2)) + true[0, :, j] @ (x[t] * (true[0, :, j] != 0))
    return x, true


def test_linear_strength_is_the_standardised_coefficient_with_its_sign():
    x, true = linear()
    found = strengths(screened(x, basis="linear"))
    expected = true * x.std(axis=0)[:, None] / x.std(axis=0)
    linked = expected != 0
    np.testing.assert_allclose(found[linked], expected[linked], atol=0.06)
    off = ~linked & ~np.eye(4, dtype=bool)
    assert not found[off].any()


def test_strength_is_least_squares_on_the_chosen_features():
    x, _ = linear()
    model = screened(x, basis="linear")
    found = strengths(model)
    local, table = model.ordered.locals[2], model.tables.read(0, np.arange(len(model.tables.at)))
    used = np.concatenate([local.forced, local.chosen])
    b = np.linalg.lstsq(table[:, used] - table[:, used].mean(axis=0), table[:, 2] - table[:, 2].mean(), rcond=None)[0]
    for place, feature in enumerate(used):
        k, i = divmod(int(feature), 4)
        assert found[k, i, 2] == pytest.approx(b[place] * table[:, feature].std() / table[:, 2].std(), abs=1e-4)


def test_units_do_not_matter():
    x, _ = linear()
    scaled = x * np.array([1e6, 1e-6, 3.0, 1.0]) + np.array([1e3, 0.0, -5.0, 1e6])
    np.testing.assert_allclose(strengths(screened(scaled, basis="linear")), strengths(screened(x, basis="linear")), atol=1e-6)


def test_a_curved_response_has_the_size_of_its_swing():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((T, 3))
    e = x[1:, 1].copy()
    x[1:, 1] = x[:-1, 0] ** 2 + 0.5 * e
    found = strengths(screened(x))
    expected = np.std(x[:-1, 0] ** 2) / np.std(x[1:, 1])
    assert abs(found[1, 0, 1]) == pytest.approx(expected, abs=0.05)


def test_features_of_one_link_make_one_swing():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((T, 3))
    move = x[:-1, 0] + 0.7 * x[:-1, 0] ** 2
    x[1:, 1] = move + 0.5 * x[1:, 1]
    model = screened(x)
    assert (model.features[1].owner[model.ordered.locals[1].chosen] == 0).all()
    assert len(model.ordered.locals[1].chosen) >= 2
    assert strengths(model)[1, 0, 1] == pytest.approx(np.std(move) / np.std(x[1:, 1]), abs=0.03)


def test_a_rising_curve_is_positive_and_a_falling_one_negative():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((T, 3))
    x[1:, 1] += np.tanh(2 * x[:-1, 0])
    x[1:, 2] -= np.exp(0.8 * x[:-1, 0])
    found = strengths(screened(x, basis="nonlinear"))
    assert found[1, 0, 1] > 0.3
    assert found[1, 0, 2] < -0.3


def test_white_noise_has_no_effects_but_may_have_memory():
    x = np.random.default_rng(3).standard_normal((T, 4))
    found = strengths(screened(x))
    assert not found[:, ~np.eye(4, dtype=bool)].any()
    assert not found[0].any()
    assert np.abs(found).max() < 0.15
