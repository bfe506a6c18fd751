"""Every trait is really in its readings, and its true links are there for one who knows where to look."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import kurtosis, skew

from rcgnn.errors import ConfigError
from rcgnn.synth import CORRUPTIONS, SEMS, Plan, parse_corruption, simulate
from rcgnn.synth.sem import spectral_radius
from rcgnn.synth.svar import Shape, draw_graph, draw_systems
from rcgnn.synth.traits import LAGGED, LONG, LOOPS, SKEWED, TRAITS, loops, report_on_change, season
from rcgnn.synth.traits_nonlinear import COUNTS, product

NEW = [trait.system for name, trait in TRAITS.items() if name != "t200"]
LINEAR = ["hidden", "subsampled", "feedback", "long_lags", "skewed", "hub", "coarse", "seasonal_links"]
OWN_LAGS = 3
seeds = pytest.mark.parametrize("seed", range(3))


def standard(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


def of_suite(name, seed, rows=None):
    """A table of the suite, or more rows of it where the question is whether a link is there, not how many rows show it."""
    trait = TRAITS[name]
    return simulate(trait.system, seed=seed, rows=rows or trait.rows, sensors=trait.sensors)


def counts(s):
    """The counts behind the units of `bursty`."""
    return s.series.values / [column[column > 0].min() for column in s.series.values.T]


def positive_dispersion(y):
    """Variance of counts above 0 over that of a Poisson without its zeros, of the same mean."""
    rate = brentq(lambda r: r / -np.expm1(-r) - y.mean(), 1e-6, 1e3)
    return y.var() / (y.mean() * (1 + rate - y.mean()))


def oracle(s, x):
    """t value of every true link in a regression on true parents and own past, whether its sign is right, and the residuals."""
    lead = max(OWN_LAGS, s.max_lag)
    t, right, residuals = [], [], []
    for j in range(x.shape[1]):
        parents = np.argwhere(s.truth[:, :, j]).tolist()
        sources = parents + [(k, j) for k in range(1, OWN_LAGS + 1)]
        design = np.column_stack([*(x[lead - k : len(x) - k, i] for k, i in sources), np.ones(len(x) - lead)])
        beta = np.linalg.lstsq(design, x[lead:, j], rcond=None)[0]
        error = x[lead:, j] - design @ beta
        stderr = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * error.var())
        t += (beta / stderr)[: len(parents)].tolist()
        right += [beta[m] * s.strength[k, i, j] > 0 for m, (k, i) in enumerate(parents)]
        residuals.append(error)
    return np.abs(t), np.array(right), np.array(residuals).T


def season_band(rows):
    """[T, M] every frequency near one in 48 rows: what a wandering season is made of."""
    cycles = np.arange(round(0.6 * rows / 48), round(1.5 * rows / 48) + 1)
    angle = 2 * np.pi * np.arange(rows)[:, None] * cycles / rows
    return np.column_stack([np.sin(angle), np.cos(angle)])


def off_diagonal(x):
    return np.abs(np.corrcoef(x.T))[np.triu_indices(x.shape[1], 1)]


def memory(x):
    """Median lag-1 autocorrelation."""
    z = standard(x)
    return np.median((z[1:] * z[:-1]).mean(axis=0))


# ---------------------------------------------------------------- the suite


def test_suite_names_systems_and_faults_that_exist():
    for trait in TRAITS.values():
        assert trait.system in SEMS
        assert set(trait.corruption) <= set(CORRUPTIONS)
        assert parse_corruption(",".join(f"{k}={v}" for k, v in trait.corruption.items())) == trait.corruption
    assert TRAITS["t200"][:2] == ("linear", 200)


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize(("sensors", "rows"), [(5, 200), (40, 1000)])
def test_system_works_small_and_large(name, sensors, rows):
    s = simulate(name, seed=3, rows=rows, sensors=sensors, regimes=2)
    assert s.series.shape == (rows, sensors)
    assert (s.series.values.std(axis=0) > 0).all()
    assert np.array_equal(s.strength != 0, s.truth)
    assert 2 <= s.truth.sum() <= 2 * sensors
    assert s.truth_by_regime[1].sum() < s.truth_by_regime[0].sum()


@pytest.mark.parametrize("name", NEW)
def test_units_span_decades(name):
    values = simulate(name, seed=0, rows=300).series.values
    assert np.ptp(np.log10(values.std(axis=0))) > 3


@seeds
@pytest.mark.parametrize("name", LINEAR)
def test_true_links_are_visible_to_one_who_knows_the_parents(name, seed):
    s = of_suite(name, seed, rows=2000)
    z = standard(s.series.values)
    if name == "seasonal_links":  # the season confounds whoever does not take it out
        band = season_band(len(z))
        z = standard(z - band @ np.linalg.lstsq(band, z, rcond=None)[0])
    t, right, _ = oracle(s, z)
    assert np.mean(t > 3) >= 0.75
    assert np.median(t) > 5
    assert right.mean() > 0.9


@seeds
@pytest.mark.parametrize("name", [name for name in LINEAR if name not in ("feedback", "skewed", "seasonal_links")])
def test_links_turned_round_are_not_as_visible(name, seed):
    """The truth reads [k, i, j]. (Loops run both ways; within the step, and under a season, both directions correlate.)"""
    s = of_suite(name, seed, rows=2000)
    z = standard(s.series.values)
    turned = replace(s, truth=s.truth.transpose(0, 2, 1), strength=s.strength.transpose(0, 2, 1))
    assert np.median(oracle(s, z)[0]) > 1.5 * np.median(oracle(turned, z)[0])


# ---------------------------------------------------------------- the ground they stand on


@seeds
@pytest.mark.parametrize("shape", [LAGGED, LONG, SKEWED, COUNTS, Shape()])
def test_drawn_systems_are_stable_in_every_regime(shape, seed):
    plan = Plan(seed, sensors=9, regimes=3)
    links = draw_graph(plan, shape)
    systems = draw_systems(plan, links, shape)
    assert systems.shape == (3, shape.max_lag + 1, 9, 9)
    assert max(spectral_radius(s) for s in systems) < 0.95
    assert {(k, i, j) for k, i, j in np.argwhere(systems[0]) if i != j} == set(links)


def test_weights_that_are_too_large_are_shrunk():
    shape = Shape(lags=(1, 1), per_sensor=3.0, instant=0.0, weights=(2.0, 3.0))
    plan = Plan(0, sensors=8)
    assert spectral_radius(draw_systems(plan, draw_graph(plan, shape), shape)[0]) < 0.95


# ---------------------------------------------------------------- one trait each


@seeds
def test_hidden_residuals_share_factors(seed):
    s, plain = of_suite("hidden", seed), simulate("linear", seed=seed, rows=500)
    share = [np.mean(off_diagonal(oracle(x, standard(x.series.values))[2]) > 0.2) for x in (s, plain)]
    assert share[0] > 0.25
    assert share[1] < 0.05
    assert not s.truth[0].any()


@seeds
def test_bursty_is_mostly_zero_and_overdispersed(seed):
    s = of_suite("bursty", seed, rows=2000)
    y = counts(s)
    assert np.allclose(y, np.round(y))
    zeros = (s.series.values == 0).mean(axis=0)
    assert 0.4 < zeros.mean() < 0.8
    assert np.median(zeros - np.exp(-y.mean(axis=0))) > 0.11  # of them more than a Poisson process has, or a burst explains
    assert np.median([positive_dispersion(c[c > 0]) for c in y.T]) > 1.35
    assert np.median(skew(y)) > 1.5


@seeds
def test_bursty_links_are_visible_in_the_logarithms(seed):
    s = of_suite("bursty", seed, rows=2000)
    t, right, _ = oracle(s, standard(np.log1p(counts(s))))
    assert np.mean(t > 3) >= 0.75
    assert right.mean() > 0.9


def test_subsampled_links_are_direct_links_at_lag_one_only():
    s = of_suite("subsampled", 0)
    assert s.truth[1].sum() == s.truth.sum() > 10


@seeds
def test_subsampled_hides_the_chain_in_same_row_correlation(seed):
    """What happens between two readings shows as correlated residuals where the fast system had none."""
    s = of_suite("subsampled", seed)
    linked = (s.truth[1] | s.truth[1].T)[np.triu_indices(13, 1)]
    c = off_diagonal(oracle(s, standard(s.series.values))[2])
    assert c[linked].mean() > 2 * c[~linked].mean()


@seeds
def test_feedback_has_loops_and_is_slow(seed):
    s = of_suite("feedback", seed)
    graph = nx.from_numpy_array(s.truth[1].astype(int), create_using=nx.DiGraph)
    lengths = {len(c) for c in nx.simple_cycles(graph)}
    assert 2 in lengths
    assert max(lengths) >= 4
    assert s.truth.sum() == s.truth[1].sum()
    assert memory(s.series.values) > max(0.85, memory(simulate("linear", seed=seed, rows=1000).series.values))


def test_feedback_loops_cover_every_sensor_without_repeats():
    for n in (2, 5, 7, 12, 40):
        links = loops(Plan(1, sensors=n))
        assert len(set(links)) == len(links)
        assert {i for _, i, _ in links} == set(range(n))
        assert all(i != j for _, i, j in links)
    plan = Plan(1, sensors=40)
    assert spectral_radius(draw_systems(plan, loops(plan), LOOPS)[0]) < 0.95


def test_long_lags_lie_between_four_and_eight():
    s = of_suite("long_lags", 1)
    assert s.max_lag == 8
    assert not s.truth[:4].any()
    assert {4, 8} <= set(np.argwhere(s.truth)[:, 0].tolist())


@seeds
def test_skewed_has_heavy_and_tilted_tails_and_no_cycle(seed):
    s = of_suite("skewed", seed)
    residuals = oracle(s, standard(s.series.values))[2]
    assert np.median(kurtosis(residuals)) > 1.5
    assert (np.abs(skew(residuals)) > 0.8).mean() > 0.3
    assert s.truth[0].sum() == 0.8 * s.truth.sum()
    assert nx.is_directed_acyclic_graph(nx.from_numpy_array(s.truth.any(axis=0).astype(int), create_using=nx.DiGraph))


@seeds
def test_products_are_invisible_in_pairs_and_clear_in_the_product(seed):
    s = of_suite("products", seed)
    z = standard(s.series.values)
    t, _, _ = oracle(s, z)
    assert np.mean(t > 4) < 0.2
    targets = np.flatnonzero(s.truth.any(axis=(0, 1)))
    assert len(targets) == 8
    for j in targets:
        (k, a), (m, b) = np.argwhere(s.truth[:, :, j])
        one, two, effect = z[3 - k : len(z) - k, a], z[3 - m : len(z) - m, b], z[3:, j]
        assert abs(np.corrcoef(np.tanh(one) * np.tanh(two), effect)[0, 1]) > 0.4
        assert max(abs(np.corrcoef(x, effect)[0, 1]) for x in (one, two)) < 0.25


def test_product_is_odd_in_each_factor():
    assert product(0.7, -1.2) == -product(0.7, 1.2) == product(-0.7, 1.2) != 0


def test_products_need_three_sensors():
    with pytest.raises(ConfigError, match="at least 3, got 2"):
        simulate("products", seed=0, sensors=2)


@seeds
def test_hub_drives_most_sensors_and_the_others_hardly_any(seed):
    s = of_suite("hub", seed)
    out = np.sort(s.truth.any(axis=0).sum(axis=1))
    assert out[-1] == 15
    assert out[-2] <= 4
    assert not s.truth.any(axis=0)[:, s.truth.any(axis=0).sum(axis=1).argmax()].any()


@seeds
def test_coarse_repeats_values_and_takes_few(seed):
    values = of_suite("coarse", seed).series.values
    repeated = (values[1:] == values[:-1]).mean(axis=0)
    assert repeated.mean() > 0.35
    assert (repeated > 0.6).sum() >= 3
    assert max(len(np.unique(column)) for column in values.T) < 30


def test_report_on_change_leaves_its_input_and_holds_within_the_band():
    x = np.random.default_rng(0).standard_normal((200, 2))
    before = x.copy()
    held = report_on_change(x, np.array([0.0, 1.0]))
    assert np.array_equal(x, before)
    assert np.array_equal(held[:, 0], x[:, 0])
    assert np.abs(held - x).max() <= 1.0
    assert np.unique(held[:, 1]).size < 150


@seeds
def test_season_is_shared_and_wanders(seed):
    s = of_suite("seasonal_links", seed)
    power = np.abs(np.fft.rfft(standard(s.series.values), axis=0)) ** 2
    cycles = s.series.shape[0] / 48
    near = slice(round(0.7 * cycles), round(1.4 * cycles) + 1)
    assert np.median(power[near].sum(axis=0) / power[1:].sum(axis=0)) > 0.4
    wave = season(Plan(seed, rows=1440), 0)[:, 0]
    height = np.abs(wave.reshape(-1, 48)).max(axis=1)
    assert height.max() > 1.5 * height.min()
    assert not np.allclose(season(Plan(seed), 0), season(Plan(seed), 1))
