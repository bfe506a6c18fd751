"""What every input must lead to: an answer that agrees with itself, or one sentence; no other error, no warning, in time."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from rcgnn.errors import LONGEST, RcgnnError, visible
from rcgnn.series import Series

SECONDS = 20
"""Beyond this an input counts as a hang."""
ANSWER, REFUSAL = "answer", "refusal"


@contextmanager
def deadline(seconds: float = SECONDS) -> Iterator[None]:
    """Raises TimeoutError in a block that takes longer."""

    def late(*_: object) -> None:
        raise TimeoutError(f"no answer within {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def sentence(error: RcgnnError) -> None:
    """One line of moderate length that ends as a sentence does, and nothing that a terminal obeys."""
    said = str(error)
    assert visible(said) == said, said
    assert said.endswith((".", "?")), said
    assert len(said) <= LONGEST, said


def judged(read: Callable[[], object]) -> str:
    """ANSWER or REFUSAL; anything else is raised."""
    with deadline(), warnings.catch_warnings():
        warnings.simplefilter("error")
        refusal, found = None, None
        try:
            found = read()
        except RcgnnError as error:
            refusal = error
    if refusal is not None:
        assert refusal.exit_code == 2, refusal
        sentence(refusal)
        return REFUSAL
    if isinstance(found, Series):
        whole(found)
    return ANSWER


def whole(series: Series) -> None:
    """Does a series agree with itself?"""
    rows, sensors = series.values.shape
    assert rows
    assert sensors
    assert series.mask.shape == (rows, sensors)
    assert series.mask.any()
    assert np.array_equal(np.isfinite(series.values), series.mask)
    assert np.isnan(series.values[~series.mask]).all()
    assert len(set(series.names)) == sensors
    assert len(series.regime) == len(series.recording) == rows
    if series.time is not None:
        assert (np.diff(series.time)[np.diff(series.recording) == 0] > 0).all()
