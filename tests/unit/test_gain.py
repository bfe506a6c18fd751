"""Held-out gain: what the forecast of the effect loses when the link is closed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rcgnn.config import ModelConfig
from rcgnn.data.windows import Windows
from rcgnn.losses.reconstruction import DELTA, EPS
from rcgnn.model.network import CausalNet, NetworkInput
from rcgnn.select.gain import held_out_gain
from rcgnn.series import Series

N, K, T = 4, 1, 400


def table(seed: int = 0) -> np.ndarray:
    """0 drives 1 with .8, 2 drives 1 with -.4 and 2 drives 3 with .9, one step later; unit variance."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((T, N))
    x[1:, 1] = 0.8 * x[:-1, 0] - 0.4 * x[:-1, 2] + 0.4 * x[1:, 1]
    x[1:, 3] = 0.9 * x[:-1, 2] + 0.4 * x[1:, 3]
    return x


def windows(x: np.ndarray) -> Windows:
    return Windows.of(Series.of(x), length=20, stride=None, max_lag=K, rows=np.ones(len(x), bool))


def network(weights: dict[tuple[int, int], float]) -> CausalNet:
    """Every lagged pair is a candidate; weights as given, the rest 0; nothing else forecasts."""
    candidates = torch.zeros(K + 1, N, N, dtype=torch.bool)
    candidates[1] = ~torch.eye(N, dtype=torch.bool)
    net = CausalNet(N, ModelConfig(), candidates, generator=torch.Generator().manual_seed(0))
    start = torch.zeros(K + 1, N, N)
    for (i, j), w in weights.items():
        start[1, i, j] = w
    net.load_linear(torch.zeros(N, K), start)
    return net


TRUE = {(0, 1): 0.8, (2, 1): -0.4, (2, 3): 0.9}


def test_true_links_gain_and_links_of_weight_zero_gain_nothing():
    gain, stderr = held_out_gain(network(TRUE), windows(table()))
    for pair in TRUE:
        assert gain[pair] > 3 * stderr[pair] > 0
    absent = np.ones((N, N), bool)
    absent[tuple(np.array(list(TRUE)).T)] = False
    np.testing.assert_allclose(gain[absent], 0.0, atol=1e-12)
    np.testing.assert_allclose(stderr[absent], 0.0, atol=1e-12)


def test_the_stronger_cause_gains_more():
    gain, _ = held_out_gain(network(TRUE), windows(table()))
    assert gain[0, 1] > gain[2, 1] > 0


def test_a_wrong_link_loses():
    gain, stderr = held_out_gain(network(TRUE | {(3, 0): 0.5}), windows(table()))
    assert gain[3, 0] < -3 * stderr[3, 0]


def test_gain_is_the_difference_of_the_log_losses():
    x = table()
    net, valid = network(TRUE), windows(x)
    gain, _ = held_out_gain(net, valid)
    batch = NetworkInput(torch.from_numpy(np.array(valid.values)), torch.from_numpy(np.array(valid.mask)), torch.from_numpy(valid.regime))

    def loss(weights: torch.Tensor | None) -> float:
        with torch.no_grad():
            error = (net(batch, weights).prediction - batch.values[:, K:])[..., 1].double().numpy()
        return 0.5 * np.log(EPS**2 + np.mean(DELTA**2 * (np.sqrt(1 + (error / DELTA) ** 2) - 1)))

    closed = net.structure.weights().detach().clone()
    closed[:, :, 2, 1] = 0.0
    assert gain[2, 1] == pytest.approx(loss(closed) - loss(None), rel=1e-6)


@pytest.mark.parametrize("pair", TRUE)
def test_the_standard_error_is_that_of_a_bootstrap_over_windows(pair):
    net, valid = network(TRUE), windows(table())
    _, stderr = held_out_gain(net, valid)
    batch = NetworkInput(torch.from_numpy(np.array(valid.values)), torch.from_numpy(np.array(valid.mask)), torch.from_numpy(valid.regime))

    def loss(weights: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            error = (net(batch, weights).prediction - batch.values[:, K:])[..., pair[1]].double().numpy()
        return (DELTA**2 * (np.sqrt(1 + (error / DELTA) ** 2) - 1)).mean(axis=1)

    own = net.structure.weights().detach()
    closed = own.clone()
    closed[:, :, pair[0], pair[1]] = 0.0
    picks = np.random.default_rng(0).integers(0, len(valid), (2000, len(valid)))
    level, without = (EPS**2 + loss(w)[picks].mean(axis=1) for w in (own, closed))
    assert stderr[pair] == pytest.approx(np.std(0.5 * np.log(without / level)), rel=0.4)


def test_unobserved_targets_do_not_count():
    x = table()
    mask = np.ones(x.shape, bool)
    mask[200:, 1] = False
    wild = x.copy()
    wild[200:, 1] = 1e6
    net = network(TRUE)
    series = Series.of(wild, mask=mask)
    some = Windows.of(series, length=20, stride=None, max_lag=K, rows=np.ones(T, bool))
    gain, stderr = held_out_gain(net, some)
    assert gain[0, 1] > 3 * stderr[0, 1] > 0
    none = replace(some, mask=np.zeros_like(some.mask))
    gain, stderr = held_out_gain(net, none)
    assert not gain.any()
    assert not stderr.any()


def test_the_network_and_its_mode_are_left_as_they_were():
    net = network(TRUE).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    held_out_gain(net, windows(table()))
    assert net.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_network_without_candidates_has_nothing_to_gain():
    net = CausalNet(N, ModelConfig(), torch.zeros(K + 1, N, N, dtype=torch.bool), generator=torch.Generator().manual_seed(0))
    gain, stderr = held_out_gain(net, windows(table()))
    assert gain.shape == stderr.shape == (N, N)
    assert not gain.any()
