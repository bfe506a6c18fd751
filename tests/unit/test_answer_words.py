"""What the answer says in words: a warning names at least one pair."""

from __future__ import annotations

import pytest

from rcgnn.answer import _by_chance
from rcgnn.screen.null import Chance


@pytest.mark.parametrize(
    ("pairs", "sensors", "told"), [(0.4, 3, []), (0.6, 3, ["1 of 6 pairs"]), (4.0, 13, []), (21.0, 6, ["21 of 30 pairs"])]
)
def test_shifted_copies_are_told_where_they_show_a_pair_and_a_twentieth_of_all(pairs, sensors, told):
    found = _by_chance(Chance(surplus=3.0, pairs=pairs), sensors)
    assert len(found) == len(told)
    assert all(words in finding.message for words, finding in zip(told, found, strict=True))
