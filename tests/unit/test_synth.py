"""Simulated systems: the stated graph is the one that made the data."""

from __future__ import annotations

import csv
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest

from rcgnn.errors import ConfigError, InputError
from rcgnn.synth import SEMS, STATION_CORRUPTION, STATION_SEED, Plan, corrupt, sem, simulate, write_simulated
from rcgnn.synth.equations import Equations, Term, in_regimes
from rcgnn.synth.sem import MAX_LAG, draw_links, spectral_radius
from rcgnn.synth.station import FULL_SCALE


def standard(values):
    return (values - values.mean(axis=0)) / values.std(axis=0)


def regression(x, truth, j):
    """Standardised coefficients of sensor j on its stated parents, its own past forced in."""
    lags = truth.shape[0] - 1
    parents = [(k, i) for k, i in np.argwhere(truth[:, :, j])]
    columns = [x[lags - k : len(x) - k, i] for k, i in [*parents, (1, j)]]
    return parents, np.linalg.lstsq(np.column_stack(columns), x[lags:, j], rcond=None)[0]


@pytest.mark.parametrize("seed", range(3))
def test_linear_strengths_are_the_coefficients_of_the_stated_parents(seed):
    s = simulate("linear", seed=seed, rows=8000)
    x = standard(s.series.values)
    for j in range(13):
        parents, beta = regression(x, s.truth, j)
        for (k, i), b in zip(parents, beta[:-1], strict=True):
            assert b == pytest.approx(s.strength[k, i, j], abs=0.04)
        assert 0.2 < beta[-1] < 0.8


@pytest.mark.parametrize("seed", range(6))
def test_linear_is_sparse_stable_and_away_from_zero(seed):
    s = simulate("linear", seed=seed, rows=50)
    assert s.truth.sum() == 20
    assert s.truth[0].sum() == 5
    assert s.truth.any(axis=0).sum() == 20
    assert np.abs(s.strength[s.truth]).min() > 0.03


def test_columns_say_nothing_about_the_order_within_the_step():
    forward = [i < j for seed in range(40) for k, i, j in draw_links(Plan(seed))[0] if k == 0]
    assert 0.35 < np.mean(forward) < 0.65


def test_units_span_decades_and_say_nothing_about_the_graph():
    sd = np.concatenate([simulate("linear", seed=seed, rows=100).series.values.std(axis=0) for seed in range(10)])
    assert np.ptp(np.log10(sd)) > 5


def test_spectral_radius_sees_long_lags():
    c = np.zeros((4, 2, 2))
    c[3, 0, 0] = 0.5
    assert spectral_radius(c) == pytest.approx(0.5 ** (1 / 3))


def test_spectral_radius_follows_links_within_the_step():
    c = np.zeros((2, 2, 2))
    c[0, 0, 1], c[1, 1, 0] = 2.0, 0.3
    assert spectral_radius(c) == pytest.approx(0.6)


def test_linear_is_stable_in_every_regime():
    values = simulate("linear", seed=9, rows=4000, regimes=5).series.values
    assert np.abs(standard(values)).max() < 12


def test_a_graph_that_cannot_be_stable_is_shrunk(monkeypatch):
    monkeypatch.setattr(sem, "LARGEST_RADIUS", 0.3)  # below every sensor's own memory
    links, _ = draw_links(Plan(0, regimes=2))
    assert max(spectral_radius(system) for system in sem.stable(links, Plan(0, regimes=2))) < 0.3


def test_regimes_lose_links():
    s = simulate("nonlinear", seed=0, rows=50, regimes=3)
    assert not np.array_equal(s.truth_by_regime[0], s.truth_by_regime[1])
    assert s.truth_by_regime[1].sum() < s.truth_by_regime[0].sum()


def test_in_regimes_changes_a_quarter_each_way():
    weights = in_regimes(np.ones(20), Plan(0, regimes=2))
    assert weights[0].tolist() == [1.0] * 20
    assert sorted(weights[1].tolist()) == [-1.0] * 5 + [0.0] * 5 + [1.0] * 10


def test_equations_read_the_right_sensor_at_the_right_lag():
    """Noise-free: b(t) = 2 a(t-2), c(t) = -b(t) a(t-1); asymmetric on purpose."""
    terms = (Term(1, ((2, 0),), lambda a: a, 2.0), Term(2, ((0, 1), (1, 0)), lambda b, a: b * a, -1.0))
    system = Equations(terms, np.zeros(3), np.array([1.0, 0.0, 0.0]), np.array([0, 1, 2]), 2)
    plan = Plan(0, rows=50, sensors=3)
    z, strength = system.run(plan)
    np.testing.assert_allclose(z[2:, 1], 2 * z[:-2, 0])
    np.testing.assert_allclose(z[1:, 2], -z[1:, 1] * z[:-1, 0])
    assert np.argwhere(system.truth(plan)[0]).tolist() == [[0, 1, 2], [1, 0, 2], [2, 0, 1]]
    assert strength[2, 0, 1] == pytest.approx(1.0, abs=0.05)
    assert strength[0, 1, 2] == pytest.approx(-1.0, abs=1e-9)


def test_nonlinear_parents_matter():
    """Cutting a stated parent out of a flexible regression costs fit; cutting a stranger out does not."""
    s = simulate("nonlinear", seed=1, rows=6000)
    x = standard(s.series.values)
    gains, idle = [], []
    for k, i, j in np.argwhere(s.truth):
        parents = [(a, b) for a, b in np.argwhere(s.truth[:, :, j])]
        stranger = next((1, b) for b in range(13) if b != j and not s.truth[:, b, j].any())
        full = residual(x, j, parents)
        gains.append(residual(x, j, [p for p in parents if tuple(p) != (k, i)]) / full - 1)
        idle.append(1 - residual(x, j, [*parents, stranger]) / full)
    assert min(gains) > 0.01
    assert max(idle) < 0.01


def residual(x, j, parents):
    """Residual variance of x_j on its own past and on powers of the parents and of their products."""
    columns = [x[MAX_LAG - k : len(x) - k, i] for k, i in parents]
    features = [x[MAX_LAG - 1 : -1, j], *(c**p for c in columns for p in range(1, 6)), *(a * b for a, b in combinations(columns, 2))]
    y = x[MAX_LAG:, j]
    design = np.column_stack([np.ones(len(y)), *features])
    return float(np.var(y - design @ np.linalg.lstsq(design, y, rcond=None)[0]))


def test_lorenz_parents_explain_the_motion():
    s = simulate("lorenz96", seed=2, rows=3000)
    x = standard(s.series.values)
    for j in range(13):
        parents = np.flatnonzero(s.truth[1, :, j])
        assert len(parents) == 3
        strangers = [i for i in range(13) if i != j and i not in parents][:3]
        assert motion(x, j, parents) > 0.9
        assert motion(x, j, strangers) < motion(x, j, parents) - 0.1


def motion(x, j, parents):
    """R2 of x_j(t+1) - x_j(t) on x_j, the parents and their products."""
    columns = [x[:-1, i] for i in [j, *parents]]
    features = [np.ones(len(x) - 1), *columns, *(a * b for a, b in combinations(columns, 2))]
    design, y = np.column_stack(features), np.diff(x[:, j])
    return 1 - np.var(y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) / np.var(y)


def test_station_is_the_plant_it_says():
    s = simulate("station", seed=STATION_SEED)
    assert s.series.shape == (2000, 13)
    assert s.truth.sum() == s.truth.any(axis=0).sum() == 13
    assert s.truth[0].sum() == 3
    assert ("heater_power", "feed_temp", 2) in s.links()
    assert s.series.values.min() == 0.0
    assert s.series.values.max() == pytest.approx(FULL_SCALE)
    assert s.strength[1, s.names.index("valve"), s.names.index("pressure")] < -0.3


def test_station_can_be_learnt():
    """Each stated parent has |t| > 6 in a plain regression on the clean readings."""
    s = simulate("station", seed=STATION_SEED)
    x = standard(s.series.values)
    for j in range(13):
        _, beta = regression(x, s.truth, j)
        assert (np.abs(beta[:-1]) * np.sqrt(len(x)) > 6).all()


def test_station_corruption_is_of_every_kind():
    s = simulate("station", seed=STATION_SEED)
    after = corrupt(s.series, STATION_CORRUPTION, seed=STATION_SEED)
    lost = 1 - after.mask.mean(axis=0)
    assert lost[s.names.index("humidity")] > 0.25
    assert 0.08 < np.median(lost) < 0.12


@pytest.mark.parametrize("name", ["ar1", "seasonal", "trend"])
def test_null_systems_are_independent_given_what_is_shared(name):
    x = simulate(name, seed=0, rows=9600).series.values
    if name == "seasonal":
        x = x - x.reshape(-1, 48, 13).mean(axis=0)[np.arange(len(x)) % 48]
    if name == "trend":
        slow = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[0][:, 0]
        slow = np.convolve(np.pad(slow, 100, mode="edge"), np.ones(201) / 201, mode="valid")
        assert np.abs(np.corrcoef(slow, x, rowvar=False)[0, 1:]).min() > 0.4  # every sensor shares it
        x = x - np.outer(slow, slow @ (x - x.mean(axis=0)) / (slow @ slow))
    innovation = standard(x[1:] - (0.95 if name == "ar1" else 0.5) * x[:-1])
    correlation = innovation.T @ innovation / len(innovation) - np.eye(13)
    assert np.abs(correlation).max() < 0.05


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"system": "liner"}, "unknown system 'liner'. Did you mean 'linear'?"),
        ({"system": "qqqq"}, "Known: linear, nonlinear"),
        ({"rows": 3}, "rows must be at least 5, got 3"),
        ({"sensors": 1}, "sensors must be at least 2"),
        ({"regimes": 0}, "regimes must be at least 1"),
        ({"recordings": 0}, "recordings must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"rows": 10, "regimes": 11}, "rows must be at least 11"),
        ({"system": "lorenz96", "sensors": 3}, "at least 4, got 3"),
        ({"system": "station", "sensors": 5}, "always has 13 sensors"),
    ],
)
def test_impossible_wishes(wrong, says):
    with pytest.raises(ConfigError, match=says.replace("?", "[?]")):
        simulate(**{"system": "linear", "seed": 0, "rows": 50, **wrong})


@pytest.mark.parametrize("sensors", [2, 3, 40])
def test_any_number_of_sensors(sensors):
    for name in ("linear", "nonlinear"):
        assert simulate(name, seed=0, rows=30, sensors=sensors).truth.any()


def table(path):
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))


def test_folder_holds_the_readings_exactly(tmp_path):
    s = simulate("linear", seed=0, rows=40)
    worse = corrupt(s.series, {"missing": 0.3}, seed=0)
    written = write_simulated(tmp_path / "new", s, worse)
    assert [p.name for p in written] == ["data.csv", "truth.csv", "clean.csv"]
    header, *rows = table(tmp_path / "new" / "data.csv")
    assert tuple(header) == s.names
    values = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows])
    assert np.array_equal(values, worse.values, equal_nan=True)


def test_folder_names_recordings_and_regimes(tmp_path):
    write_simulated(tmp_path, simulate("linear", seed=0, rows=10, regimes=2, recordings=2))
    header, *rows = table(tmp_path / "data.csv")
    assert header[:2] == ["recording", "regime"]
    assert [row[:2] for row in rows[::5]] == [["0", "0"], ["0", "1"], ["1", "0"], ["1", "1"]]
    assert not (tmp_path / "clean.csv").exists()


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_simulated(tmp_path / "file", simulate("linear", seed=0, rows=10))


def test_every_system_has_a_sentence_for_the_help():
    assert all(function.__doc__ for function in SEMS.values())


def test_room_loads_neither_torch_nor_the_data_room():
    code = "import sys, rcgnn.synth; sys.exit('torch' in sys.modules or 'rcgnn.data' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
