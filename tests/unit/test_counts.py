"""Counts are recognised by how they read, and their roots have a steadier spread."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.data.counts import counts, stabilised
from rcgnn.pipeline import fit_series
from rcgnn.series import Series


def bursts(seed: int = 0, rows: int = 400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.poisson(rng.gamma(0.5, 4.0, rows)).astype(float)


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
def test_bursts_are_counts_in_any_unit(unit):
    assert counts(Series.of(bursts()[:, None] * unit)).tolist() == [True]


@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("below zero", bursts() - 1.0),
        ("never zero", bursts() + 1.0),
        ("steady", np.random.default_rng(0).poisson(5.0, 400).astype(float)),
        ("on and off", (np.arange(400) % 5 > 0).astype(float)),
        ("never read", np.full(400, np.nan)),
    ],
)
def test_other_sensors_are_not(name, x):
    assert counts(Series.of(x[:, None])).tolist() == [False], name


def test_a_gap_is_no_zero():
    x = bursts() + 1.0
    x[::3] = np.nan
    assert counts(Series.of(x[:, None])).tolist() == [False]


def test_only_counts_become_roots_above_their_zero():
    x = np.stack([bursts(), np.random.default_rng(1).standard_normal(400)], axis=1)
    series = Series.of(x)
    unit = (x - x.mean(axis=0)) / x.std(axis=0)
    draws = np.stack([unit, unit - 10.0])
    changed = stabilised(draws, series, counts(series))
    np.testing.assert_array_equal(changed[:, :, 1], draws[:, :, 1])
    np.testing.assert_allclose(changed[0, :, 0], np.sqrt(x[:, 0] / x[:, 0].std()), atol=1e-6)
    assert (changed[1, :, 0] == 0.0).mean() > 0.9
    assert draws[0, 0, 0] == unit[0, 0]


def test_without_counts_the_draws_are_handed_on():
    draws = np.zeros((1, 4, 2))
    assert stabilised(draws, Series.of(np.ones((4, 2))), np.zeros(2, bool)) is draws


def driven_counts(rows: int = 600) -> np.ndarray:
    """Four counters; the log rate of 1 follows 0 one row later, the others are alone."""
    rng = np.random.default_rng(3)
    x = np.zeros((rows, 4))
    for t in range(1, rows):
        rate = np.exp(0.3 + np.array([0.0, 0.8 * np.log1p(x[t - 1, 0]) - 0.5, 0.0, 0.0])) * rng.gamma(2.0, 0.5, 4)
        x[t] = np.minimum(rng.poisson(rate), 12) * (rng.random(4) > 0.25)
    return x


def test_counts_are_not_smoothed_have_lines_alone_and_a_second_opinion_in_readings():
    series = Series.of(driven_counts())
    config = Config().override(["select.refine=off", "data.max_lag=2"])
    done = fit_series(series, config)
    assert done.prepared.counted.all()
    assert not done.signal.smoothed
    assert set(done.screened.bases) == {"linear"}
    assert done.graph.links() == [(1, 0, 1)]
    alone = fit_series(series, config.override(["screen.opinions=false"]))
    assert np.abs(done.decision.score - alone.decision.score).max() > 1e-3
    np.testing.assert_array_equal(done.graph.verdict, alone.graph.verdict)
    in_thousands = fit_series(Series.of(1e-3 * series.values), config)
    np.testing.assert_allclose(in_thousands.decision.score, done.decision.score, rtol=1e-6)


def test_counts_beside_other_sensors_keep_their_lines_and_a_chosen_basis_wins():
    x = np.column_stack([driven_counts(), np.random.default_rng(0).standard_normal(600)])
    config = Config().override(["select.refine=off", "data.max_lag=1"])
    mixed = fit_series(Series.of(x), config)
    assert mixed.screened.bases[:4] == ("linear",) * 4
    assert set(fit_series(Series.of(x), config.override(["screen.basis=nonlinear"])).screened.bases) == {"nonlinear"}
    assert (1, 0, 1) in mixed.graph.links()
