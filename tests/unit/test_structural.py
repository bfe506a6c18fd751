"""The screen from draws to evidence: the basis by evidence, positive scores, the right lag, only rows that were read."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from rcgnn.config import Config, ScreenConfig
from rcgnn.looks import Looks
from rcgnn.screen import null
from rcgnn.screen.dense import DENSE_WEIGHT, dense_evidence
from rcgnn.screen.features import Sample
from rcgnn.screen.null import largest_by_chance, shifted
from rcgnn.screen.structural import Screened, screen, sparse_support

T = 600


def screened(x: np.ndarray, *, keep: np.ndarray | None = None, max_lag: int = 2, **settings) -> Screened:
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    keep = np.ones(x.shape, bool) if keep is None else keep
    return screen(Sample(z[None], keep, [slice(0, len(x))], max_lag), ScreenConfig(**settings))


def noise(seed: int, sensors: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((T, sensors))


@cache
def linear() -> Screened:
    """0 drives 1 after two steps; 3 drives 2 within the step and after one."""
    x = noise(0)
    for t in range(2, T):
        x[t] += 0.5 * x[t - 1]
        x[t, 1] += 0.6 * x[t - 2, 0]
        x[t, 2] += 0.6 * x[t, 3] + 0.5 * x[t - 1, 3]
    return screened(x)


def test_scores_are_positive_finite_and_zero_on_the_diagonal():
    score = linear().score
    off = ~np.eye(4, dtype=bool)
    assert score.shape == (3, 4, 4)
    assert np.isfinite(score).all()
    assert (score[:, off] >= 0).all()
    assert (score.max(axis=0)[off] > 0).all()
    assert not score[:, ~off].any()


def test_the_largest_score_over_the_lags_is_the_pairs():
    x = noise(0)
    for t in range(2, T):
        x[t, 1] += 0.6 * x[t - 2, 0]
    fixed = screened(x, basis="linear")
    found = fixed.evidence
    pair = np.where(found.surplus > 0, 1 + found.surplus, np.exp(np.minimum(found.surplus, 0)))
    dense = np.maximum(dense_evidence(fixed.features, np.full(4, T - 2.0)), 1.0)
    pair = np.where(np.maximum(pair, 1) * dense > 1, np.maximum(pair, 1) * dense**DENSE_WEIGHT, pair)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(fixed.score.max(axis=0)[off], pair[off], rtol=1e-9)


def test_two_bases_give_two_opinions_and_the_score_is_their_geometric_mean():
    x = noise(0)
    x[1:, 1] += 0.6 * x[:-1, 0]
    linear_, curved, both = (screened(x, basis=basis).score[1, 0, 1] for basis in ("linear", "nonlinear", "auto"))
    assert both == pytest.approx(np.sqrt(linear_ * curved), rel=0.02)


def test_a_link_scores_highest_at_its_own_lag_and_above_everything_unlinked():
    score, chosen = linear().score, linear().evidence.chosen
    assert np.argwhere(chosen).tolist() == [[0, 3, 2], [1, 3, 2], [2, 0, 1]]
    assert score[:, 0, 1].argmax() == 2
    unlinked = ~chosen.any(axis=0)
    unlinked[2, 3] = False
    assert min(score[2, 0, 1], score[0, 3, 2]) > 10 * score.max(axis=0)[unlinked].max()


def test_an_unclear_direction_shares_the_score():
    x = noise(1, 3)
    x[:, 1] += x[:, 0]
    score = screened(x).score[0]
    assert score[0, 1] == pytest.approx(score[1, 0], rel=0.6)
    assert min(score[0, 1], score[1, 0]) > 10


def test_both_bases_are_tried_and_the_better_one_is_kept():
    assert set(linear().value) == {"linear", "nonlinear"}
    assert linear().value["linear"] > linear().value["nonlinear"]
    assert linear().bases.count("linear") >= 3
    x = noise(2)
    x[1:, 1] += x[:-1, 0] ** 2
    curved = screened(x)
    assert curved.bases[1] == "nonlinear"
    assert curved.basis == "mixed"
    assert curved.value["nonlinear"] > curved.value["linear"]
    assert np.argwhere(curved.evidence.chosen).tolist() == [[1, 0, 1]]


def test_the_basis_can_be_fixed():
    x = noise(2)
    x[1:, 1] += x[:-1, 0] ** 2
    fixed = screened(x, basis="linear")
    assert (fixed.basis, set(fixed.value)) == ("linear", {"linear"})
    assert not fixed.evidence.chosen.any()


def test_a_product_of_two_sensors_counts_for_both():
    x = noise(3)
    x[1:, 3] += 1.5 * x[:-1, 0] * x[:-1, 1]
    found = screened(x).evidence
    assert np.argwhere(found.chosen[:, :, 3]).tolist() == [[1, 0], [1, 1]]
    assert min(found.surplus[0, 3], found.surplus[1, 3]) > 50


def test_a_sensor_is_a_target_only_where_it_was_read():
    x = noise(4)
    x[1:, 1] += x[:-1, 0]
    keep = np.ones(x.shape, bool)
    keep[300:, 1] = False
    spoiled = x.copy()
    spoiled[300:, 1] = spoiled[299:-1, 2]  # what a smoother might have put there: no evidence for 2 -> 1
    found = screened(spoiled, keep=keep, basis="linear")
    assert [f.rows for f in found.features] == [598, 298, 598, 598]
    assert found.evidence.chosen[:, 0, 1].any()
    assert not found.evidence.chosen[:, 2, 1].any()


def test_nothing_within_the_step_when_switched_off():
    x = noise(1, 3)
    x[:, 1] += x[:, 0]
    found = screened(x, instantaneous=False)
    assert not found.evidence.chosen[0].any()
    assert (found.evidence.direction == 1).all()


def test_no_more_features_than_allowed():
    x = noise(5)
    x[1:, 3] += x[:-1, 0] + x[:-1, 1] + x[:-1, 2]
    found = screened(x, basis="linear", max_features=2)
    assert found.evidence.chosen[:, :, 3].sum() == 2


def test_a_larger_gamma_asks_for_more():
    off = ~np.eye(4, dtype=bool)
    lax, strict = (screened(noise(6), gamma=gamma, basis="linear").evidence.surplus[off] for gamma in (0.0, 5.0))
    np.testing.assert_allclose(lax - strict, 2 * 5.0 * np.log(12))  # 2 gamma ln(number of features)


def test_white_noise_has_no_links():
    found = screened(noise(7, 5))
    assert not found.evidence.chosen.any()
    assert found.log_p.min() > np.log(0.05 / (found.tests * 5))


def test_averaged_draws_stand_for_one_table_not_for_many():
    x = noise(8)
    x[1:, 1] += 0.3 * x[:-1, 0]
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    keep, config = np.ones(x.shape, bool), ScreenConfig(basis="linear")
    one = screen(Sample(z[None], keep, [slice(0, T)], 2), config)
    four = screen(Sample(np.stack([z] * 4), keep, [slice(0, T)], 2), config)
    np.testing.assert_allclose(four.score, one.score, rtol=1e-9)


def test_sparse_support_keeps_the_true_coefficients_and_the_own_past():
    rng = np.random.default_rng(9)
    x = rng.standard_normal((T, 3))
    for t in range(2, T):
        x[t] += 0.5 * x[t - 1]
        x[t, 1] += 0.5 * x[t - 2, 0]
    rows = T - 2
    stacked = np.concatenate([x[2 - k : 2 - k + rows] for k in range(3)], axis=1)
    support = sparse_support(stacked.T @ stacked / rows, np.full(3, float(rows)))
    expected = np.tile(np.eye(3, dtype=bool), (1, 2))
    expected[1, 3 + 0] = True  # effect 1; lag 2, cause 0
    np.testing.assert_array_equal(support, expected)


def test_a_pair_linked_at_two_lags_is_worth_both_at_its_better_one():
    x = noise(10, 3)
    x[2:, 1] += 0.8 * x[1:-1, 0] + 0.6 * x[:-2, 0]
    found = screened(x, basis="linear")
    dense = dense_evidence(found.features, np.full(3, T - 2.0))[0, 1]
    pair = (1 + found.evidence.surplus[0, 1]) * dense**DENSE_WEIGHT
    assert np.flatnonzero(found.evidence.chosen[:, 0, 1]).tolist() == [1, 2]
    assert found.score[:, 0, 1].max() == pytest.approx(pair)
    assert found.evidence.surplus[0, 1] > found.evidence.profile[:, 0, 1].max() + 10
    assert found.score[1, 0, 1] > found.score[2, 0, 1] > found.score[0, 0, 1]


def by_chance(x: np.ndarray, copies: int = 2, max_lag: int = 2) -> float:
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    sample = Sample(z[None], np.ones(x.shape, bool), [slice(0, len(x))], max_lag)
    rngs = [np.random.default_rng(seed) for seed in range(copies)]
    return largest_by_chance(Looks(sample), ScreenConfig(basis="linear"), rngs).surplus


def test_shifted_copies_keep_every_sensor_and_its_readings_together():
    x = np.stack([noise(0), noise(1)])
    keep = np.random.default_rng(2).random((T, 4)) < 0.5
    rolled = shifted(Sample(x, keep, [slice(0, T)], 3), np.random.default_rng(3))
    turned, kept = rolled.signal, rolled.keep
    offsets = []
    for j in range(4):
        offset = next(o for o in range(T) if np.array_equal(np.roll(x[0, :, j], o), turned[0, :, j]))
        np.testing.assert_array_equal(np.roll(x[1, :, j], offset), turned[1, :, j])
        np.testing.assert_array_equal(np.roll(keep[:, j], offset), kept[:, j])
        offsets.append(offset)
    apart = np.diff(sorted(offsets))
    assert apart.min() >= T // 4 - 1


def test_real_links_do_not_raise_what_is_found_by_chance_and_a_shared_season_does():
    x = noise(11)
    x[1:, 1] += x[:-1, 0]
    assert by_chance(x) < 5.0
    season = np.sin(np.arange(T) / 5)[:, None] * np.array([2.0, -2.0, 3.0, 1.5])
    assert by_chance(noise(11) + season) > 5.0
    assert by_chance(x, copies=0) == 0.0


def test_one_odd_copy_does_not_decide_what_is_found_by_chance(monkeypatch):
    most = iter([3.0, 90.0, 5.0, 4.0, 6.0])
    chosen = np.ones((1, 2, 2), bool)
    monkeypatch.setattr(
        null, "screen", lambda *_, **__: SimpleNamespace(evidence=SimpleNamespace(chosen=chosen, surplus=np.full((2, 2), next(most))))
    )
    sample = Sample(noise(0)[None, :, :2], np.ones((T, 2), bool), [slice(0, T)], 2)
    assert largest_by_chance(Looks(sample), ScreenConfig(), [np.random.default_rng(n) for n in range(5)]).surplus == 5.0


@pytest.mark.parametrize(("rows", "asked", "made"), [(T, 15, 15), (T, 7, 7), (60_000, 15, 5), (60_000, 2, 2)])
def test_long_tables_are_shifted_less_often(monkeypatch, rows, asked, made):
    found = SimpleNamespace(evidence=SimpleNamespace(chosen=np.ones((1, 3, 3), bool), surplus=np.ones((3, 3))))
    calls = []
    monkeypatch.setattr(null, "screen", lambda *_, **__: calls.append(1) or found)
    sample = Sample(np.zeros((1, rows, 3)), np.ones((rows, 3), bool), [slice(0, rows)], 2)
    null.by_chance(Looks(sample), Config().override([f"select.shifted_copies={asked}"]), ["linear"] * 3)
    assert len(calls) == made


def test_every_shifted_copy_looks_at_the_next_draw(monkeypatch):
    seen = []
    nothing = SimpleNamespace(evidence=SimpleNamespace(chosen=np.zeros((1, 2, 2), bool), surplus=np.zeros((2, 2))))
    monkeypatch.setattr(null, "screen", lambda turned, *_, **__: seen.append(round(float(turned.signal.sum()))) or nothing)
    sample = Sample(np.stack([np.full((T, 2), 1.0), np.full((T, 2), 2.0)]), np.ones((T, 2), bool), [slice(0, T)], 2)
    largest_by_chance(Looks(sample), ScreenConfig(), [np.random.default_rng(n) for n in range(3)])
    assert seen == [2 * T, 4 * T, 2 * T]


def test_real_links_of_many_sensors_do_not_raise_what_is_found_by_chance():
    x = np.random.default_rng(0).standard_normal((120, 40))
    x[1:, 1::2] += 3 * x[:-1, ::2]
    assert by_chance(x, copies=3, max_lag=3) < 20.0


def test_the_screen_tells_how_many_targets_are_done():
    told = []
    x = np.random.default_rng(0).standard_normal((1, 200, 4))
    screen(Sample(x, np.ones((200, 4), bool), [slice(0, 200)], 2), ScreenConfig(), tell=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
