"""What the answer says in words: a warning names at least one pair."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.answer import FEW_ROWS, _about, _by_chance, _hidden, _links
from rcgnn.screen.drivers import Drivers
from rcgnn.screen.null import Chance
from rcgnn.verdict import DIRECTION, DOUBT


@pytest.mark.parametrize(
    ("pairs", "sensors", "told"), [(0.4, 3, []), (0.6, 3, ["1 of 6 pairs"]), (4.0, 13, []), (21.0, 6, ["21 of 30 pairs"])]
)
def test_shifted_copies_are_told_where_they_show_a_pair_and_a_twentieth_of_all(pairs, sensors, told):
    found = _by_chance(Chance(surplus=3.0, pairs=pairs), sensors)
    assert len(found) == len(told)
    assert all(words in finding.message for words, finding in zip(told, found, strict=True))


@pytest.mark.parametrize(
    ("links", "pairs", "words"), [(1, 1, "1 link"), (2, 2, "2 links"), (2, 1, "2 links between 1 pair"), (5, 3, "5 links between 3 pairs")]
)
def test_one_is_told_in_the_singular(links, pairs, words):
    assert _links(links, pairs) == words


def test_open_pairs_are_told_once_each_by_their_reason():
    reasons = {(0, 0, 1): FEW_ROWS, (1, 0, 1): FEW_ROWS, (2, 1, 0): FEW_ROWS, (0, 3, 2): DIRECTION, (0, 2, 3): DIRECTION, (1, 0, 3): DOUBT}
    unclear, few = _about(reasons, ("a", "b", "c", "d"))
    assert unclear.message.startswith("c and d are linked within one step")
    assert few.message.startswith("2 of 12 pairs were hardly ever read together")
    assert few.evidence["pairs"] == 2


def hidden(count: int, reach: list[float]) -> Drivers:
    return Drivers([], np.zeros((len(reach), count)), np.array(reach), 12.34)


def test_hidden_drivers_are_told_with_those_they_reach():
    (found,) = _hidden(hidden(2, [0.5, 0.2, 0.19, 0.345]), ("a", "b", "c", "d"))
    assert found.message.startswith("2 hidden drivers, never measured, act on 3 sensors within the step: a, b, d. ")
    assert "cannot be told from them" in found.message
    assert (found.evidence["margin"], found.evidence["reach"]) == (12.3, {"a": 0.5, "b": 0.2, "d": 0.34})
    (one,) = _hidden(hidden(1, [0.5, 0.5]), ("a", "b"))
    assert one.message.startswith("1 hidden driver, never measured, acts on 2 sensors")
    assert one.applied, "same-step links are not looked for"
    assert _hidden(None, ("a", "b")) == []


@pytest.mark.parametrize(("sensors", "end"), [(8, "g, h. "), (9, "g, h and 1 more. "), (11, "g, h and 3 more. ")])
def test_at_most_eight_sensors_are_named(sensors, end):
    (found,) = _hidden(hidden(1, [0.9] * sensors), tuple("abcdefghijk"[:sensors]))
    assert f": a, b, c, d, e, f, {end}" in found.message
