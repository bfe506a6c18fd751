"""What every row of BASELINES promises."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import numpy as np
import pytest

from rcgnn.baselines import BASELINES
from rcgnn.errors import ConfigError, InputError
from rcgnn.graph import LINK
from rcgnn.series import Series
from rcgnn.synth import corrupt, simulate

LAGS = 3
BLIND = ("empty", "random")
"""Look at no reading."""
BY_COLUMN = ("random", "origin")
"""Their random numbers belong to columns, not to sensors."""
UNIT_BOUND = ("sort-regress",)
"""A change of units changes the answer: that is what it is there to show."""
PEERS = {"pcmci+": "tigramite", "pcmci+robust": "tigramite", "varlingam": "lingam"}
"""Rows that need a package from the extra `peers`."""


def rows(*without):
    """The names of BASELINES; a peer whose package is not installed is skipped."""
    for name in BASELINES:
        if name not in without:
            missing = name in PEERS and importlib.util.find_spec(PEERS[name]) is None
            skip = pytest.mark.skipif(missing, reason=f"{PEERS.get(name)} is not installed (extra 'peers')")
            yield pytest.param(name, marks=skip, id=name)


every = pytest.mark.parametrize("name", list(rows()))


@pytest.fixture(scope="module")
def system():
    return simulate("linear", seed=3, rows=400, sensors=6)


@pytest.fixture(scope="module")
def holed(system):
    """A fifth of the cells missing, a drift, spikes."""
    return corrupt(system.series, {"missing": 0.2, "drift": 1.0, "outliers": 0.01}, seed=3)


def fit(name, series, **more):
    graph = BASELINES[name](series, max_lag=LAGS, **more)
    n = len(series.names)
    assert graph.names == series.names
    assert graph.score.shape == graph.verdict.shape == (LAGS + 1, n, n)
    assert np.isfinite(graph.score).all()
    assert (graph.score >= 0).all()
    assert set(np.unique(graph.verdict)) <= {-1, 0, 1}
    assert not graph.score[:, np.eye(n, dtype=bool)].any()
    assert not graph.verdict[:, np.eye(n, dtype=bool)].any()
    return graph


def with_column(series, column, name="extra"):
    return Series.of(np.column_stack([series.values, column]), names=[*series.names, name])


@every
def test_graph_over_all_sensors(name, system):
    graph = fit(name, system.series)
    assert bool(graph.links()) == (name != "empty")
    assert not graph.strength[graph.verdict != LINK].any()


@every
def test_what_was_given_is_not_changed(name, holed):
    before, seen = holed.values.copy(), holed.mask.copy()
    fit(name, holed)
    assert np.array_equal(holed.values, before, equal_nan=True)
    assert np.array_equal(holed.mask, seen)


@every
def test_same_seed_same_answer(name, holed):
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - it must stay as it is
    one, two = fit(name, holed, seed=7), fit(name, holed, seed=7)
    assert np.array_equal(one.score, two.score)
    assert np.array_equal(one.verdict, two.verdict)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@every
@pytest.mark.parametrize("column", [np.full(400, 7.25), np.full(400, np.nan)], ids=["constant", "empty"])
def test_sensor_without_a_signal_ends_nothing_and_has_no_link(name, column, system):
    graph = fit(name, with_column(system.series, column))
    if name not in BY_COLUMN:
        assert not graph.verdict[:, 6, :].any()
        assert not graph.verdict[:, :, 6].any()
        assert graph.links() == fit(name, system.series).links()


@every
def test_copy_of_a_sensor_ends_nothing(name, system):
    fit(name, with_column(system.series, system.series.values[:, 0]))


@every
def test_hostile_scales_end_nothing(name, system):
    if name == "origin":
        pytest.skip("float32 ends where the origin's did")
    scale = np.array([1e-300, 1e-6, 1.0, 1e6, 1e100, 1e300])
    x = system.series.values
    fit(name, Series.of((x - x.mean(axis=0)) / x.std(axis=0) * scale))
    fit(name, Series.of((x - x.mean(axis=0)) / x.std(axis=0) + 1e9))


@every
def test_units_do_not_matter(name, holed):
    if name in UNIT_BOUND:
        pytest.skip("it sorts by variance")
    other = holed.with_values(holed.values * 2.0 ** np.array([20, -8, 3, 0, -30, 11]), holed.mask)
    one, two = fit(name, holed), fit(name, other)
    assert sorted(one.links()) == sorted(two.links())


@every
@pytest.mark.parametrize("rows", [1, 2, 5, 12, 30])
def test_short_tables(name, rows, system):
    graph = fit(name, system.series.rows(slice(0, rows)))
    if rows <= 2 and name not in BLIND:
        assert not graph.links()
        assert "ndecidable" in graph.conclusion


@every
@pytest.mark.parametrize("lags", [1, 5])
def test_longest_lag_is_as_asked(name, lags, holed):
    assert BASELINES[name](holed, max_lag=lags).max_lag == lags


@every
def test_order_of_columns_does_not_matter(name, holed):
    if name in BY_COLUMN:
        pytest.skip("its random numbers belong to columns")
    order = [4, 1, 5, 0, 3, 2]
    graph, other = fit(name, holed), fit(name, holed.sensors(order))
    assert {(k, holed.names[i], holed.names[j]) for k, i, j in graph.links()} == {
        (k, other.names[i], other.names[j]) for k, i, j in other.links()
    }
    moved = other.score[:, np.argsort(order)][:, :, np.argsort(order)]
    assert np.allclose(moved, graph.score, rtol=1e-6, atol=1e-9)


@every
def test_rows_of_two_recordings_are_not_neighbours(name, system):
    """Two halves of one table, told apart or not: the seam must count for those that read lags."""
    if name in BLIND:
        pytest.skip("looks at no reading")
    s = system.series
    table = Series(s.values, s.mask, s.names, recording=np.arange(400) // 4)
    graph = fit(name, table)
    assert not np.array_equal(graph.score, fit(name, s).score)


@pytest.mark.parametrize("name", list(rows(*BLIND, "origin")))
def test_lag_below_one_is_refused(name, system):
    with pytest.raises(ConfigError, match="max_lag must be at least 1, got 0"):
        BASELINES[name](system.series, max_lag=0)


@pytest.mark.parametrize("name", PEERS)
def test_peer_without_its_package_says_how_to_install_it(name, system, monkeypatch):
    for module in [m for m in sys.modules if m.partition(".")[0] == PEERS[name]]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, PEERS[name], None)
    with pytest.raises(InputError, match=rf"{re.escape(name)}: expected the package {PEERS[name]}.*pip install 'rcgnn\[peers\]'"):
        BASELINES[name](system.series, max_lag=LAGS)


def test_loading_the_table_does_not_load_torch_or_a_peer():
    code = "import sys, rcgnn.baselines; sys.exit(any(m in sys.modules for m in ('torch', 'tigramite', 'lingam')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
