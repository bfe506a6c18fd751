"""Curves that the screen chose: are they more than the luckiest of all that were offered?"""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn import stages
from rcgnn.config import Config
from rcgnn.pipeline import fit_series
from rcgnn.screen.curves import borne_out, curves
from rcgnn.screen.features import Sample
from rcgnn.screen.rowwise import rowwise
from rcgnn.screen.stored import Stored
from rcgnn.screen.turning import told
from rcgnn.select.effects import strengths
from rcgnn.series import Series
from rcgnn.synth import simulate

QUICK = Config().override(["select.halves=0", "select.shifted_copies=3", "select.refine=off", "data.max_lag=2"])


def straight(seed: int) -> Series:
    return simulate("linear", seed=seed, rows=1200, sensors=12).series


def one_curve() -> Series:
    x = np.random.default_rng(5).standard_normal((1500, 4))
    x[1:, 2] += 0.6 * (x[:-1, 0] ** 2 - 1)
    x[1:, 3] += 0.8 * x[:-1, 1]
    return Series.of(x, names=["a", "b", "bent", "straight"])


def test_of_many_curves_that_are_offered_some_are_chosen_by_luck_and_hardly_any_is_borne_out():
    found = [fit_series(straight(seed), QUICK).screened for seed in range(4)]
    assert all(set(one.bases) == {"nonlinear"} for one in found)
    assert sum(sum(one.curved) for one in found) > 0
    assert sum(one.bends(0.05) for one in found) <= 1


def test_a_real_curve_is_borne_out_and_no_other():
    found = fit_series(one_curve(), QUICK).screened
    assert borne_out(found.features, found.by_luck(), 0.05).tolist() == [False, False, True, False]
    assert found.bends(0.05)
    assert not borne_out(found.features, found.by_luck(), 1e-300).any()
    assert found.needed(0.05)[2] == "nonlinear"
    assert found.needed(0.05)[3] == "linear"
    bent = curves(found.features[2], found.ordered.locals[2])
    assert {tuple(found.features[2].owner[f]) for f in bent} == {(0, 0)}
    assert curves(found.features[3], found.ordered.locals[3]).size == 0


@pytest.mark.parametrize(("series", "trained"), [(straight(0), False), (one_curve(), True)], ids=["straight", "bent"])
def test_the_network_is_trained_where_a_curve_is_borne_out(series, trained):
    done = fit_series(series, QUICK.override(["select.refine=auto", "train.epochs=1"]))
    assert ("network" not in done.summary) == trained
    assert (len(done.records) > 0) == trained
    if not trained:
        assert done.summary["network"].startswith("not trained: straight lines explain every sensor")


def test_shifted_copies_are_offered_what_the_table_needed(monkeypatch):
    asked = []
    real = stages.by_chance
    monkeypatch.setattr(stages, "by_chance", lambda sample, config, bases: asked.append(list(bases)) or real(sample, config, bases))
    done = fit_series(one_curve(), QUICK)
    assert asked == [["linear", "linear", "nonlinear", "linear"]] == [done.screened.needed(0.05)]


def test_a_screen_that_was_kept_says_the_same_of_its_curves():
    done = fit_series(one_curve(), QUICK)
    sample = Sample(done.signal.draws, done.prepared.scaled.mask, done.prepared.scaled.segments(), QUICK.data.lags)
    again = Stored.of(done.screened, strengths(done.screened)).again(sample)
    assert again.bends(0.05)
    assert again.needed(0.05) == done.screened.needed(0.05)
    np.testing.assert_array_equal(again.by_luck(), done.screened.by_luck())


def test_a_screen_that_was_kept_doubts_the_same_directions():
    """Two white sensors within one row: which way, nobody can tell, also after an interruption."""
    x = np.random.default_rng(0).standard_normal((600, 3))
    x[:, 1] = 0.8 * x[:, 0] + 0.6 * x[:, 1]
    done = fit_series(Series.of(x, names=["a", "b", "c"]), QUICK.override(["data.max_lag=8"]))
    sample = Sample(done.signal.draws, done.prepared.scaled.mask, done.prepared.scaled.segments(), 8)
    again = Stored.of(done.screened, strengths(done.screened)).again(sample)
    assert not told(done.screened).all()
    np.testing.assert_array_equal(told(again), told(done.screened))
    np.testing.assert_allclose(rowwise(again), rowwise(done.screened))
