"""Features and their moments: the right columns, the right rows, nothing across the end of a segment."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcgnn import series
from rcgnn.screen import features as room
from rcgnn.screen.features import BASES, CLIP, Offer, Tables, build, columns_of, from_moment, rows_of, stretches, weighed
from rcgnn.screen.gram import RIDGE
from rcgnn.screen.moments import moments

N, K = 3, 2


def draws(count: int = 2, rows: int = 120, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, rows, N)) @ np.array([[1, 0.5, 0], [0, 1, 0.3], [0, 0, 1]])


def z_of(draw: np.ndarray) -> np.ndarray:
    return (draw - draw.mean(axis=0)) / draw.std(axis=0)


def whole(tables: Tables) -> list[np.ndarray]:
    """[rows, P] features of every draw."""
    return rows_of(tables, np.ones(len(tables.at), bool))


def index(width: int, lag: int, order: int, sensor: int) -> int:
    return (lag * width + order) * N + sensor


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("segments", [[slice(0, 120)], [slice(0, 50), slice(50, 52), slice(52, 120)]], ids=["one", "several"])
def test_every_column_holds_its_sensor_at_its_lag_in_the_same_segment(basis, segments):
    signal = draws()
    tables = build(signal, segments, max_lag=K, basis=basis)
    width = BASES[basis]
    segment = np.concatenate([np.full(s.stop - s.start, n) for n, s in enumerate(segments)])
    assert (segment[tables.time] == segment[tables.time - K]).all()
    assert len(tables.time) == sum(max(s.stop - s.start - K, 0) for s in segments)
    assert (tables.width, tables.sensors, tables.max_lag) == (width, N, K)
    for draw, table in zip(signal, whole(tables), strict=True):
        z = z_of(draw)
        c = np.clip(z, -CLIP, CLIP)
        hermite = [z, c**2 - 1, c**3 - 3 * c]
        assert table.shape == (len(tables.time), N * width * (K + 1))
        for lag in range(K + 1):
            for order in range(width):
                for sensor in range(N):
                    np.testing.assert_allclose(
                        table[:, index(width, lag, order, sensor)], hermite[order][tables.time - lag, sensor], rtol=1e-10, atol=1e-12
                    )


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_no_row_reaches_over_the_end_of_a_segment(lengths):
    edges = np.cumsum([0, *lengths]).tolist()
    segments = [slice(a, b) for a, b in pairwise(edges)]
    tables = build(np.random.default_rng(0).standard_normal((1, edges[-1], 2)), segments, max_lag=K, basis="linear")
    expected = [t for s in segments for t in range(s.start + K, s.stop)]
    assert tables.time.tolist() == expected
    assert len(whole(tables)[0]) == len(expected)


@pytest.mark.parametrize("basis", BASES)
def test_moments_of_one_draw_are_numpys_correlations(basis):
    tables = build(draws(1), [slice(0, 120)], max_lag=K, basis=basis)
    found = moments(tables, np.ones(len(tables.time), bool))
    expected = np.corrcoef(whole(tables)[0], rowvar=False)
    np.testing.assert_allclose(found.gram.matrix - RIDGE * np.eye(len(expected)), expected, atol=1e-12)
    assert found.rows == 118


def test_moments_average_the_covariances_of_the_draws():
    tables = build(draws(3), [slice(0, 120)], max_lag=K, basis="linear")
    found = moments(tables, np.ones(len(tables.time), bool))
    second = np.mean([np.cov(t, rowvar=False, bias=True) for t in whole(tables)], axis=0)
    scale = np.sqrt(np.diag(second))
    np.testing.assert_allclose(found.gram.matrix - RIDGE * np.eye(len(scale)), second / np.outer(scale, scale), atol=1e-12)


def test_only_the_kept_rows_count():
    tables = build(draws(1), [slice(0, 120)], max_lag=K, basis="linear")
    keep = np.zeros(len(tables.time), bool)
    keep[5:60] = True
    found = moments(tables, keep)
    assert found.rows == 55
    gram = found.gram.matrix
    np.testing.assert_allclose(gram - RIDGE * np.eye(len(gram)), np.corrcoef(whole(tables)[0][keep], rowvar=False), atol=1e-12)


def test_owners_lags_and_targets_name_the_columns():
    found = moments(tables := build(draws(1), [slice(0, 120)], max_lag=K, basis="nonlinear"), np.ones(118, bool))
    for lag in range(K + 1):
        for order in range(3):
            for sensor in range(N):
                p = index(3, lag, order, sensor)
                assert (found.lag[p], found.owner[p].tolist()) == (lag, [sensor, sensor])
    assert found.value.tolist() == [0, 1, 2]
    assert found.sensors == N
    assert np.flatnonzero(found.of(1)).tolist() == [p for p in range(tables.plain) if p % N == 1]


def test_products_stand_behind_the_basis_with_owner_and_lag():
    tables = build(draws(1), [slice(0, 120)], max_lag=K, basis="nonlinear")
    pairs = [(0, 1), (1, 2)]
    found = moments(tables, np.ones(118, bool), Offer(pairs))
    rows = rows_of(tables, np.ones(118, bool), Offer(pairs))[0]
    base = tables.plain
    assert found.lag[base:].tolist() == [1, 1, 2, 2]
    assert found.owner[base:].tolist() == [[0, 1], [1, 2], [0, 1], [1, 2]]
    z = np.clip(z_of(draws(1)[0]), -CLIP, CLIP)
    for column, (lag, (a, b)) in enumerate(zip([1, 1, 2, 2], pairs * 2, strict=True), start=base):
        np.testing.assert_allclose(rows[:, column], z[tables.time - lag, a] * z[tables.time - lag, b])
    assert found.of(0)[base:].tolist() == [True, False, True, False]
    np.testing.assert_allclose(found.gram.matrix[base, 4], np.corrcoef(rows[:, base], rows[:, 4])[0, 1], atol=1e-12)


def test_hermite_features_of_a_gaussian_sensor_are_uncorrelated():
    signal = np.random.default_rng(0).standard_normal((1, 40_000, N))
    gram = moments(build(signal, [slice(0, 40_000)], max_lag=1, basis="nonlinear"), np.ones(39_999, bool)).gram.matrix
    one = [index(3, 0, order, 1) for order in range(3)]
    off = gram[np.ix_(one, one)] - np.eye(3)
    assert np.abs(off).max() < 0.05


def test_wild_values_enter_polynomials_clipped():
    signal = draws(1)
    signal[0, 60, 0] = 1e6
    table = whole(build(signal, [slice(0, 120)], max_lag=K, basis="nonlinear"))[0]
    assert table[:, index(3, 0, 1, 0)].max() <= CLIP**2 - 1
    assert table[:, index(3, 0, 2, 0)].max() <= CLIP**3 - 3 * CLIP
    assert table[:, index(3, 0, 0, 0)].max() > CLIP


def test_a_constant_sensor_correlates_with_nothing():
    signal = draws(1)
    signal[:, :, 2] = 5.0
    gram = moments(build(signal, [slice(0, 120)], max_lag=K, basis="nonlinear"), np.ones(118, bool)).gram.matrix
    dead = np.arange(len(gram)) % N == 2
    assert np.isfinite(gram).all()
    np.testing.assert_array_equal(gram[dead][:, dead], RIDGE * np.eye(dead.sum()))
    assert not gram[dead][:, ~dead].any()


@pytest.mark.parametrize("keep", [0, 1])
def test_hardly_any_row_gives_no_correlation_at_all(keep):
    mask = np.zeros(118, bool)
    mask[:keep] = True
    found = moments(build(draws(2), [slice(0, 120)], max_lag=K, basis="linear"), mask, Offer([(0, 1)]))
    assert found.rows == 1
    np.testing.assert_array_equal(found.gram.matrix, RIDGE * np.eye(len(found.lag)))


def test_known_moments_become_linear_features():
    table = whole(build(draws(1), [slice(0, 120)], max_lag=K, basis="linear"))[0]
    moment = table.T @ table / len(table)
    found = from_moment(moment, N, 77)
    scale = np.sqrt(np.diag(moment))
    np.testing.assert_allclose(found.gram.matrix - RIDGE * np.eye(9), moment / np.outer(scale, scale), atol=1e-12)
    assert (found.rows, found.lag.tolist(), found.value.tolist()) == (77, [0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 1, 2])
    assert found.owner[:, 0].tolist() == [0, 1, 2] * 3


@pytest.mark.parametrize("sparse", [0, 8, 1000])
@pytest.mark.parametrize("few", [False, True], ids=["every column", "some columns"])
def test_a_weighed_sum_is_that_of_the_columns_laid_out(monkeypatch, sparse, few):
    monkeypatch.setattr(room, "SPARSE", sparse)
    tables = build(draws(), [slice(0, 50), slice(52, 60), slice(60, 120)], max_lag=K, basis="nonlinear")
    rows = np.flatnonzero(np.random.default_rng(1).random(len(tables.at)) < 0.7)
    paths = [np.random.default_rng(seed).standard_normal((len(tables.at), 2)) for seed in range(2)]
    pairs = [(0, 1), (1, 1), (0, 2)]
    columns = np.array([0, 1, 2, 5, 11, 13, 20, tables.plain, tables.plain + 4, tables.plain + 5]) if few else None
    offer = Offer(pairs, columns, paths)
    shown = tables.plain + K * len(pairs) if columns is None else len(columns)
    features = np.random.default_rng(2).permutation(shown + 2)[: shown // 2 + 2]
    weight = np.random.default_rng(3).standard_normal(len(features))
    for draw, laid_out in enumerate(columns_of(tables, rows, offer, features)):
        np.testing.assert_allclose(weighed(tables, draw, rows, offer, features, weight), laid_out @ weight, atol=1e-12)


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_stretches_hold_every_row_once_and_reach_over_no_more_of_the_table_than_a_slab(monkeypatch, share):
    monkeypatch.setattr(series, "SLAB", 300)
    tables = build(draws(2, 2000), [slice(0, 900), slice(950, 2000)], max_lag=K, basis="linear")
    rows = np.flatnonzero(np.random.default_rng(1).random(len(tables.at)) < share)
    parts = [*stretches(tables, rows)]
    np.testing.assert_array_equal(np.concatenate([rows[part] for part in parts]), rows)
    assert len(parts) > 3
    assert all(np.ptp(tables.at[rows[part]]) < 300 for part in parts)
    weight = np.array([0.5, -2.0])
    for part in parts:
        laid_out = columns_of(tables, rows[part], Offer(), np.array([4, 8]))[1]
        np.testing.assert_allclose(weighed(tables, 1, rows[part], Offer(), np.array([4, 8]), weight), laid_out @ weight, atol=1e-12)


def test_a_weighed_sum_over_no_rows_is_empty():
    tables = build(draws(1), [slice(0, 120)], max_lag=K, basis="linear")
    assert weighed(tables, 0, np.zeros(0, np.int64), Offer(), np.array([1]), np.ones(1)).shape == (0,)
