"""The share of block halves in which a link still earns its keep."""

from __future__ import annotations

import numpy as np

from rcgnn.config import ScreenConfig
from rcgnn.screen.features import Sample
from rcgnn.screen.structural import Screened, screen
from rcgnn.select.stability import held_in_halves

T = 600


def screened(x: np.ndarray, **settings) -> Screened:
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    return screen(Sample(z[None], np.ones(x.shape, bool), [slice(0, len(x))], 1), ScreenConfig(**settings))


def held(model: Screened, halves: int = 20, seed: int = 0) -> np.ndarray:
    return held_in_halves(model, halves=halves, rng=np.random.default_rng(seed))


def linked(strength: float, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((T, 3))
    x[1:, 1] += strength * x[:-1, 0]
    return x


def test_a_strong_link_holds_in_every_half_and_an_absent_one_in_none():
    found = held(screened(linked(1.0)))
    assert found[1, 0, 1] == 1.0
    assert found.sum() == 1.0


def test_links_that_only_just_earned_their_penalty_are_as_sure_as_a_coin():
    sure = []
    for seed in range(12):
        model = screened(linked(0.12, seed), basis="linear")
        if 0 < model.evidence.surplus[0, 1] < 3:
            sure.append(held(model)[1, 0, 1])
    assert len(sure) >= 3
    assert 0.4 < np.mean(sure) < 0.75


def test_a_link_of_one_stretch_of_rows_is_less_sure_than_a_steady_one():
    x = np.random.default_rng(1).standard_normal((T, 3))
    x[1:90, 1] += 1.5 * x[:89, 0]
    model = screened(x, basis="linear")
    assert model.evidence.chosen[1, 0, 1]
    assert held(model)[1, 0, 1] < 0.9


def test_always_a_share():
    found = held(screened(linked(0.3) + np.cumsum(linked(0.0, 3), axis=0) * 0.1))
    assert (found >= 0).all()
    assert (found <= 1).all()


def test_no_halves_nothing_held():
    assert not held(screened(linked(1.0)), halves=0).any()


def test_an_odd_number_of_halves_counts_each_once():
    found = held(screened(linked(1.0)), halves=3)
    assert found[1, 0, 1] == 1.0


def test_same_generator_same_shares():
    model = screened(linked(0.2, 5), basis="linear")
    np.testing.assert_array_equal(held(model, seed=3), held(model, seed=3))


def test_halves_with_fewer_rows_than_features_count_as_not_held():
    x = np.random.default_rng(3).standard_normal((22, 6))
    x[1:, 1] = 2 * x[:-1, 0] + 0.01 * x[1:, 1]
    found = held(screened(x, basis="linear"))
    assert np.isfinite(found).all()
