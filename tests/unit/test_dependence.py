"""Columns that follow from each other within the row are found, whatever their units and gaps; noisy ones are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcgnn.config import Config
from rcgnn.data.dependence import computed
from rcgnn.data.quality import inspect
from rcgnn.graph import UNDECIDED
from rcgnn.pipeline import fit_series
from rcgnn.series import Series

ROWS = 300


def table(seed=0, sensors=6):
    return np.random.default_rng(seed).standard_normal((ROWS, sensors))


def groups(x):
    return computed(x, np.ones(x.shape[1], bool), 30)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(2, 4), st.permutations(range(7)), st.lists(st.floats(-3, 3), min_size=7, max_size=7))
def test_a_weighted_sum_and_its_parts_are_one_group_in_any_unit_and_order(seed, parts, order, powers):
    x = table(seed)
    weights = np.linspace(0.5, 2.0, parts)
    x = np.column_stack([x, x[:, :parts] @ weights])[:, order] * 10.0 ** np.array(powers)
    inspected = inspect(Series.of(x)).computed
    member = [order.index(j) for j in (*range(parts), 6)]
    assert inspected == (tuple(f"x{j}" for j in sorted(member)),)


def test_two_sums_are_two_groups():
    x = table()
    x = np.column_stack([x, x[:, 0] - x[:, 1], x[:, 2] + x[:, 3] + x[:, 4]])
    assert groups(x) == [[0, 1, 6], [2, 3, 4, 7]]


def test_a_rounded_total_is_still_a_total_and_a_noisy_one_is_not():
    x = table()
    total = x[:, 0] + x[:, 1]
    assert groups(np.column_stack([x, total.round(2)])) == [[0, 1, 6]]
    assert groups(np.column_stack([x, total + 0.05 * table(1)[:, 0]])) == []


def test_rows_with_gaps_are_left_out_and_too_few_rows_say_nothing():
    x = np.column_stack([table(), table()[:, :2].sum(axis=1)])
    x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    assert groups(x) == [[0, 1, 6]]
    whole = np.isfinite(x).all(axis=1)
    x[np.flatnonzero(whole)[20:]] = np.nan
    assert groups(x) == []


@pytest.mark.parametrize("walking", [False, True])
def test_nothing_follows_from_the_others_by_chance(walking):
    for seed in range(10):
        x = table(seed, 20)
        assert groups(np.cumsum(x, axis=0) if walking else x) == []


def test_sensors_that_take_no_part_are_not_asked():
    x = np.column_stack([table(), table()[:, :2].sum(axis=1)])
    own = np.ones(7, bool)
    own[6] = False
    assert computed(x, own, 30) == []


def answer(x):
    names = tuple("abcdefgh"[: x.shape[1]])
    return fit_series(Series(x, np.isfinite(x), names), Config().override(["data.max_lag=2", "select.refine=off"]))


def test_of_three_columns_nothing_is_decided_and_of_more_nothing_within_the_row():
    x = table()
    x[2:, 5] += 0.8 * x[:-2, 0]
    three = answer(np.column_stack([x[:, [0, 1, 5]], x[:, 0] + x[:, 1]])).graph
    five = answer(np.column_stack([x, x[:, :4].sum(axis=1)])).graph
    for graph, group, lags in ((three, [0, 1, 3], 3), (five, [0, 1, 2, 3, 6], 1)):
        inside = np.ix_(range(lags), group, group)
        off = ~np.eye(len(group), dtype=bool)
        assert (graph.verdict[inside][:, off] == UNDECIDED).all()
        assert all("computed from others" in graph.reasons[0, i, j] for i in group for j in group if i != j)
    assert [(three.names[i], three.names[j], k) for k, i, j in three.links()] == [("a", "c", 2)]
    assert [(five.names[i], five.names[j], k) for k, i, j in five.links()] == [("a", "f", 2)]


def test_a_finding_names_them():
    x = table()
    found = [f for f in answer(np.column_stack([x, x[:, 0] + x[:, 1]])).findings if f.evidence.get("kind") == "computed"]
    assert [f.evidence["sensors"] for f in found] == [["a", "b", "g"]]
    assert not [f for f in answer(x).findings if f.evidence.get("kind") == "computed"]
