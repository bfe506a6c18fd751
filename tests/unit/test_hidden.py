"""Hidden drivers: told from same-step links on the same innovations, their paths inferred, the links among sensors kept."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.pipeline import fit_series
from rcgnn.screen import hidden
from rcgnn.screen.drivers import infer
from rcgnn.screen.features import build
from rcgnn.screen.hidden import MARGIN, best_factors, best_links, competing, factors
from rcgnn.screen.order import directed
from rcgnn.series import Series

N = 10


def driven(rows: int = 600, seed: int = 0, memory: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    """(readings, driver): one hidden AR(1) driver on all sensors but the last two; 0 -> 1 after one step and 2 -> 3 after two."""
    rng = np.random.default_rng(seed)
    f = np.zeros(rows)
    for t in range(1, rows):
        f[t] = memory * f[t - 1] + np.sqrt(1 - memory**2) * rng.standard_normal()
    load = rng.uniform(0.8, 1.5, N) * rng.choice([-1, 1], N)
    load[-2:] = 0
    x = rng.standard_normal((rows, N)) + np.outer(f, load)
    for t in range(2, rows):
        x[t] += 0.4 * x[t - 1]
        x[t, 1] += 0.35 * x[t - 1, 0]
        x[t, 3] += 0.35 * x[t - 2, 2]
    return x, f


def chain(rows: int = 600, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((rows, N))
    for j in range(1, N):
        x[:, j] += 0.8 * x[:, j - 1]
    for t in range(1, rows):
        x[t] += 0.4 * x[t - 1]
    return x


def fitted(x: np.ndarray, *settings: str):
    return fit_series(Series.of(x), Config().override(["select.refine=off", "data.max_lag=2", *settings]))


def test_maximum_likelihood_finds_the_loadings_of_an_exact_factor_model():
    load = np.array([0.9, 0.8, -0.7, 0.6, 0.5, 0.4])
    R = np.outer(load, load)
    np.fill_diagonal(R, 1.0)
    found, unique, fit = factors(R, 1)
    np.testing.assert_allclose(np.abs(found[:, 0]), np.abs(load), atol=1e-3)
    np.testing.assert_allclose(unique, 1 - load**2, atol=2e-3)
    assert fit == pytest.approx(-np.linalg.slogdet(R)[1], abs=1e-4)


def test_a_common_factor_beats_links_and_a_chain_beats_factors():
    load = np.linspace(0.5, 0.9, N)
    common = np.outer(load, load)
    np.fill_diagonal(common, 1.0)
    assert competing(common, 500, 0.5)[0] == 1
    assert competing(common, 500, 0.5)[1] > MARGIN
    line = 0.7 ** np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    count, margin = competing(line, 500, 0.5)
    assert count > 0
    assert margin < -MARGIN
    assert best_factors(np.eye(N), 500) == (0, 0.0)
    assert best_links(np.eye(N), 500, 0.5) == 0.0


def test_the_best_graph_is_searched_for_only_where_links_in_one_order_leave_it_open(monkeypatch):
    searched = []
    monkeypatch.setattr(hidden, "directed", lambda models: searched.append(directed(models)) or searched[-1])
    line = 0.7 ** np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    count, bound = competing(line, 500, 0.5, MARGIN)
    assert not searched
    assert (count, bound) >= competing(line, 500, 0.5)
    assert len(searched) == 1
    common = 0.6 + 0.4 * np.eye(N)
    exact = best_factors(common, 500)[1] - best_links(common, 500, 0.5)
    assert competing(common, 500, 0.5, MARGIN) == (1, pytest.approx(exact))


def test_the_path_of_a_driver_is_inferred_with_its_reach():
    x, f = driven()
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    tables = build(np.stack([z, z]), [slice(0, len(z))], max_lag=2, basis="linear")
    found = infer(tables, 1, 50.0, np.random.default_rng(0))
    path = np.mean(found.paths, axis=0)[:, 0]
    assert abs(np.corrcoef(path, f[2:])[0, 1]) > 0.9
    assert found.paths[0].std() == pytest.approx(1.0, abs=0.2)
    assert (found.reach[:-2] > 0.15).all()
    assert (found.reach[-2:] < 0.1).all()
    assert not np.array_equal(found.paths[0], found.paths[1])


def test_a_gap_in_time_starts_the_driver_anew():
    x, _ = driven(300)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    halves = [slice(0, 150), slice(150, 300)]
    whole, cut = (infer(build(z[None], s, max_lag=2, basis="linear"), 1, 9.0, np.random.default_rng(0)) for s in ([slice(0, 300)], halves))
    assert len(whole.paths[0]) == 298
    assert len(cut.paths[0]) == 296


def test_links_beside_a_hidden_driver_are_found_and_the_driver_is_reported():
    x, _ = driven()
    done = fitted(x)
    kinds = {f.evidence.get("kind"): f for f in done.findings}
    assert kinds["hidden_drivers"].evidence["drivers"] == 1
    assert set(kinds["hidden_drivers"].evidence["reach"]) == set(done.graph.names[:-2])
    assert done.graph.score.max(axis=0)[0, 1] > 10
    top = np.argsort(-done.graph.score.max(axis=0), axis=None)[:2]
    assert sorted(divmod(int(p), N) for p in top) == [(0, 1), (2, 3)]
    assert not done.graph.verdict[0].any()
    assert len(done.graph.links()) <= 4
    blind = fitted(x, "screen.hidden=off").graph
    assert len(blind.links()) > 2 * len(done.graph.links())


def test_a_chain_of_links_within_the_step_is_no_hidden_driver():
    done = fitted(chain())
    assert "hidden_drivers" not in {f.evidence.get("kind") for f in done.findings}
    assert (done.graph.verdict[0] != 0).sum() >= N - 2


def test_too_few_rows_for_everybodys_past_still_give_an_answer():
    x, _ = driven(120)
    graph = fitted(x, "screen.hidden=on").graph
    assert np.isfinite(graph.score).all()
    assert not graph.verdict[0].any()
