"""Cleaning takes what is wrong, keeps what is not, and never reaches over a segment."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rcgnn.data.cleaning import clean
from rcgnn.data.quality import inspect
from rcgnn.data.readers import read_table
from rcgnn.data.rolling import TREND_WINDOW, rolling
from rcgnn.errors import ConfigError
from rcgnn.series import Series, concatenate

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="development data sets are not on this machine")
T, N = 1500, 6
STUCK, SENTINEL, SPIKE = 1, 2, 3


def healthy(seed: int = 0, rows: int = T) -> np.ndarray:
    rng = np.random.default_rng(seed)
    memory = rng.uniform(0.4, 0.8, N)
    x = np.zeros((rows + 50, N))
    for t in range(1, rows + 50):
        x[t] = memory * x[t - 1] + rng.normal(size=N)
    return x[50:]


def cleaned(x: np.ndarray, mode="auto", **more):
    s = replace(Series.of(x), **more)
    return clean(s, inspect(s), mode)


def same(a: Series, b: Series) -> bool:
    return np.array_equal(a.values, b.values, equal_nan=True) and np.array_equal(a.mask, b.mask)


def test_off_returns_the_series_itself():
    s = Series.of(healthy())
    result = clean(s, inspect(s), "off")
    assert result.series is s
    assert not result.trend.any()
    assert not result.removed.any()
    assert result.findings == ()


def test_auto_leaves_healthy_sensors_alone():
    for seed in range(5):
        s = Series.of(healthy(seed))
        result = clean(s, inspect(s), "auto")
        assert (result.removed > 0).mean() < 0.001
        assert not result.trend.any()
        assert np.array_equal(result.series.values[result.removed == 0], s.values[result.removed == 0])


def test_the_series_passed_in_is_not_changed():
    x = healthy()
    x[100] += 40
    s = Series.of(x)
    before = s.values.copy()
    clean(s, inspect(s), "on")
    assert np.array_equal(s.values, before)


def test_each_defect_gets_its_code():
    x = healthy()
    x[200:260, 0] = x[200, 0]
    x[::100, 1] = -999
    spikes = np.arange(37, T, 120)
    x[spikes, 2] += 15
    result = cleaned(x)
    assert (result.removed[201:260, 0] == STUCK).all()
    assert result.removed[200, 0] == 0
    assert (result.removed[::100, 1] == SENTINEL).all()
    assert (result.removed[spikes, 2] == SPIKE).all()
    assert (result.removed[:, 3:] > 0).sum() <= 2
    assert not result.series.mask[result.removed > 0].any()
    told = {(f.sensor, f.evidence["kind"]): f for f in result.findings}
    assert told["x0", "stuck"].evidence["cells"] == 59
    assert told["x0", "stuck"].applied
    assert told["x2", "spike"].evidence["cells"] >= len(spikes)


def test_an_event_with_flanks_is_kept_a_lone_spike_is_taken():
    x = healthy()
    flank = np.array([4, 5.5, 30, 5.5, 4])
    x[400:405, 0] = flank * x[:, 0].std()
    x[700, 0] = 30 * x[:, 0].std()
    x[699, 0] = x[701, 0] = 0
    result = cleaned(x)
    assert (result.removed[400:405, 0] == 0).all()
    assert result.removed[700, 0] == SPIKE


def test_bursty_sensors_keep_their_bursts_unless_told_otherwise():
    rng = np.random.default_rng(1)
    x = healthy()
    x[:, 0] = rng.poisson(2.0, T) * rng.pareto(1.2, T)
    assert not cleaned(x).removed[:, 0].any()
    assert (cleaned(x, "on").removed[:, 0] == SPIKE).mean() > 0.02


def test_spikes_below_the_quantisation_step_are_noise():
    x = np.zeros((600, 1))
    x[::7] = 1.0
    x += np.random.default_rng(0).integers(0, 2, x.shape)
    assert not (cleaned(x, "on").removed == SPIKE).any()


def test_drift_is_removed_only_where_it_is():
    x = healthy()
    x[:, 1] += 8 * np.sin(np.arange(T) / 300)
    result = cleaned(x)
    assert np.flatnonzero(result.trend.any(axis=0)).tolist() == [1]
    assert result.series.values[:, 1].std() < 0.5 * x[:, 1].std()
    assert any(f.evidence["kind"] == "detrended" and f.sensor == "x1" for f in result.findings)
    assert cleaned(x, "on").trend.any(axis=0).all()


def test_self_masked_gaps_without_drift_are_not_detrended():
    x = healthy()
    x[np.random.default_rng(0).random(x.shape) < 1 / (1 + np.exp(-2 * (x - 1)))] = np.nan
    s = Series.of(x)
    report = inspect(s)
    assert any(q.missing_pattern == "mnar" for q in report.sensors)
    assert not clean(s, report, "auto").trend.any()


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_series_plus_trend_is_what_was_read(mode):
    x = healthy() + np.cumsum(np.random.default_rng(2).normal(size=(T, N)), axis=0)
    x[np.random.default_rng(3).random(x.shape) < 0.3] = np.nan
    result = cleaned(x, mode)
    assert np.isfinite(result.trend).all()
    kept = result.series.mask
    assert np.allclose(result.series.values[kept] + result.trend[kept], x[kept])
    assert np.array_equal(kept, np.isfinite(x) & (result.removed == 0))


def test_units_do_not_matter():
    x = healthy()
    x[:, 1] += 8 * np.sin(np.arange(T) / 300)
    x[::120, 2] += 15
    plain, scaled = cleaned(x), cleaned(x * 1e6)
    assert np.array_equal(plain.removed, scaled.removed)
    assert np.allclose(plain.trend * 1e6, scaled.trend)
    moved = cleaned(x + 1e9)
    assert np.allclose(plain.trend[:, 1] + 1e9, moved.trend[:, 1], rtol=1e-12)


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_nothing_reaches_over_a_segment(mode):
    """Another recording, far away in level, changes nothing in this one as long as the sensor-wide rules stay the same."""
    x = healthy()
    x[300:330, 0] = x[300, 0]
    x[::90, 2] += 15
    first, second = Series.of(x[:700]), Series.of(x[700:])
    changed = second.with_values(np.roll(second.values, 13, axis=0), second.mask)
    s, other = concatenate([first, second]), concatenate([first, changed])
    report = inspect(s)
    drifting = tuple(replace(q, drift=True) for q in report.sensors)
    report = replace(report, sensors=drifting)
    a, b = clean(s, report, mode), clean(other, report, mode)
    assert np.allclose(a.trend[:700], b.trend[:700])
    joined = clean(Series.of(x), report, mode)
    assert not np.allclose(a.trend[:700], joined.trend[:700])
    assert np.allclose(a.trend[:600], joined.trend[:600])


def test_a_run_over_a_cut_is_two_runs():
    x = healthy()
    x[697:703, 0] = 1.25
    x[100:140, 0] = x[100, 0]
    s = Series.of(x)
    cut = replace(s, recording=(np.arange(T) >= 700).astype(np.int64))
    assert (clean(s, inspect(s), "auto").removed[697:703, 0] == STUCK).sum() == 5
    assert (clean(cut, inspect(cut), "auto").removed[697:703, 0] == STUCK).sum() == 0


def test_refusals():
    s = Series.of(healthy())
    with pytest.raises(ConfigError, match="auto, on or off"):
        clean(s, inspect(s), "maybe")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="other sensors"):
        clean(s, inspect(s.sensors([1, 0])), "auto")


@pytest.mark.parametrize("rows", [1, 3, 30])
@pytest.mark.parametrize("mode", ["auto", "on", "off"])
def test_short_and_odd_tables(rows, mode):
    x = np.full((rows, 4), np.nan)
    x[:, 1] = 5.0
    x[:, 2] = np.arange(rows)
    x[:, 3] = np.where(np.arange(rows) % 2, 1.7e308, -1.7e308)
    result = cleaned(x, mode)
    assert np.isfinite(result.trend).all()
    assert not (result.removed[:, :2] > 0).any()


def test_rolling_against_the_definition():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    x[rng.random(x.shape) < 0.3] = np.nan
    segments = [slice(0, 25), slice(25, 26), slice(26, 60)]
    for kind, rule in (("median", np.median), ("mean", np.mean)):
        got = rolling(x, segments, 7, kind, 2)
        for segment in segments:
            for t in range(segment.start, segment.stop):
                for j in range(2):
                    near = x[max(segment.start, t - 3) : min(segment.stop, t + 4), j]
                    near = near[np.isfinite(near)]
                    expected = rule(near) if len(near) >= 2 else np.nan
                    assert got[t, j] == pytest.approx(expected, nan_ok=True)


@needs_data
def test_real_sets_lose_little_and_fast():
    for name, most in (("air_quality_uci", 0.001), ("danube", 0.001), ("petshop_latency_low", 0.01), ("lorenz96_f10", 0.001)):
        s = read_table(DATA / name)
        report = inspect(s)
        start = time.perf_counter()
        result = clean(s, report, "auto")
        assert time.perf_counter() - start < 2
        assert (result.removed > 0).sum() / s.mask.sum() <= most, name


def test_trend_window_is_the_documented_one():
    assert TREND_WINDOW == 101


def test_blocks_of_sensors_and_slabs_of_rows_change_nothing(monkeypatch):
    """Large tables are looked at in parts, so parts of a small one must say what the whole says."""
    x = healthy()
    x[::7, 0], x[400:460, 1], x[90, 2] = np.nan, x[400, 1], 50.0
    x[:, 3] += np.linspace(0, 30, T) ** 2
    series = Series.of(x)
    whole = inspect(series)
    taken = clean(series, whole)
    assert set(np.unique(taken.removed)) >= {0, STUCK, SPIKE}
    assert taken.trend.any()
    monkeypatch.setattr("rcgnn.series.BLOCK_CELLS", 2 * T)
    monkeypatch.setattr("rcgnn.series.SLAB", 100)
    parts = inspect(series)
    assert parts.to_dict() == {**whole.to_dict(), "common_mode": pytest.approx(whole.common_mode, rel=1e-9)}
    for report in (parts, replace(parts, marks=None)):
        again = clean(series, report)
        assert same(again.series, taken.series)
        assert np.array_equal(again.trend, taken.trend)
        assert np.array_equal(again.removed, taken.removed)
