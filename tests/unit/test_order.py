"""Links within one step: never a cycle, the right way where something tells, and no opinion where nothing does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rcgnn.screen import order as order_module
from rcgnn.screen.features import Features, from_moment
from rcgnn.screen.order import Ordered, Scores, search

PENALTY = 12.0


def features_of(x: np.ndarray, max_lag: int = 1) -> Features:
    """Linear features of a table over all its rows."""
    rows = len(x) - max_lag
    stacked = np.concatenate([x[max_lag - k : max_lag - k + rows] for k in range(max_lag + 1)], axis=1)
    stacked = stacked - stacked.mean(axis=0)
    return from_moment(stacked.T @ stacked / rows, x.shape[1], rows)


def ordered(x: np.ndarray, rows: list[float] | None = None, *, penalty: float = PENALTY, instantaneous: bool = True) -> Ordered:
    features = features_of(x)
    sensors = x.shape[1]
    count = np.full(sensors, float(features.rows)) if rows is None else np.array(rows, float)
    cost = np.full(len(features.lag), penalty)
    return search(Scores([features] * sensors, count, lambda _: cost, 20), instantaneous=instantaneous)


def with_instrument(seed: int, rows: int = 600) -> np.ndarray:
    """Sensor 2 drives sensor 0 one step later; sensor 0 drives sensor 1 within the step; all Gaussian."""
    rng = np.random.default_rng(seed)
    e = rng.standard_normal((rows, 3))
    x = np.zeros((rows, 3))
    for t in range(1, rows):
        x[t, 2] = 0.5 * x[t - 1, 2] + e[t, 2]
        x[t, 0] = 0.8 * x[t - 1, 2] + e[t, 0]
        x[t, 1] = 0.8 * x[t, 0] + e[t, 1]
    return x


def white_pair(seed: int, rows: int = 600) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((rows, 2))
    x[:, 1] += 0.8 * x[:, 0]
    return x


def reachable(parents: tuple[frozenset[int], ...]) -> np.ndarray:
    """[N, N] True where a lag-0 path leads from i to j (Warshall's closure)."""
    closure = np.zeros((len(parents), len(parents)), bool)
    for j, of_j in enumerate(parents):
        closure[list(of_j), j] = True
    for k in range(len(parents)):
        closure |= np.outer(closure[:, k], closure[k])
    return closure


def acyclic(parents: tuple[frozenset[int], ...]) -> bool:
    return not reachable(parents).diagonal().any()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.floats(0.0, 15.0))
@example(254, 6, 4.0)  # with the parents that are used alone, none is used
def test_never_a_cycle_within_the_step(seed, sensors, penalty):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((60, sensors)) @ rng.standard_normal((sensors, sensors))
    found = ordered(x, rng.uniform(10, 100, sensors).tolist(), penalty=penalty)
    assert acyclic(found.parents)
    for j, local in enumerate(found.locals):
        now = {int(f) for f in local.chosen if f < sensors}
        assert now == set(found.parents[j])  # parents are what the model of j really uses
        assert j not in now


def test_reachable_follows_every_path():
    parents = (frozenset(), frozenset({0}), frozenset({1}), frozenset())
    assert np.argwhere(reachable(parents)).tolist() == [[0, 1], [0, 2], [1, 2]]
    assert reachable((frozenset({1}), frozenset({0}))).all()


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]], ids=str)
def test_a_lagged_cause_tells_the_direction_in_any_order_of_the_columns(order):
    place = {sensor: new for new, sensor in enumerate(order)}
    found = ordered(with_instrument(0)[:, order])
    assert found.parents[place[1]] == {place[0]}
    assert found.parents[place[0]] == frozenset()
    # turned round, sensor 1 needs the instrument besides: the same likelihood, one feature more
    assert 0.8 * PENALTY < found.reversal[place[0], place[1]] < 1.5 * PENALTY


@pytest.mark.parametrize("rows", [[100, 600, 600], [600, 100, 600]], ids=["cause-read-less", "effect-read-less"])
def test_the_instrument_wins_however_often_each_sensor_was_read(rows):
    found = ordered(with_instrument(1), rows)
    assert found.parents[1] == {0}
    assert found.reversal[0, 1] > 5


@pytest.mark.parametrize("rows", [[600, 600], [150, 600], [600, 150]], ids=["alike", "first-less", "second-less"])
def test_a_gaussian_pair_says_nothing_about_its_direction(rows):
    """Counting each sensor's own rows turned every link towards the sensor that was read more often."""
    found = ordered(white_pair(0), rows)
    assert sum(len(p) for p in found.parents) == 1
    cost = found.reversal[[0, 1], [1, 0]].sum()
    assert abs(cost) < 1.0


def test_a_chain_is_found_without_a_shortcut():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((600, 3))
    x[:, 1] += x[:, 0]
    x[:, 2] += x[:, 1]
    found = ordered(x)
    skeleton = {frozenset((i, j)) for j, of_j in enumerate(found.parents) for i in of_j}
    assert skeleton == {frozenset((0, 1)), frozenset((1, 2))}


def test_a_collider_is_recognised_without_any_lag():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((600, 3))
    x[:, 1] += x[:, 0] + x[:, 2]
    found = ordered(x)
    assert found.parents == (frozenset(), frozenset({0, 2}), frozenset())


def test_no_links_within_the_step_when_switched_off():
    found = ordered(with_instrument(0), instantaneous=False)
    assert found.parents == (frozenset(),) * 3
    assert not found.reversal.any()
    assert all((local.chosen >= 3).all() for local in found.locals)


def test_white_noise_has_no_links():
    found = ordered(np.random.default_rng(6).standard_normal((400, 5)))
    assert found.parents == (frozenset(),) * 5
    assert not found.reversal.any()


def test_reversal_is_what_the_likelihood_of_both_models_says():
    x = with_instrument(2)
    found, features = ordered(x), features_of(x)
    n = features.rows

    def value(target: int, used: list[int]) -> float:
        rows = features.gram.rows(np.append(used, target))
        block, cross = rows[:-1, used], rows[:-1, target]
        share = rows[-1, target] - cross @ np.linalg.solve(block, cross)
        return -n * np.log(share) - PENALTY * sum(u != 3 + target for u in used)

    kept = value(0, [3, 5]) + value(1, [4, 0])
    turned = value(0, [3, 5, 1]) + value(1, [4, 5])  # without 0, sensor 1 is driven by 2 directly
    assert [sorted(local.chosen) for local in found.locals[:2]] == [[5], [0]]
    assert found.reversal[0, 1] == pytest.approx(kept - turned, rel=1e-6)


class Told:
    """Scores that gain what they are told by pair."""

    def __init__(self, gains: dict[tuple[int, int], float]) -> None:
        self.gains = gains

    def gain(self, _before, _move, pair):
        return self.gains[pair]


@pytest.mark.parametrize(("other", "chosen"), [(5.0 - 1e-12, 0), (5.0 + 1e-12, 0), (5.0 + 1e-3, 1)])
def test_rounding_does_not_choose_between_moves_that_gain_the_same(other, chosen):
    parents, suspects = [frozenset()] * 3, [(0, 2), (1, 2)]
    gain, move = order_module._best_move(Told({(0, 2): 5.0, (1, 2): other}), parents, suspects, {})
    assert move == {2: frozenset({chosen})}
    assert gain == pytest.approx(5.0, abs=1e-2)


@pytest.mark.parametrize(("cost", "turned"), [(-1e-12, False), (-1e-3, True)])
def test_rounding_turns_no_link(cost, turned):
    parents, reversal = [frozenset(), frozenset({0})], np.array([[0.0, cost], [0.0, 0.0]])
    order_module._turn(parents, reversal)
    assert parents == ([frozenset({1}), frozenset()] if turned else [frozenset(), frozenset({0})])
