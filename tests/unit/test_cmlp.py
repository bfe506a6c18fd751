"""cMLP: its descent against torch and against brute force, its answer against systems made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from rcgnn.baselines import BASELINES
from rcgnn.baselines.component_mlp import (
    HIDDEN,
    RIDGE,
    SHARE,
    Path,
    Rows,
    descend,
    fit,
    groups,
    openness,
    rising_path,
    shrink,
    smooth,
    start,
)
from rcgnn.numerics import generator
from rcgnn.series import Series

LAGS = 3


def curved(seed: int, rows: int = 600) -> np.ndarray:
    """b follows tanh of a, c the square of a, both two rows later; d is noise."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 4))
    x[2:, 1] = np.tanh(2 * x[:-2, 0]) + 0.4 * x[2:, 1]
    x[2:, 2] = 0.7 * x[:-2, 0] ** 2 + 0.4 * x[2:, 2]
    return x


def lagged(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    return np.concatenate([z[LAGS - k : len(z) - k] for k in range(1, LAGS + 1)], axis=1), z[LAGS:]


def rows_of(x: np.ndarray) -> Rows:
    past, now = lagged(x)
    return Rows(torch.cat([torch.from_numpy(past).float(), torch.ones(len(past), 1)], dim=1), torch.from_numpy(now).float())


@pytest.fixture(scope="module")
def found():
    return fit(*lagged(curved(0)), generator(0, "test"))


# --- the descent --------------------------------------------------------------------------------------------------------------------


def test_the_gradient_is_that_of_torch():
    rows = rows_of(curved(1, 50))
    weights = start(12, 4, generator(1, "test")).requires_grad_()
    by_hand, gradient = smooth(weights.detach(), rows)
    hidden = torch.tanh(torch.einsum("np,pmh->nmh", rows.past, weights[:-1]))
    foretold = torch.einsum("nmh,mh->nm", hidden, weights[-1])
    error = rows.now - foretold
    value = 0.5 * error.var(dim=0, correction=0) + 0.5 * RIDGE * (weights[-1] ** 2).sum(dim=1)
    value.sum().backward()
    torch.testing.assert_close(by_hand, value.detach())
    torch.testing.assert_close(gradient, weights.grad, rtol=1e-4, atol=1e-6)


def test_a_weight_stands_where_its_lag_cause_and_effect_say():
    weights = torch.zeros(2 * 3 + 2, 3, 1)
    weights[1 * 3 + 2, 0, 0] = 1.0  # x_2(t-2) in the network of sensor 0
    assert groups(weights).nonzero().tolist() == [[1, 2, 0, 0]]


def test_the_proximal_step_by_hand():
    weights = torch.zeros(2 + 2, 1, 2)
    weights[0, 0], weights[1, 0], weights[2:] = torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4]), 9.0
    t = 1.0
    kept = 5.0 - (1 - SHARE) * t  # the second lag, of length .5 < .9, closes
    kept -= SHARE * t
    moved = shrink(weights, torch.tensor([t]))
    torch.testing.assert_close(moved[0, 0], torch.tensor([3.0, 4.0]) * kept / 5.0)
    assert not moved[1].any()
    assert (moved[2:] == 9.0).all()
    assert not shrink(weights, torch.tensor([5.1]))[:2].any()


def test_the_proximal_step_is_the_best_one():
    """Against a general minimiser of |U - W|^2 / 2 + t openness(U)."""
    w = np.random.default_rng(0).standard_normal(6) + 1.0

    def padded(u: np.ndarray) -> torch.Tensor:
        return torch.cat([torch.from_numpy(u).view(3, 1, 2), torch.zeros(2, 1, 2, dtype=torch.float64)])

    for t in (0.3, 1.2):
        best = minimize(
            lambda u, t=t: 0.5 * ((u - w) ** 2).sum() + t * openness(padded(u)).item(), w, method="Nelder-Mead",
            options={"xatol": 1e-7, "fatol": 1e-12, "maxiter": 20_000, "maxfev": 20_000, "adaptive": True},
        )  # fmt: skip
        np.testing.assert_allclose(shrink(padded(w), torch.tensor([t]))[:3].flatten(), best.x, atol=1e-3)


def test_every_pair_shrinks_by_itself():
    weights, threshold = start(6, 3, generator(7, "test")), torch.tensor([0.2, 1.0, 3.0])
    moved = groups(shrink(weights, threshold))
    for i, j in np.ndindex(3, 3):
        alone = torch.cat([groups(weights)[:, i, j][:, None], weights[-2:, :1]])
        torch.testing.assert_close(moved[:, i, j], shrink(alone, threshold[[j]])[:-2, 0])
    assert moved[:, :, 0].any()


def test_every_target_has_its_own_threshold():
    weights = torch.ones(2 + 2, 2, 3)
    moved = shrink(weights, torch.tensor([0.0, 100.0]))
    assert torch.equal(moved[:, 0], weights[:, 0])
    assert not moved[:2, 1].any()


def test_descent_ends_where_a_proximal_step_leads_back_to_itself():
    rows, penalty = rows_of(curved(2, 200)), torch.full((4,), 0.05)
    begin = start(12, 4, generator(2, "test"))
    weights, _ = descend(begin, rows, penalty, 500)

    def objective(w: torch.Tensor) -> torch.Tensor:
        return smooth(w, rows)[0] + penalty * openness(w)

    assert (objective(weights) < 0.7 * objective(begin)).all()
    gradient = smooth(weights, rows)[1]
    assert (shrink(weights - 0.1 * gradient, 0.1 * penalty) - weights).abs().max() < 2e-3


def test_a_target_does_not_depend_on_the_penalty_of_another():
    rows, begin = rows_of(curved(3, 200)), start(12, 4, generator(3, "test"))
    one, _ = descend(begin, rows, torch.tensor([0.05, 0.05, 0.05, 0.05]), 15)
    two, _ = descend(begin, rows, torch.tensor([0.05, 5.0, 0.05, 0.05]), 15)
    torch.testing.assert_close(one[:, [0, 2, 3]], two[:, [0, 2, 3]])
    assert groups(one)[:, :, 1].any()
    assert not groups(two)[:, :, 1].any()


# --- the penalty --------------------------------------------------------------------------------------------------------------------


def test_the_path_rises_until_everything_is_closed():
    rows = rows_of(curved(4, 300))
    path = rising_path(start(12, 4, generator(4, "test")), rows.part(slice(0, 240)), rows.part(slice(240, None)))
    open_groups = [int((groups(w).norm(dim=-1) > 0).sum()) for w in path.weights]
    assert open_groups[-1] == 0 < open_groups[-2]
    assert open_groups[0] > 2 * 2
    assert (path.penalty.diff() > 0).all()
    assert path.error.shape == (len(path.penalty), 57, 4)
    closed = (rows.now[240:] - rows.now[:240].mean(dim=0)).square()
    torch.testing.assert_close(path.error[-1], closed)


def test_one_standard_error():
    """Mean errors 1.3, 1, 1.05, 1.3; 25 rows, of the best with a standard deviation of .5: one standard error is .1."""
    wave = torch.arange(25.0) - 12
    wave /= wave.std(correction=0)

    def chosen(deviation: float) -> list[int]:
        spread = torch.tensor([9.0, deviation, 9.0, 9.0])[:, None] * wave
        error = torch.tensor([1.3, 1.0, 1.05, 1.3])[:, None] + spread
        return Path(torch.tensor([0.1, 0.2, 0.4, 0.8]), torch.zeros(4, 3, 1, HIDDEN), error[:, :, None]).chosen().tolist()

    assert chosen(0.5) == [2]
    assert chosen(0.1) == [1]
    assert chosen(2.0) == [3]


def test_noise_takes_a_larger_penalty_than_what_follows_something(found):
    """a and d are noise: the largest of the path, all closed; b and c follow a."""
    assert (found.penalty[[0, 3]] == found.penalty.max()).all()
    assert (found.penalty[[1, 2]] < found.penalty.max()).all()
    assert not found.size[:, :, [0, 3]].any()
    assert found.size[1, 0, 1] > 0 < found.size[1, 0, 2]


def test_an_even_curve_is_not_seen_from_a_closed_network():
    """Why the path goes up: what starts closed stays closed, what starts open does not."""
    rows, penalty = rows_of(curved(0)), torch.full((4,), 0.05)
    wide = start(12, 4, generator(6, "test"))
    closed = torch.cat([torch.zeros_like(wide[:-2]), wide[-2:]])
    up, down = (groups(descend(begin, rows, penalty, 300)[0]).norm(dim=-1) for begin in (wide, closed))
    assert up[1, 0, 1] > 0.5 < down[1, 0, 1]
    assert up[1, 0, 2] > 0.5
    assert not down[:, :, 2].any()


# --- the answer ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_curved_links_come_first_with_their_lag(seed):
    graph = BASELINES["cmlp"](Series.of(curved(seed)), max_lag=LAGS)
    first = sorted(np.ndindex(graph.score.shape), key=lambda key: -graph.score[key])[:2]
    assert set(first) == {(2, 0, 1), (2, 0, 2)}
    assert {(2, 0, 1), (2, 0, 2)} <= set(graph.links())
    assert len(graph.links()) <= 4
    assert not graph.strength.any()
    assert not graph.score[0].any()


def test_noise_has_hardly_a_link():
    links = [len(BASELINES["cmlp"](Series.of(np.random.default_rng(s).standard_normal((400, 5))), max_lag=LAGS).links()) for s in range(3)]
    assert max(links) <= 2  # of 60


def test_the_seed_decides_the_networks_and_the_score_is_exact():
    series = Series.of(curved(0, 300))
    one, two, other = (BASELINES["cmlp"](series, max_lag=2, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.score, two.score)
    assert not np.array_equal(one.score, other.score)


def test_a_gap_is_bridged_by_a_straight_line():
    x = curved(0, 300)
    holed, drawn = x.copy(), x.copy()
    holed[100, 0] = np.nan
    drawn[100, 0] = (x[99, 0] + x[101, 0]) / 2
    one, two = (BASELINES["cmlp"](Series.of(table), max_lag=2) for table in (holed, drawn))
    assert set(one.links()) == set(two.links())
    np.testing.assert_allclose(one.score, two.score, rtol=0.02, atol=1e-3)
