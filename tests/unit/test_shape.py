"""The shape of residuals: negentropy, and the direction of same-step links where noise is not normal."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.pipeline import fit_series
from rcgnn.screen.features import Offer, build, rows_of
from rcgnn.screen.moments import moments
from rcgnn.screen.residuals import innovations, residual
from rcgnn.screen.search import grow, start
from rcgnn.screen.shape import CLEARLY, Shapes, negentropy
from rcgnn.series import Series

ROWS = 800


def table(rng: np.random.Generator, noise: str, rows: int = ROWS) -> np.ndarray:
    """2 -> 0 -> 1 within the step and nothing else: only the shape of the noise can say which way."""
    e = rng.standard_normal((rows, 3)) if noise == "normal" else rng.laplace(scale=np.sqrt(0.5), size=(rows, 3))
    x = e.copy()
    x[:, 0] += 0.8 * x[:, 2]
    x[:, 1] += 0.8 * x[:, 0]
    return x


def fitted(x: np.ndarray, *settings: str):
    return fit_series(Series.of(x), Config().override(["select.refine=off", "data.max_lag=1", *settings]))


def test_negentropy_is_what_its_formula_says_and_knows_no_unit():
    u = np.random.default_rng(3).exponential(size=4000)
    z = (u - u.mean()) / u.std()
    by_hand = 79.047 * (np.log(np.cosh(z)).mean() - 0.37457) ** 2 + 7.4129 * (z * np.exp(-(z**2) / 2)).mean() ** 2
    assert negentropy(u) == pytest.approx(by_hand)
    assert negentropy(1e6 * u - 3e7) == pytest.approx(by_hand)


def test_a_sensor_that_is_never_read_in_a_piece_has_no_shape_there():
    assert negentropy(np.zeros((4, 0))) == 0.0
    x = table(np.random.default_rng(0), "laplace", rows=2400)
    x[800:, 1] = np.nan
    assert (0, 2, 0) in fitted(x).graph.links()  # and no warning about an empty slice


@pytest.mark.parametrize("rows", [200, 1500])
def test_a_normal_residual_is_hardly_ever_called_anything_else(rows):
    rng = np.random.default_rng(0)
    found = [2 * rows * negentropy(rng.standard_normal(rows)) > CLEARLY for _ in range(1000)]
    assert np.mean(found) < 0.005
    assert 2 * rows * negentropy(rng.laplace(size=rows)) > CLEARLY


@pytest.mark.parametrize("seed", range(4))
def test_noise_that_is_not_normal_gives_same_step_links_their_direction(seed):
    graph = fitted(table(np.random.default_rng(seed), "laplace")).graph
    assert {(0, 2, 0), (0, 0, 1)} == set(graph.links())
    assert not graph.undecided()


def test_without_the_shape_of_residuals_the_same_links_have_no_direction():
    x = table(np.random.default_rng(0), "laplace")
    assert {(0, 0, 1), (0, 1, 0), (0, 0, 2), (0, 2, 0)} == set(fitted(x, "screen.shape=false").graph.undecided())


def test_normal_noise_leaves_the_direction_open_as_before():
    x = table(np.random.default_rng(1), "normal")
    with_, without = (fitted(x, f"screen.shape={on}").graph for on in ("true", "false"))
    np.testing.assert_array_equal(with_.verdict, without.verdict)
    np.testing.assert_array_equal(with_.score, without.score)
    assert with_.score[0].max() > 100


def test_missing_cells_do_not_take_the_direction_away():
    rng = np.random.default_rng(5)
    x = table(rng, "laplace", 1500)
    x[rng.random(x.shape) < 0.2] = np.nan
    assert {(0, 2, 0), (0, 0, 1)} == set(fitted(x).graph.links())


def test_residuals_are_those_of_least_squares():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((300, 3))
    x[1:, 0] += 0.5 * x[:-1, 1]
    tables = build(x[None], [slice(0, 300)], max_lag=1, basis="linear")
    keep = rng.random(len(tables.time)) < 0.8
    own = moments(tables, keep)
    local = grow(start(own, 0), own.lag > 0, rows=float(keep.sum()), penalty=8.0, most=5)
    found = residual(tables, np.flatnonzero(keep), Offer(), own, local, 0)[0]
    columns = np.concatenate([local.forced, local.chosen])
    table = rows_of(tables, keep)[0]
    design = np.column_stack([np.ones(keep.sum()), table[:, columns]])
    y = table[:, 0]
    expected = (y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) / y.std()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert 1 in local.chosen - 3
    some = np.flatnonzero(keep)[::3]  # the model is the same on fewer rows, and so is its unit
    fewer = residual(tables, some, Offer(), own, local, 0)[0]
    np.testing.assert_allclose(fewer, found[::3] - found[::3].mean(), atol=1e-12)


def test_innovations_correlate_where_something_acts_on_both():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((2000, 3))
    x[:, 1] += x[:, 0]
    tables = build(x[None], [slice(0, 2000)], max_lag=1, basis="linear")
    keep = np.ones((len(tables.time), 3), bool)
    keep[::4, 2] = False
    own = [moments(tables, keep[:, j]) for j in range(3)]
    lagged = [start(own[j], j) for j in range(3)]
    correlation, rows = innovations(tables, keep, [Offer()] * 3, own, lagged)
    assert correlation[0, 1] == pytest.approx(np.sqrt(0.5), abs=0.05)
    assert abs(correlation[0, 2]) < 0.08
    assert rows == keep[:, 2].sum()


def test_each_model_is_looked_at_once():
    x = table(np.random.default_rng(0), "laplace", 300)
    tables = build(x[None], [slice(0, 300)], max_lag=1, basis="linear")
    keep = np.ones((len(tables.time), 3), bool)
    own = moments(tables, keep[:, 0])
    shapes = Shapes(tables, keep, [Offer()] * 3, [own] * 3)
    local = start(own, 1)
    assert shapes.of(1, local) == shapes.of(1, local)
    assert len(shapes.cache) == 1
    assert not shapes.tell([frozenset()] * 3, [local] * 3)
