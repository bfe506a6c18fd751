"""A same-step direction has to be more than what chance does to it."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.graph import LINK, UNDECIDED
from rcgnn.pipeline import fit_series
from rcgnn.screen.shape import influence, negentropy
from rcgnn.screen.turning import told
from rcgnn.series import Series
from rcgnn.verdict import DIRECTION


def pair(seed, noise, *, rows=1000, memory=0.0, max_lag=3):
    """a drives b within the row; c has nothing to do with them."""
    rng = np.random.default_rng(seed)
    e = noise(rng, (rows, 3))
    x = e.copy()
    for t in range(1, rows):
        x[t] += memory * x[t - 1]
        x[t, 1] += 0.8 * x[t, 0] if memory else 0.0
    if not memory:
        x[:, 1] = 0.8 * x[:, 0] + 0.6 * x[:, 1]
    settings = [f"data.max_lag={max_lag}", "select.refine=off", "select.halves=4", "signal.smooth=off"]
    return fit_series(Series(x, np.isfinite(x), ("a", "b", "c")), Config().override(settings))


def gaussian(rng, shape):
    return rng.standard_normal(shape)


def laplace(rng, shape):
    return rng.laplace(size=shape)


@pytest.mark.parametrize("max_lag", [3, 8])
def test_where_nothing_tells_a_direction_hardly_any_is_given(max_lag):
    """One of 24 tables gets a direction; without the rule five (K = 3) and nine (K = 8) do."""
    directed = 0
    for seed in range(400, 424):
        graph = pair(seed, gaussian, rows=800, max_lag=max_lag).graph
        verdicts = {int(graph.verdict[0, 0, 1]), int(graph.verdict[0, 1, 0])}
        assert verdicts & {LINK, UNDECIDED}
        directed += LINK in verdicts
    assert directed <= 2


@pytest.mark.parametrize(("noise", "memory"), [(laplace, 0.0), (gaussian, 0.5)], ids=["shape", "own past"])
def test_where_something_tells_it_is_given(noise, memory):
    right = sum(pair(seed, noise, memory=memory).graph.verdict[0, 0, 1] == LINK for seed in range(6))
    assert right >= 5


def test_a_direction_that_is_not_told_is_open_for_that_reason():
    for seed in range(30):
        done = pair(seed, gaussian, rows=600, max_lag=8)
        free = np.argwhere(~told(done.screened))
        if len(free):
            break
    assert {tuple(one) for one in free} <= {(0, 1), (1, 0)}
    i, j = free[0]
    assert done.graph.reasons[0, int(i), int(j)] == done.graph.reasons[0, int(j), int(i)] == DIRECTION


def test_draws_of_the_state_space_are_not_asked():
    x = np.random.default_rng(0).standard_normal((600, 3))
    x[:, 1] += 0.8 * x[:, 0]
    done = fit_series(Series(x, np.isfinite(x), ("a", "b", "c")), Config().override(["select.refine=off", "signal.smooth=on"]))
    assert len(done.screened.tables.draws) > 1
    assert told(done.screened).all()


@pytest.mark.parametrize("draw", [lambda rng: rng.laplace(size=800), lambda rng: rng.lognormal(sigma=0.5, size=800)], ids=["even", "odd"])
def test_influence_foretells_the_spread_of_negentropy(draw):
    rng = np.random.default_rng(0)
    tables = [draw(rng) for _ in range(200)]
    spread = np.std([2 * len(x) * negentropy(x) for x in tables])
    foretold = np.mean([np.sqrt(len(x) * np.var(influence((x - x.mean()) / x.std()))) for x in tables])
    assert 0.6 * spread < foretold < 1.2 * spread


def test_influence_of_scaling_is_taken_away():
    z = np.random.default_rng(1).laplace(size=500)
    z = (z - z.mean()) / z.std()
    assert abs(influence(z).sum()) < 1e-6
    heavier = np.append(z, 8.0)
    step = 2 * (len(heavier) * negentropy(heavier) - len(z) * negentropy(z))
    assert np.sign(influence(z)[np.argmax(np.abs(z))]) == np.sign(step)
