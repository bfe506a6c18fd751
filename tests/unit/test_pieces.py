"""Scores piece by piece: how a table is cut, what a piece counts, and how pieces and the whole are blended."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcgnn.config import Config, ScreenConfig
from rcgnn.looks import Looks
from rcgnn.pipeline import fit_series
from rcgnn.screen import pieces as pieces_module
from rcgnn.screen.features import Sample
from rcgnn.screen.pieces import LEAST_PIECES, LEAST_ROWS, ROWS_PER_SENSOR, Pieces, blend, by_pieces, cut
from rcgnn.series import Series

LINEAR = ScreenConfig(basis="linear")


def table(rows: int, linked_until: int, seed: int = 0) -> np.ndarray:
    """x0 drives x1 a step later, up to some row; x2 is apart."""
    x = np.random.default_rng(seed).standard_normal((rows, 3))
    x[1:linked_until, 1] += 2.0 * x[: linked_until - 1, 0]
    return (x - x.mean(axis=0)) / x.std(axis=0)


def pieces_of(x: np.ndarray, config: ScreenConfig = LINEAR) -> Pieces | None:
    return by_pieces(Looks(Sample(x[None], np.ones(x.shape, bool), [slice(0, len(x))], 2)), config)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=12), st.integers(1, 12), st.integers(0, 12))
def test_pieces_hold_every_row_once_and_are_never_short(lengths, sensors, most):
    edges = np.cumsum([0, *lengths])
    segments = [slice(int(a), int(b)) for a, b in pairwise(edges)]
    parts = cut(segments, int(edges[-1]), sensors, most)
    if not parts:
        assert most < LEAST_PIECES or edges[-1] < LEAST_PIECES * max(LEAST_ROWS, ROWS_PER_SENSOR * sensors)
        return
    assert LEAST_PIECES <= len(parts) <= most
    rows = [r for part in parts for s in part for r in range(s.start, s.stop)]
    assert rows == list(range(int(edges[-1])))
    assert min(sum(s.stop - s.start for s in part) for part in parts) >= max(LEAST_ROWS, ROWS_PER_SENSOR * sensors) - 1
    assert all(any(t.start <= s.start and s.stop <= t.stop for t in segments) for part in parts for s in part)


def test_a_short_table_is_not_cut():
    assert pieces_of(table(1000, 1000)) is None
    assert pieces_of(table(3000, 3000), LINEAR.model_copy(update={"pieces": 0})) is None


def test_a_lasting_link_holds_in_every_piece_and_a_passing_one_in_its_share():
    lasting, passing = pieces_of(table(4000, 4000)), pieces_of(table(4000, 1000))
    assert lasting.count == passing.count == 8
    assert lasting.share[0, 1] == 1.0
    assert passing.share[0, 1] == pytest.approx(0.25)
    assert lasting.log_score[0, 1] > 3 * passing.log_score[0, 1] > 0
    assert lasting.share[2, 0] == 0.0
    assert lasting.log_score[2, 0] < 0.5


def test_a_sensor_that_came_late_is_judged_by_the_pieces_in_which_it_was_read():
    x = table(4000, 4000)
    keep = np.ones(x.shape, bool)
    keep[:2900, 1] = False  # 100 of the 500 rows of the sixth piece, all of the last two
    late = by_pieces(Looks(Sample(x[None], keep, [slice(0, len(x))], 2)), LINEAR)
    assert late.share[0, 1] == 1.0
    keep[:2950, 1] = False
    keep[3000:, 1] = False  # too few rows everywhere: every piece counts
    assert by_pieces(Looks(Sample(x[None], keep, [slice(0, len(x))], 2)), LINEAR).share[0, 1] == pytest.approx(1 / 8)


def test_the_blend_ranks_what_lasts_above_what_passed_and_keeps_the_lags():
    score = np.zeros((3, 3, 3))
    score[1, 0, 1], score[2, 0, 1], score[1, 2, 1], score[1, 1, 2] = 50.0, 5.0, 80.0, 0.5
    log_score = np.zeros((3, 3))
    log_score[0, 1] = 4.0
    mixed = blend(score, Pieces(log_score, np.zeros((3, 3)), 4))
    assert mixed[1, 0, 1] > mixed[1, 2, 1] > 1 > mixed[1, 1, 2] == 0.5
    assert mixed[2, 0, 1] / mixed[1, 0, 1] == pytest.approx(0.1)
    assert mixed[1, 0, 1] == pytest.approx(np.exp(4.0 + 0.2 * np.log(50.0)))


def test_a_link_of_one_stretch_is_no_link_of_the_system():
    settings_ = Config().override(["select.refine=off", "data.max_lag=2"])
    passing, lasting = (fit_series(Series.of(table(4000, until)), settings_).graph for until in (1000, 4000))
    assert lasting.summary[0, 1]
    assert not passing.summary.any()
    uncut = fit_series(Series.of(table(4000, 1000)), settings_.override(["screen.pieces=0"])).graph
    assert uncut.summary[0, 1]


def test_each_piece_draws_by_itself_so_that_none_waits_for_another(monkeypatch):
    found, drawn = pieces_module.screen, []
    monkeypatch.setattr(pieces_module, "screen", lambda *args, rng, **more: drawn.append(rng.random()) or found(*args, rng=rng, **more))
    x = np.random.default_rng(0).standard_normal((1600, 2))
    sample = Sample(x[None], np.ones(x.shape, bool), [slice(0, len(x))], 2)
    assert by_pieces(Looks(sample), LINEAR, rng=np.random.default_rng).count == 3
    assert drawn == [np.random.default_rng(number).random() for number in range(3)]
