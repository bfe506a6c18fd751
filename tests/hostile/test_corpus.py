"""Nasty tables, one by one: an answer, or one sentence that says where, what was expected, what was found and what to do."""

from __future__ import annotations

import numpy as np
import pytest

from hostile.binaries import BINARIES
from hostile.frames import ANSWERS, REFUSALS
from hostile.judge import deadline, sentence
from hostile.texts import TEXTS
from rcgnn.data.frames import to_series
from rcgnn.data.readers import read_table
from rcgnn.errors import TableError, visible

CORPUS = TEXTS | BINARIES


@pytest.mark.parametrize("name", CORPUS)
def test_an_answer_or_a_sentence(name, tmp_path):
    entry = CORPUS[name]
    path = entry.write(tmp_path)
    if entry.refused is None:
        with deadline():
            assert entry.wrong(read_table(path, **entry.options)) is None
        return
    with deadline(), pytest.raises(TableError, match=entry.refused) as caught:
        read_table(path, **entry.options)
    assert str(caught.value).startswith(visible(path))
    sentence(caught.value)


@pytest.mark.parametrize("name", ANSWERS)
def test_strange_frames_that_are_read(name):
    make, values = ANSWERS[name]
    assert np.array_equal(to_series(make()).values, np.array(values, float), equal_nan=True)


@pytest.mark.parametrize("name", REFUSALS)
def test_strange_frames_that_are_refused(name):
    make, says = REFUSALS[name]
    with pytest.raises(TableError, match=says) as caught:
        to_series(make())
    sentence(caught.value)
