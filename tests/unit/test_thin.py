"""Very long tables: the screen sees pieces of them, says so, and finds the same links."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.answer import FEW_ROWS
from rcgnn.config import Config
from rcgnn.pipeline import fit_series
from rcgnn.screen import moments, thin
from rcgnn.screen.features import Sample, build
from rcgnn.screen.moments import Moments
from rcgnn.signal import draws
from rcgnn.synth import simulate

ROWS = 6_000


def long_sample(rows: int = ROWS, sensors: int = 3) -> Sample:
    x = np.arange(rows * sensors, dtype=float).reshape(1, rows, sensors)
    return Sample(x, x[0] % 7 > 0, [slice(0, rows // 3), slice(rows // 3, rows)], 2)


def kinds(fit) -> list[str]:
    return [f.evidence["kind"] for f in fit.findings if f.code == "INPUT"]


def test_a_table_that_is_cheap_enough_is_left_alone():
    sample = long_sample()
    assert thin.thinned(sample, ["auto"] * 3) is sample
    assert thin.about(sample, ROWS) == []
    assert sample.of(sample.keep) is sample.keep


def test_pieces_are_whole_spread_and_within_what_is_allowed(monkeypatch):
    sample = long_sample()
    monkeypatch.setattr(thin, "PIECE", 300)
    monkeypatch.setattr(thin, "MOST_OPERATIONS", 1900 * thin.operations(3, 2, ["linear"] * 3))
    found = thin.thinned(sample, ["linear"] * 3)
    assert 1500 <= len(found.rows) <= 1900
    assert (found.rows[0], found.rows[-1]) == (0, ROWS - 1)
    assert sum(s.stop - s.start for s in found.segments) == len(found.rows) == len(found.keep)
    for part in found.segments:
        rows = found.rows[part]
        assert (np.diff(rows) == 1).all()
        assert rows[0] >= ROWS // 3 or rows[-1] < ROWS // 3  # no piece reaches over the end of a segment
    np.testing.assert_array_equal(found.signal, sample.signal[:, found.rows])
    np.testing.assert_array_equal(found.keep, sample.of(sample.keep)[found.rows])
    assert thin.about(found, ROWS)[0].evidence == {"kind": "pieces", "rows": len(found.rows), "of": ROWS}


def test_curves_and_draws_cost_rows(monkeypatch):
    monkeypatch.setattr(thin, "PIECE", 10)
    monkeypatch.setattr(thin, "MOST_OPERATIONS", 1e5)
    straight, curved = (len(thin.thinned(long_sample(), [basis] * 3).rows) for basis in ("linear", "auto"))
    assert curved < straight < ROWS
    twice = long_sample()
    twice = thin.thinned(Sample(np.repeat(twice.signal, 2, axis=0), twice.keep, twice.segments, 2), ["linear"] * 3)
    assert len(twice.rows) == pytest.approx(straight / 2, abs=20)


@pytest.mark.parametrize("basis", ["linear", "nonlinear"])
def test_the_operations_are_those_of_the_sums(basis, monkeypatch):
    """Numbers that enter a product of matrices, counted where the products are formed one target at a time."""
    sensors, lags, rows = 5, 2, 40
    tables = build(np.random.default_rng(0).standard_normal((1, rows, sensors)), [slice(0, rows)], max_lag=lags, basis=basis)
    plain, own = tables.plain, thin.products(sensors) * lags if basis == "nonlinear" else 0
    assert thin.operations(sensors, lags, [basis] * sensors) == plain**2 + sensors * own * (2 * plain + own)
    assert Moments.of(tables).every.second.shape == (plain, plain)
    assert plain < moments.DENSE


def test_a_long_table_gives_the_links_of_its_pieces(monkeypatch):
    made = simulate("linear", seed=5, rows=ROWS, sensors=5)
    config = Config().override(["select.refine=off", "select.halves=4", "select.shifted_copies=2", "data.max_lag=2"])
    whole = fit_series(made.series, config)
    monkeypatch.setattr(thin, "MOST_OPERATIONS", 2500 * thin.operations(5, 2, ["auto"] * 5))
    part = fit_series(made.series, config)
    assert kinds(part).count("pieces") == 1
    assert "pieces" not in kinds(whole)
    assert len(part.screened.tables.at) < 2500
    assert set(part.graph.links()) <= set(whole.graph.links())
    assert len(part.graph.links()) >= 0.7 * len(whole.graph.links()) > 3


def test_a_table_too_large_for_the_state_space_says_so(monkeypatch):
    made = simulate("linear", seed=6, rows=400, sensors=4).series
    x = np.where(np.random.default_rng(0).random(made.shape) < 0.1, np.nan, made.values)
    gappy = type(made).of(x, names=made.names)
    config = Config().override(["select.refine=off", "select.halves=0", "select.shifted_copies=0"])
    assert "bridged" not in kinds(fit_series(gappy, config))
    monkeypatch.setattr(draws, "MOST_READINGS", 1_000)
    without = fit_series(gappy, config)
    assert kinds(without).count("bridged") == 1
    assert not without.signal.smoothed
    forced = fit_series(gappy, config.override(["signal.smooth=on"]))
    assert forced.signal.smoothed
    assert "bridged" not in kinds(forced)


def test_short_segments_give_as_many_rows_as_long_ones(monkeypatch):
    rows = 40_000
    x = np.arange(rows * 2, dtype=float).reshape(1, rows, 2)
    monkeypatch.setattr(thin, "MOST_OPERATIONS", 10_000 * thin.operations(2, 2, ["linear"] * 2))
    for length in (50, 200, 1_000):
        segments = [slice(a, a + length) for a in range(0, rows, length)]
        found = thin.thinned(Sample(x, np.ones((rows, 2), bool), segments, 2), ["linear"] * 2)
        assert len(found.rows) == pytest.approx(10_000, rel=0.05)
    short = [*(slice(a, a + 2) for a in range(0, 20_000, 2)), slice(20_000, rows)]
    found = thin.thinned(Sample(x, np.ones((rows, 2), bool), short, 2), ["linear"] * 2)
    assert found.rows.min() == 20_000  # rows without a whole past are of no use


def test_a_cause_that_the_pieces_do_not_show_is_an_open_question(monkeypatch):
    made = simulate("linear", seed=5, rows=ROWS, sensors=4)
    read = np.ones((ROWS, 4), bool)
    read[:, 0] = False
    read[1_000:1_900, 0], read[4_200:5_000, 0], read[:20, 0] = True, True, True  # pieces of 500 begin at 0, 2,000, 3,500 and 5,500
    series = type(made.series).of(np.where(read, made.series.values, np.nan), names=made.series.names)
    settings = ["select.refine=off", "select.halves=0", "select.shifted_copies=0", "data.max_lag=2", "signal.smooth=off", "data.clean=off"]
    config = Config().override(settings)
    whole = fit_series(series, config)
    monkeypatch.setattr(thin, "PIECE", 500)
    monkeypatch.setattr(thin, "MOST_OPERATIONS", 2_000 * thin.operations(4, 2, ["auto"] * 4))
    part = fit_series(series, config)
    assert len(part.screened.rows) == 2_000
    few = [{key[1:] for key, why in fit.decision.reasons.items() if why == FEW_ROWS} for fit in (whole, part)]
    assert few == [set(), {(i, j) for i, j in np.ndindex(4, 4) if i != j and 0 in (i, j)}]
