"""DYNOTEARS against finite differences and systems made by hand."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy.optimize import approx_fprime

from rcgnn.baselines import BASELINES
from rcgnn.baselines.dynotears import THRESHOLD, Moments, acyclicity, structure
from rcgnn.series import Series


def system(rows: int = 1500, seed: int = 0) -> np.ndarray:
    """a(t-1) -> b(t) -> c(t); noise of the later sensors is larger, as NOTEARS' score wants it."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 3))
    for t in range(1, rows):
        x[t, 0] += 0.5 * x[t - 1, 0]
        x[t, 1] += 0.7 * x[t - 1, 0]
        x[t, 2] += 0.8 * x[t, 1] - 0.4 * x[t - 1, 0]
    return x


def test_the_gradient_of_the_loss_is_its_slope():
    z = np.random.default_rng(0).standard_normal((50, 6))
    moments = Moments(z.T @ z / 50, 3)
    b = np.random.default_rng(1).standard_normal((6, 3))
    by_hand = ((z[:, :3] - z @ b) ** 2).sum() / 100
    assert moments.loss(b)[0] == pytest.approx(by_hand)
    slope = approx_fprime(b.ravel(), lambda flat: moments.loss(flat.reshape(6, 3))[0], 1e-6)
    np.testing.assert_allclose(moments.loss(b)[1].ravel(), slope, atol=1e-4)


def test_the_gradient_of_the_constraint_is_its_slope():
    w = 0.5 * np.random.default_rng(2).standard_normal((4, 4))
    slope = approx_fprime(w.ravel(), lambda flat: acyclicity(flat.reshape(4, 4))[0], 1e-7)
    np.testing.assert_allclose(acyclicity(w)[1].ravel(), slope, atol=1e-4)
    assert acyclicity(w)[0] > 0.01
    assert acyclicity(np.triu(w, 1))[0] == pytest.approx(0.0, abs=1e-12)


def test_lagged_and_same_step_links_of_a_chain_are_found():
    graph = BASELINES["dynotears"](Series.of(system()), max_lag=1)
    assert {(1, 0, 1), (0, 1, 2), (1, 0, 2)} <= set(graph.links())
    assert not graph.summary[1:, 0].any()
    assert graph.strength[1, 0, 2] < 0 < graph.strength[0, 1, 2]


def test_the_same_step_part_has_no_circle():
    x = np.random.default_rng(3).standard_normal((400, 5))
    x = x @ np.linalg.cholesky(0.5 * np.eye(5) + 0.5).T
    graph = BASELINES["dynotears"](Series.of(x), max_lag=1)
    now = graph.score[0] > THRESHOLD
    assert now.sum() >= 5
    assert nx.is_directed_acyclic_graph(nx.from_numpy_array(now, create_using=nx.DiGraph))


def test_a_large_penalty_leaves_nothing_and_a_small_one_least_squares():
    x = system(500)
    z = np.concatenate([x[1:], x[:-1]], axis=1)
    z = z - z.mean(axis=0)
    moments = Moments(z.T @ z / len(z), 3)
    assert np.abs(structure(moments, 100.0)).max() < 1e-8
    b = structure(moments, 1e-6)
    order = [0, 1, 2]
    assert np.abs(b[:3][np.tril_indices(3)]).max() < 0.05, order
    least = np.linalg.lstsq(z[:, [0, 1, 3, 4, 5]], z[:, 2], rcond=None)[0]
    np.testing.assert_allclose(b[[0, 1, 3, 4, 5], 2], least, atol=0.02)
