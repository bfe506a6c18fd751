"""Stepwise regression: the same numbers as least squares, and only features that earn their penalty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcgnn.screen import search
from rcgnn.screen.features import RIDGE, Features, from_moment
from rcgnn.screen.gram import Dense
from rcgnn.screen.partial import Growing, Partial
from rcgnn.screen.search import ENTER, Local, freedom, grow, own_past, start

seeds = st.integers(0, 2**32 - 1)


def covariance(seed: int, size: int = 6) -> np.ndarray:
    root = np.random.default_rng(seed).standard_normal((size + 4, size))
    return root.T @ root / size


def adding(given: Partial, feature: int) -> Partial:
    """Given one feature more."""
    more = Growing(given, 1)
    more.add(feature)
    return more.partial()


def features_of(now: np.ndarray, past: np.ndarray) -> Features:
    """Linear features of sensors with one lag: columns `now`, then `past`."""
    stacked = np.concatenate([now, past], axis=1)
    stacked = stacked - stacked.mean(axis=0)
    return from_moment(stacked.T @ stacked / len(stacked), now.shape[1], len(now))


def data(seed: int, rows: int = 300, sensors: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    past = rng.standard_normal((rows, sensors)) @ (np.eye(sensors) + 0.4 * rng.standard_normal((sensors, sensors)))
    weights = rng.uniform(-1, 1, (sensors, sensors)) * (rng.random((sensors, sensors)) < 0.5)
    return past @ weights + rng.standard_normal((rows, sensors)), past


def unexplained(features: Features, target: int, used: np.ndarray) -> float:
    """Residual share of least squares on the correlation matrix, without any sweep."""
    if not len(used):
        return float(features.gram.diagonal[target])
    rows = features.gram.rows(np.append(used, target))
    block, cross = rows[:-1, used], rows[:-1, target]
    return float(rows[-1, target] - cross @ np.linalg.solve(block, cross))


@given(seeds, st.permutations([0, 2, 3]))
def test_adding_a_set_gives_coefficients_residuals_and_information_in_any_order(seed, order):
    matrix = covariance(seed)
    given = Partial.of(Dense(matrix), 4)
    for feature in order:
        given = adding(given, feature)
    inside, outside = np.array([0, 2, 3]), np.array([1, 4, 5])
    inverse = np.linalg.inv(matrix[np.ix_(inside, inside)])
    cross = matrix[np.ix_(inside, outside)]
    left = matrix[np.ix_(outside, outside)] - cross.T @ inverse @ cross
    close = {"rtol": 1e-6, "atol": 1e-8}
    np.testing.assert_allclose(given.coefficients[given.places(inside)], inverse @ matrix[inside, 4], **close)
    np.testing.assert_allclose(given.information(inside), inverse, **close)
    np.testing.assert_allclose(given.blocks(outside[None])[0], left, **close)
    np.testing.assert_allclose(given.power[outside], np.diag(left), **close)
    np.testing.assert_allclose(given.cross[outside], left[:, 1], **close)
    np.testing.assert_allclose([given.power[inside], given.cross[inside]], 0.0, atol=1e-9)
    assert given.unexplained == pytest.approx(left[1, 1], rel=1e-6)


@given(seeds, st.permutations([0, 2, 3, 5]), st.integers(0, 3))
def test_what_is_taken_out_was_never_in(seed, order, out):
    matrix = covariance(seed)
    rest = [feature for feature in order if feature != order[out]]
    all_in, never = Partial.of(Dense(matrix), 1), Partial.of(Dense(matrix), 1, np.array(rest))
    for feature in order:
        all_in = adding(all_in, feature)
    less = Growing(all_in, 1)
    less.remove(order[out])
    for name in ("power", "cross", "coefficients", "informations"):
        np.testing.assert_allclose(getattr(less, name), getattr(never, name), rtol=1e-6, atol=1e-8)
    less.add(order[out])  # what comes later builds on what is left
    for name in ("power", "cross"):
        np.testing.assert_allclose(getattr(less, name), getattr(all_in, name), rtol=1e-6, atol=1e-8)
    less.remove(order[out])
    left = less.partial()
    assert left.inside.tolist() == never.inside.tolist() == rest
    for name in ("power", "cross", "coefficients", "informations"):
        np.testing.assert_allclose(getattr(left, name), getattr(never, name), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(left.information(np.array(rest)), never.information(np.array(rest)), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(left.blocks(np.array([[4, order[out]]])), never.blocks(np.array([[4, order[out]]])), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(left.factor.T @ left.factor, never.factor.T @ never.factor, rtol=1e-6, atol=1e-8)
    one_by_one = Partial.of(Dense(matrix), 1)
    for feature in rest:
        one_by_one = adding(one_by_one, feature)
    np.testing.assert_allclose(one_by_one.factor, never.factor, rtol=1e-6, atol=1e-8)


@given(seeds, st.permutations([0, 2, 3, 5]), st.integers(0, 4))
def test_growing_in_place_is_taking_one_more_each_time(seed, order, begin):
    given = Partial.of(Dense(covariance(seed)), 1, np.array(order[:begin], int))
    growing, before = Growing(given, 4 - begin), given.power.copy()
    for feature in order[begin:]:
        growing.add(feature)
        given = Partial.of(given.gram, given.y, np.append(given.inside, feature))
        for name in ("coefficients", "informations", "power", "cross"):
            np.testing.assert_allclose(getattr(growing, name), getattr(given, name), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(growing.explained(), given.explained(), rtol=1e-7, atol=1e-9)
        assert growing.unexplained == pytest.approx(given.unexplained)
    made = growing.partial()
    assert made.inside.tolist() == given.inside.tolist() == list(order)
    np.testing.assert_allclose(made.factor, given.factor, rtol=1e-7, atol=1e-9)
    assert begin == 4 or not np.array_equal(before, made.power)
    np.testing.assert_array_equal(Partial.of(Dense(covariance(seed)), 1, np.array(order[:begin], int)).power, before)


def test_moments_given_something_leave_those_given_nothing_alone():
    matrix = covariance(0)
    before = matrix.copy()
    first = Partial.of(Dense(matrix), 0)
    adding(adding(first, 1), 2)
    Growing(adding(first, 1), 1).remove(1)
    np.testing.assert_array_equal(matrix, before)
    np.testing.assert_array_equal(first.power, np.diag(before))
    assert first.coefficients.size == first.information(np.zeros(0, int)).size == 0


def test_the_start_knows_the_own_past_and_nothing_else():
    features = features_of(*data(1))
    base = start(features, 2)
    assert base.forced.tolist() == own_past(features, 2).tolist() == [4 + 2]
    assert base.unexplained == pytest.approx(unexplained(features, 2, base.forced))
    assert base.value(300) == pytest.approx(-300 * np.log(base.unexplained))


def test_own_past_leaves_out_products_with_others_and_the_present():
    owner = np.array([[0, 0], [1, 1], [0, 0], [1, 1], [0, 1], [0, 0]])
    features = Features(Dense(np.eye(6)), np.array([0, 0, 1, 1, 1, 2]), owner, np.array([0, 1]), 10, np.ones(6))
    assert own_past(features, 0).tolist() == [2, 5]


@settings(max_examples=40, deadline=None)
@given(seeds, st.floats(0.5, 20.0))
def test_grow_ends_where_every_feature_earns_its_penalty_and_no_other_would(seed, penalty):
    now, past = data(seed)
    features = features_of(now, past)
    allowed, rows = features.lag > 0, 300.0
    grown = grow(start(features, 0), allowed, rows=rows, penalty=penalty, most=10)
    used = np.concatenate([grown.forced, grown.chosen])
    assert grown.unexplained == pytest.approx(unexplained(features, 0, used), rel=1e-8)
    assert grown.cost == pytest.approx(penalty * len(grown.chosen))
    assert set(grown.chosen) <= set(np.flatnonzero(allowed)) - set(grown.forced)
    for feature in grown.chosen:
        without = unexplained(features, 0, used[used != feature])
        assert freedom(rows, len(used)) * np.log(without / grown.unexplained) >= penalty * (1 - 1e-9)
    for feature in set(np.flatnonzero(allowed)) - set(used):
        richer = unexplained(features, 0, np.append(used, feature))
        assert freedom(rows, len(used)) * np.log(grown.unexplained / richer) <= ENTER * penalty * (1 + 1e-6)


def known(rows: int = 400, seed: int = 0) -> Features:
    """Sensor 0 now = sensors 1 and 2 one step ago; sensor 3 has nothing to do with it."""
    rng = np.random.default_rng(seed)
    now, past = rng.standard_normal((rows, 4)), rng.standard_normal((rows, 4))
    now[:, 0] = 0.8 * past[:, 1] - 0.6 * past[:, 2] + 0.5 * now[:, 0]
    return features_of(now, past)


def test_true_causes_enter_and_others_do_not():
    grown = grow(start(known(), 0), np.arange(8) >= 4, rows=400.0, penalty=10.0, most=10)
    assert sorted(grown.chosen) == [5, 6]


def test_forbidden_features_never_enter_whatever_they_would_explain():
    allowed = np.arange(8) >= 4
    allowed[5] = False
    grown = grow(start(known(), 0), allowed, rows=400.0, penalty=10.0, most=10)
    assert grown.chosen.tolist() == [6]


def test_the_target_itself_never_enters():
    grown = grow(start(known(), 0), np.ones(8, bool), rows=400.0, penalty=0.1, most=10)
    assert 0 not in grown.chosen


def test_a_proxy_leaves_once_the_true_causes_are_in():
    rng = np.random.default_rng(1)
    now, past = rng.standard_normal((500, 4)), rng.standard_normal((500, 4))
    past[:, 3] = past[:, 1] + past[:, 2] + 0.5 * past[:, 3]  # sensor 3 echoes both causes and is the best single one
    now[:, 0] = past[:, 1] + past[:, 2] + 0.3 * now[:, 0]
    features = features_of(now, past)
    base, allowed = start(features, 0), np.arange(8) >= 4
    first = grow(base, allowed, rows=500.0, penalty=10.0, most=1)
    assert first.chosen.tolist() == [7]
    grown = grow(base, allowed, rows=500.0, penalty=10.0, most=10)
    assert sorted(grown.chosen) == [5, 6]
    assert grown.unexplained == pytest.approx(unexplained(features, 0, np.array([4, 5, 6])))


def test_a_high_penalty_keeps_everything_out():
    grown = grow(start(known(), 0), np.arange(8) >= 4, rows=400.0, penalty=1e6, most=10)
    assert not grown.chosen.size
    assert grown.cost == 0.0


def test_the_penalty_of_each_feature_is_its_own():
    penalty = np.full(8, 10.0)
    penalty[5] = 1e6
    grown = grow(start(known(), 0), np.arange(8) >= 4, rows=400.0, penalty=penalty, most=10)
    assert grown.chosen.tolist() == [6]
    assert grown.cost == 10.0


def test_no_more_features_than_asked():
    grown = grow(start(known(), 0), np.arange(8) >= 4, rows=400.0, penalty=0.0, most=1)
    assert grown.chosen.tolist() == [5]


def test_growing_goes_on_from_a_model_and_leaves_it_alone():
    features = known()
    first = grow(start(features, 0), np.arange(8) == 6, rows=400.0, penalty=10.0, most=10)
    before = first.given.power.copy()
    grown = grow(first, np.arange(8) >= 4, rows=400.0, penalty=10.0, most=10)
    assert (first.chosen.tolist(), grown.chosen.tolist()) == ([6], [6, 5])
    np.testing.assert_array_equal(first.given.power, before)


def test_value_is_the_penalised_likelihood():
    local = Local(np.zeros(0, int), np.zeros(0, int), 7.0, Partial.of(Dense(0.25 * np.eye(2)), 0))
    assert local.value(100.0) == pytest.approx(-100 * np.log(0.25) - 7.0)


def test_copies_of_a_feature_do_not_both_enter():
    rng = np.random.default_rng(2)
    now, past = rng.standard_normal((300, 3)), rng.standard_normal((300, 3))
    past[:, 2] = past[:, 1]
    now[:, 0] = past[:, 1] + 0.1 * now[:, 0]
    grown = grow(start(features_of(now, past), 0), np.arange(6) >= 3, rows=300.0, penalty=5.0, most=10)
    assert len(grown.chosen) == 1
    assert np.isfinite(grown.given.factor).all()
    assert RIDGE < 1e-5  # what keeps a copy apart from itself


def test_what_is_all_but_a_copy_is_passed_over_for_the_next_best():
    """It would explain most of all, by the little that it is beside what is in."""
    given = Partial(
        Dense(np.eye(3)),
        2,
        np.zeros(0, np.int64),
        np.zeros((0, 3)),
        np.zeros((0, 0)),
        np.array([0.9e-5, 1.0, 1.0]),
        np.array([3e-3, 0.4, 1.0]),
    )
    left = np.array([True, True, False])
    assert search._largest(given, left, 200.0, 10.0) == search._dearest(given, left, 200.0, np.full(3, 10.0)) == 1
    assert search._largest(given, np.array([True, False, False]), 200.0, 10.0) is None


@given(st.integers(0, 10_000), st.floats(4.0, 60.0), st.booleans())
def test_one_price_for_all_asks_only_the_best_and_finds_what_asking_all_would(seed, price, copied):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((200, 12)) @ rng.standard_normal((12, 12))
    x[:, 7] = x[:, 4] if copied else x[:, 7]
    features = from_moment(np.cov(x.T), 4, 200)
    base, cost = start(features, 0), np.full(12, price)
    one = grow(base, features.lag > 0, rows=200.0, penalty=cost, most=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_one_price", lambda _: None)
        each = grow(base, features.lag > 0, rows=200.0, penalty=cost, most=6)
    assert one.chosen.tolist() == each.chosen.tolist()
    np.testing.assert_allclose(one.given.cross, each.given.cross, atol=1e-9)
