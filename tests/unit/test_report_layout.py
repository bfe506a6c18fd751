"""Where sensors stand: apart from each other, causes left of effects, and quickly also for a thousand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcgnn.report.layout import LEAST_COLUMNS, LEAST_ROOM, layout


def test_causes_stand_left_of_effects():
    pairs = [(3, 1), (1, 0), (0, 2), (3, 2)]
    found = layout(4, pairs).sensors
    assert all(found[i][0] < found[j][0] for i, j in pairs)


def test_a_link_over_several_columns_has_its_own_lane():
    made = layout(4, [(0, 1), (1, 2), (2, 3), (0, 3)])
    bends = made.bends[(0, 3)]
    assert [x for x, _ in bends] == [1.0, 2.0]
    assert not set(bends) & set(made.sensors)
    assert set(made.bends) == {(0, 3)}


def test_bends_run_from_cause_to_effect_also_backwards():
    made = layout(4, [(0, 1), (1, 2), (2, 3), (0, 2), (1, 3), (0, 3), (3, 0)])
    at = [x for x, _ in made.bends[(3, 0)]]
    assert at == sorted(at, reverse=True)
    assert len(at) == 2


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=40))
    )
)
def test_no_two_sensors_share_a_place(drawn):
    sensors, pairs = drawn
    found = layout(sensors, pairs).sensors
    assert len(found) == sensors
    for n, (x, y) in enumerate(found):
        assert not [other for other in found[:n] if other[0] == x and abs(other[1] - y) < 0.99]


def test_the_order_of_the_links_changes_nothing():
    rng = np.random.default_rng(0)
    pairs = [(int(i), int(j)) for i, j in rng.integers(0, 20, (50, 2))]
    assert layout(20, pairs) == layout(20, pairs[::-1])


def test_a_long_chain_is_folded_into_few_columns():
    found = layout(60, [(n, n + 1) for n in range(59)]).sensors
    assert [x for x, _ in found] == sorted(x for x, _ in found)
    assert max(x for x, _ in found) == LEAST_COLUMNS - 1


def test_columns_have_room_for_so_many():
    found = layout(40, [(0, j) for j in range(1, 40)]).sensors
    columns = [x for x, _ in found]
    assert max(columns.count(x) for x in columns) == max(LEAST_ROOM, round(1.2 * 40**0.5))


@pytest.mark.parametrize("sensors", [100, 1000])
def test_large_graphs_are_placed(sensors):
    rng = np.random.default_rng(1)
    made = layout(sensors, [(int(i), int(j)) for i, j in rng.integers(0, sensors, (3 * sensors, 2))])
    assert len(set(made.sensors)) == sensors
