"""`traces.npz`: raw = signal + bias + noise, no spike lost, small whatever the table."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.encode import as_npz
from rcgnn.pipeline import fit_series
from rcgnn.report.run_data import table_data
from rcgnn.report.traces import MOST_POINTS, thinned, traces
from rcgnn.series import Series
from rcgnn.synth import corrupt, simulate

MEGABYTE = 1_048_576


@pytest.fixture(scope="module")
def fitted():
    plant = simulate("linear", seed=3, rows=900, sensors=4)
    readings = corrupt(plant.series, {"missing": 0.1, "outliers": 0.01, "drift": 1.0, "noise": 0.3}, seed=3)
    return readings, fit_series(readings, Config().override(["select.refine=off", "data.max_lag=2"]))


def test_parts_add_up_to_the_reading(fitted):
    readings, fit = fitted
    made = traces(readings, fit.prepared, fit.signal)
    counted = np.isfinite(made["noise"])
    assert counted.mean() > 0.5
    assert (made["raw"] - made["clean"])[counted] == pytest.approx(made["noise"][counted], rel=1e-4, abs=1e-3)
    assert not counted[made["removed"] > 0].any()
    assert made["removed"].any()
    drifting = np.isfinite(made["bias"]).all(axis=1)
    assert drifting.tolist() == fit.prepared.cleaned.trend.any(axis=0).tolist()
    assert drifting.any()
    moved = np.nanstd(made["bias"][drifting], axis=1)
    assert (np.nanmedian(np.abs(made["noise"][drifting]), axis=1) < 0.3 * moved).all(), "what drifts is bias, not noise"


def test_without_a_state_space_there_is_no_noise():
    plant = simulate("linear", seed=3, rows=300, sensors=3)
    fit = fit_series(plant.series, Config().override(["select.refine=off", "data.max_lag=1", "signal.smooth=off"]))
    made = traces(plant.series, fit.prepared, fit.signal)
    assert np.isnan(made["noise"]).all()
    assert np.isfinite(made["clean"]).all()


def test_raw_and_level_give_the_reading_back(fitted):
    readings, fit = fitted
    made = traces(readings, fit.prepared, fit.signal)
    back = made["raw"] + made["level"][:, None]
    assert back == pytest.approx(np.take_along_axis(readings.values.T, made["row"], axis=1), rel=1e-5, abs=1e-5, nan_ok=True)


def test_no_spike_is_lost():
    values = np.zeros((5000, 2))
    values[3217, 0], values[44, 1] = 99.0, -99.0
    row = thinned(values, MOST_POINTS)
    assert row.shape == (2, MOST_POINTS)
    assert 3217 in row[0]
    assert 44 in row[1]
    assert (np.diff(row, axis=1) >= 0).all()


@pytest.mark.parametrize(("rows", "sensors"), [(5000, 60), (5000, 100), (40_000, 3), (1, 1), (3, 700)])
def test_small_whatever_the_table(rows, sensors):
    made = traces(Series.of(np.random.default_rng(0).normal(size=(rows, sensors))))
    assert len(as_npz(made)) < MEGABYTE
    assert made["row"].shape[0] == sensors
    assert made["row"].max() == rows - 1 or rows > MOST_POINTS


def test_the_map_of_what_was_read():
    values = np.ones((400, 1))
    values[100:200] = np.nan
    made = traces(Series.of(values))
    at = made["bin_start"]
    assert made["observed"][0].tolist() == [0 if 100 <= start < 200 else 100 for start in at]


def test_huge_and_missing_readings_are_no_error():
    values = np.full((30, 2), np.nan)
    values[:, 0] = np.linspace(-1e300, 1e300, 30)
    made = traces(Series.of(values))
    told = table_data_of(made)
    assert told[1]["raw"] is None
    assert told[0]["raw"] is None, "beyond 32 bits: not drawn"


def table_data_of(made):
    from rcgnn.graph import CausalGraph

    return table_data(CausalGraph.empty(tuple(made["names"].tolist()), 1), {}, made)["traces"]


def test_a_large_level_does_not_eat_a_small_movement():
    values = 1e9 + np.arange(50.0)[:, None] / 100
    told = table_data_of(traces(Series.of(values)))[0]["raw"]
    assert len(set(told)) == 50
