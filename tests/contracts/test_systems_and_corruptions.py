"""What every row of SEMS and of CORRUPTIONS promises."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from rcgnn.errors import ConfigError
from rcgnn.series import Series
from rcgnn.synth import CELLS, CORRUPTIONS, DEFAULT_CORRUPTION, NULL_SYSTEMS, SEMS, corrupt, parse_corruption, simulate

ROWS = 600
system = pytest.mark.parametrize("name", SEMS)
corruption = pytest.mark.parametrize("name", CORRUPTIONS)


@pytest.fixture(scope="module")
def clean():
    return simulate("linear", seed=3, rows=1500)


@system
def test_system_gives_readings_and_a_graph_that_fit(name):
    s = simulate(name, seed=5, rows=ROWS)
    assert s.series.shape == (ROWS, 13)
    assert s.series.mask.all()
    assert (s.series.values.std(axis=0) > 0).all()
    assert s.name == name
    assert s.truth.shape == s.strength.shape == s.truth_by_regime.shape[1:] == (s.max_lag + 1, 13, 13)
    assert not s.truth[:, np.arange(13), np.arange(13)].any()
    assert np.array_equal(s.strength != 0, s.truth)
    assert np.isfinite(s.strength).all()
    assert s.truth.any() == (name not in NULL_SYSTEMS)


@system
def test_same_seed_same_numbers_other_seed_others(name):
    one, two, other = (simulate(name, seed=seed, rows=100) for seed in (7, 7, 8))
    assert np.array_equal(one.series.values, two.series.values)
    assert np.array_equal(one.truth, two.truth)
    assert not np.allclose(one.series.values, other.series.values)


@system
def test_more_rows_do_not_change_the_graph(name):
    assert np.array_equal(simulate(name, seed=2, rows=50).truth, simulate(name, seed=2, rows=200).truth)


@system
def test_links_within_the_step_are_acyclic(name):
    for seed in range(4):
        graph = nx.from_numpy_array(simulate(name, seed=seed, rows=20).truth[0].astype(int), create_using=nx.DiGraph)
        assert nx.is_directed_acyclic_graph(graph)


@system
def test_regimes_and_recordings(name):
    s = simulate(name, seed=4, rows=90, regimes=3, recordings=2)
    assert s.series.shape == (180, 13)
    assert s.truth_by_regime.shape[0] == 3
    assert np.array_equal(s.truth_by_regime.any(axis=0), s.truth)
    assert len(s.series.segments()) == 6
    assert s.series.recording.tolist() == [0] * 90 + [1] * 90
    assert not np.allclose(s.series.values[:90], s.series.values[90:])


@system
def test_values_stay_bounded_for_long(name):
    if name == "random_walk":
        pytest.skip("a random walk has no bound")
    values = simulate(name, seed=11, rows=6000).series.values
    z = (values - values.mean(axis=0)) / values[:1000].std(axis=0)
    assert np.abs(z).max() < 12


@system
def test_links_are_named_as_cause_effect_lag(name):
    s = simulate(name, seed=1, rows=20)
    rebuilt = np.zeros_like(s.truth)
    for cause, effect, lag in s.links():
        rebuilt[lag, s.names.index(cause), s.names.index(effect)] = True
    assert np.array_equal(rebuilt, s.truth)


@corruption
def test_table_row_is_complete(name):
    row = CORRUPTIONS[name]
    assert row.doc
    assert row.unit
    assert row.low <= row.default <= row.high
    assert (row.function is None) == bool(row.parts)
    assert parse_corruption(name) == {name: row.default}


@corruption
def test_severity_zero_changes_nothing(name, clean):
    after = corrupt(clean.series, {name: 0.0}, seed=1, truth=clean.truth)
    assert np.array_equal(after.values, clean.series.values)
    assert after.mask.all()


@corruption
def test_default_severity_does_harm_and_leaves_the_input_alone(name, clean):
    before = clean.series.values.copy()
    after = corrupt(clean.series, {name: CORRUPTIONS[name].default}, seed=1, truth=clean.truth)
    assert np.array_equal(clean.series.values, before)
    assert (after.values != before).any()
    assert after.names == clean.series.names
    assert after.mask.any(axis=0).all()


@corruption
def test_seed_decides(name, clean):
    spec = {name: CORRUPTIONS[name].default}
    one, two, other = (corrupt(clean.series, spec, seed=seed, truth=clean.truth).values for seed in (1, 1, 2))
    assert np.array_equal(one, two, equal_nan=True)
    if name != "quantise":
        assert not np.array_equal(one, other, equal_nan=True)


@corruption
def test_harm_does_not_depend_on_units(name, clean):
    """x1024 + offset: the same cells vanish, the same change in the new unit."""
    spec = {name: CORRUPTIONS[name].default}
    other = Series.of(1024.0 * clean.series.values + 4096.0)
    a = corrupt(clean.series, spec, seed=6, truth=clean.truth)
    b = corrupt(other, spec, seed=6, truth=clean.truth)
    assert (a.mask == b.mask).mean() > 0.9999
    both = a.mask & b.mask
    sd = other.values.std(axis=0)
    gap = np.abs(1024.0 * a.values + 4096.0 - b.values) / sd
    assert np.quantile(gap[both], 0.999) < 1e-6


@corruption
def test_what_was_missing_stays_missing(name, clean):
    holes = np.random.default_rng(0).random(clean.series.shape) < 0.2
    given = clean.series.with_values(clean.series.values, ~holes)
    after = corrupt(given, {name: CORRUPTIONS[name].default}, seed=1, truth=clean.truth)
    assert not after.mask[holes].any()
    assert np.isfinite(after.values[after.mask]).all()


@corruption
def test_one_sensor_only(name, clean):
    key = f"{name}@x4"
    after = corrupt(clean.series, {key: CORRUPTIONS[name].high / 2}, seed=1, truth=clean.truth)
    changed = (after.values != clean.series.values).any(axis=0)
    assert set(np.flatnonzero(changed)) <= {4}
    if name != "mar":  # the sensor may be one of the complete drivers
        assert changed[4]


@corruption
def test_out_of_range_is_refused(name, clean):
    for bad in (CORRUPTIONS[name].high * 1.01, -0.1, float("nan")):
        with pytest.raises(ConfigError, match=f"{name} is .*expected 0 to"):
            corrupt(clean.series, {name: bad}, seed=1, truth=clean.truth)


@pytest.mark.parametrize("cell", CELLS)
def test_cells_of_the_benchmark(cell, clean):
    after = corrupt(clean.series, CELLS[cell], seed=1)
    same = np.array_equal(after.values, clean.series.values, equal_nan=True)
    assert same == (cell == "clean")
    assert parse_corruption(cell) == CELLS[cell] or cell in CORRUPTIONS


@pytest.mark.parametrize("name", DEFAULT_CORRUPTION)
def test_default_corruption_applies(name):
    s = simulate(name, seed=1)
    after = corrupt(s.series, DEFAULT_CORRUPTION[name], seed=1)
    assert 0.6 < after.mask.mean() < 0.97
