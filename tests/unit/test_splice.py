"""Sudden changes of unit or level: found where they are, mended, and never seen where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rcgnn.config import Config
from rcgnn.data.splice import LEAST_SIDE, UNSURE, splice
from rcgnn.pipeline import fit_series
from rcgnn.series import Series, concatenate
from rcgnn.synth import corrupt, simulate

T, AT = 1200, 700


def remembering(seed: int = 0, memory: float = 0.7, sensors: int = 3) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((T, sensors))
    for t in range(1, T):
        x[t] += memory * x[t - 1]
    return x + 4.0


CHANGES = {
    "x 1000": (lambda x: x * 1000, "unit_change", 1000.0),
    "/ 1000": (lambda x: x / 1000, "unit_change", 1e-3),
    "Fahrenheit for Celsius of a large range": (lambda x: 1.8 * x + 320, "level_change", 1.8),
    "elsewhere": (lambda x: x - 40, "level_change", 1.0),
    "upside down and larger": (lambda x: -20 * x, "unit_change", 20.0),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("seed", range(5))
def test_a_change_is_found_where_it_is(name, seed):
    change, kind, factor = CHANGES[name]
    x = remembering(seed)
    x[AT:, 1] = change(x[AT:, 1])
    spliced, found = splice(Series.of(x))
    assert [(f.sensor, f.evidence["kind"], f.code, f.applied) for f in found] == [("x1", kind, "INPUT", True)]
    assert abs(found[0].evidence["rows"][0] - AT) <= UNSURE
    assert found[0].evidence["factors"][0] == pytest.approx(factor, rel=0.25)
    assert np.array_equal(spliced.values[:, [0, 2]], x[:, [0, 2]])


def test_the_last_part_is_left_alone_and_the_others_come_to_it():
    x = remembering()
    clean = x.copy()
    x[AT:, 1] = 1000 * x[AT:, 1]
    spliced = splice(Series.of(x))[0]
    after = slice(AT + UNSURE, None)
    assert np.array_equal(spliced.values[after, 1], x[after, 1])
    together = np.where(spliced.mask[:, 1], spliced.values[:, 1], np.nan)
    kept = np.isfinite(together)
    assert np.corrcoef(together[kept], clean[kept, 1])[0, 1] > 0.97
    lost = np.flatnonzero(~spliced.mask[:, 1])
    assert abs(lost - AT).max() <= 2 * UNSURE
    assert len(lost) == 2 * UNSURE


def test_there_and_back_again_is_two_changes():
    x = remembering(2)
    x[300:600, 0] *= 100
    x[500:, 2] += 50
    x[900:, 2] -= 90
    found = {f.sensor: f.evidence for f in splice(Series.of(x))[1]}
    assert np.allclose(found["x0"]["rows"], [300, 600], atol=UNSURE)
    assert np.allclose(found["x2"]["rows"], [500, 900], atol=UNSURE)
    assert found["x0"]["factors"][0] == pytest.approx(1.0, rel=0.25)


KINDS = ("normal", "heavy", "skew", "walk", "growth", "bursts", "trend", "season", "counts", "switch")


@given(st.integers(0, 10_000), st.floats(0, 0.98), st.sampled_from(KINDS))
@example(197, 0.96875, "skew")
@example(20013, 0.9, "growth")
@settings(max_examples=80, deadline=None)
def test_what_a_process_does_by_itself_is_left_alone(seed, memory, kind):
    rng = np.random.default_rng(seed)
    x = remembering(seed, memory)
    rows = np.arange(T)[:, None]
    if kind == "heavy":
        x = rng.standard_t(2.5, x.shape)
    elif kind == "skew":
        x = np.exp(x / x.std())
    elif kind == "walk":
        x = np.cumsum(rng.standard_normal(x.shape), axis=0)
    elif kind == "growth":
        x = np.exp(0.05 * np.cumsum(rng.standard_normal(x.shape), axis=0))
    elif kind == "bursts":
        x = rng.standard_normal(x.shape) * np.exp(x / x.std())
    elif kind == "trend":
        x = x + 0.05 * rows
    elif kind == "season":
        x = x + 20 * np.sin(rows / 30)
    elif kind == "counts":
        x = rng.poisson(2.0, x.shape).astype(float)
    elif kind == "switch":
        x = x + 60.0 * (rng.random((T, 3)) < 0.5).cumsum(axis=0) % 2
    series = Series.of(x)
    spliced, found = splice(series)
    assert found == ()
    assert spliced is series


@pytest.mark.parametrize("rows", [0, 1, 2 * LEAST_SIDE - 1])
def test_too_few_readings_to_tell(rows):
    x = np.random.default_rng(0).standard_normal((max(rows, 1), 2))
    x[rows // 2 :] *= 1000
    assert splice(Series.of(x[:rows] if rows else np.full((1, 2), np.nan)))[1] == ()


def test_numbers_at_the_ends_of_the_float_range_do_not_stop_it():
    x = remembering()
    x[:, 0] = np.where(np.arange(T) % 2, 1.7e308, -1.7e308)
    x[:, 1] = 5e-324
    x[AT:, 2] *= 1e200
    assert [f.sensor for f in splice(Series.of(x))[1]] == ["x2"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("most", [1e308, 1e307, 1e300])
def test_readings_near_the_largest_float_raise_no_warning(most):
    x = remembering()
    x *= most / np.abs(x).max()
    assert splice(Series.of(x))[1] == ()


def test_gaps_are_passed_over():
    x = remembering(3)
    x[AT:, 1] *= 1000
    x[np.random.default_rng(1).random(x.shape) < 0.4] = np.nan
    spliced, found = splice(Series.of(x))
    assert abs(found[0].evidence["rows"][0] - AT) <= 3 * UNSURE
    assert not spliced.mask[np.isnan(x)].any()


def test_modes_and_recordings_may_differ():
    x = remembering()
    x[AT:, 1] *= 1000
    two = concatenate([Series.of(x[:AT]), Series.of(x[AT:])])
    assert splice(two)[1] == ()


@pytest.mark.parametrize("system", ["linear", "nonlinear", "station"])
def test_the_graph_survives_a_change_of_unit_in_the_middle(system):
    plant = simulate(system, seed=3, rows=800, sensors=6) if system != "station" else simulate(system, seed=3, rows=800)
    readings = corrupt(plant.series, {"missing": 0.05}, seed=3)
    changed = readings.values.copy()
    changed[400:, 2] *= 1000
    config = Config().override(["select.refine=off"])
    before, after = (
        {(i, j) for _, i, j in fit_series(s, config).graph.links()} for s in (readings, readings.with_values(changed, readings.mask))
    )
    assert len(before & after) >= 0.9 * len(before | after)
    fit = fit_series(readings.with_values(changed, readings.mask), config.override(["data.clean=off"]))
    assert not any(f.evidence.get("kind") == "unit_change" for f in fit.findings)
