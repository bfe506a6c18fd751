"""Every row for itself: few rows, bursts and slow waves carry no link; real links are carried by all rows."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.graph import LINK, UNDECIDED
from rcgnn.pipeline import fit_series
from rcgnn.screen import rowwise as room
from rcgnn.screen.rowwise import WAVES, rowwise, slow_waves
from rcgnn.screen.score import log_chi2_tail
from rcgnn.series import Series
from rcgnn.verdict import UNEVEN

QUICK = Config().override(["select.halves=0", "select.shifted_copies=0", "select.refine=off", "data.max_lag=1", "signal.smooth=off"])


def driven(rows=400, weight=0.5):
    """a drives b one row later; c has nothing to do with them."""
    x = np.random.default_rng(0).standard_normal((rows, 3))
    x[1:, 1] += weight * x[:-1, 0]
    return x


def fitted(x, *more):
    return fit_series(Series(x, np.isfinite(x), ("a", "b", "c")), QUICK.override([*more]))


def test_a_link_of_one_feature_has_the_statistic_of_the_formula():
    found = fitted(driven(), "screen.basis=linear").screened
    x = found.tables.draws[0]
    a, b, own = x[:-1, 0], x[1:, 1], x[:-1, 1]
    given = np.column_stack([slow_waves((np.arange(1, 400) + 0.5) / 400), own])
    rest = np.eye(399) - given @ np.linalg.pinv(given)
    g = (rest @ a) * (rest @ b)
    by_hand = log_chi2_tail(np.array([g.sum() ** 2 / (g**2).sum()]), np.array([1]))[0]
    assert found.evidence.chosen[1, 0, 1]
    assert rowwise(found)[0, 1] == pytest.approx(by_hand, rel=1e-6)
    assert by_hand < -20


def test_pairs_that_were_not_chosen_have_no_p_value():
    found = fitted(driven()).screened
    assert (rowwise(found)[~found.evidence.chosen.any(axis=0)] == 0).all()


def with_one_row_in_a_hundred():
    """Rare jumps of c meet jumps of b one row later, four times; the likelihood ratio takes that for a law."""
    x = driven(weight=0.0)
    x[[50, 150, 250, 350], 2] += 5.0
    x[[51, 151, 251, 351], 1] += [6.0, 6.0, 6.0, 6.0]
    return x


def test_four_rows_are_no_link_however_large_the_likelihood_ratio():
    done = fitted(with_one_row_in_a_hundred(), "data.clean=off")
    assert done.screened.evidence.chosen[1, 2, 1]
    assert done.screened.log_p[2, 1] < -30
    assert rowwise(done.screened)[2, 1] > -7
    assert done.graph.verdict[1, 2, 1] == UNDECIDED
    assert done.graph.reasons[1, 2, 1] == UNEVEN


def test_a_link_that_all_rows_carry_stays():
    assert fitted(driven()).graph.verdict[1, 0, 1] == LINK


def test_the_unit_of_a_sensor_changes_nothing():
    x = driven()
    one, other = (rowwise(fitted(x * unit, "screen.basis=linear").screened)[0, 1] for unit in (1.0, np.array([1e4, 1e-3, 7.0])))
    assert one == pytest.approx(other, rel=1e-6)


def test_a_long_table_is_not_asked(monkeypatch):
    found = fitted(driven()).screened
    monkeypatch.setattr(room, "MOST_ROWS", 398)
    assert rowwise(found) is None


def test_bursts_and_tails_rarely_pass_the_level():
    """Noise of all sizes, alike above and below: two features of nothing pass a level of .01 about as often as they should."""
    rng = np.random.default_rng(3)
    passed = 0
    for _ in range(400):
        b, e = rng.standard_t(2, size=(2, 200)) * np.exp(np.repeat(rng.standard_normal((2, 10)), 20, axis=1))
        g = b * e
        passed += log_chi2_tail(np.array([g.sum() ** 2 / (g**2).sum()]), np.array([1]))[0] < np.log(0.01)
    assert passed <= 10


def test_slow_waves_reach_down_to_a_quarter_of_the_table():
    waves = slow_waves((np.arange(800) + 0.5) / 800)
    assert waves.shape == (800, 1 + WAVES)
    turns = (np.diff(np.sign(waves), axis=0) != 0).sum(axis=0)
    assert turns.tolist() == list(range(9))
    np.testing.assert_allclose(waves.T @ waves / 800, np.diag([1.0] + [0.5] * WAVES), atol=1e-12)
