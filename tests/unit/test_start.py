from __future__ import annotations

import pytest
import torch

from rcgnn.config import ModelConfig
from rcgnn.errors import InputError
from rcgnn.losses.reconstruction import reconstruction
from rcgnn.model.network import CausalNet, NetworkInput
from rcgnn.model.start import linear_start

N, K = 4, 2


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def system(observed: float = 1.0, *, outliers: bool = False) -> tuple[torch.Tensor, NetworkInput]:
    g = seeded(2)
    truth = torch.zeros(K + 1, N, N)
    truth[1, 0, 1], truth[2, 1, 2], truth[0, 3, 0] = 0.8, -0.7, 0.6
    x = torch.zeros(1200, N)
    noise = 0.3 * torch.randn(1200, N, generator=g)
    for t in range(2, 1200):
        x[t] = 0.5 * x[t - 1] + x[t - 1] @ truth[1] + x[t - 2] @ truth[2] + noise[t]
        x[t] += x[t] @ truth[0]
    if outliers:
        x = torch.where(torch.rand(x.shape, generator=g) < 0.01, 30.0, x)
    values = x.reshape(50, 24, N)
    mask = torch.rand(values.shape, generator=g) < observed
    return truth, NetworkInput(values * mask, mask, torch.zeros(50, dtype=torch.long))


def network() -> CausalNet:
    candidates = torch.ones(K + 1, N, N, dtype=torch.bool)
    return CausalNet(N, ModelConfig(), candidates, order=torch.tensor([3, 0, 1, 2]), generator=seeded())


def test_a_linear_system_is_found():
    truth, batch = system()
    net = network()
    _, weights = linear_start(net, batch)
    assert (weights - truth).abs().max() < 0.12
    assert not weights[~net.structure.allowed].any()


def test_outliers_and_gaps_bend_it_little():
    truth, batch = system(observed=0.9, outliers=True)
    _, weights = linear_start(network(), batch)
    found = weights.abs().flatten().argsort(descending=True)[:3]
    assert sorted(found.tolist()) == truth.flatten().nonzero().flatten().tolist()


def test_starting_there_is_better_and_changes_nothing_else():
    _, batch = system()
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    own, weights = linear_start(net, batch)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    cold = reconstruction(net(batch), batch).item()
    net.load_linear(own, weights)
    assert reconstruction(net(batch), batch).item() < cold - 0.3
    changed = {name for name, value in net.state_dict().items() if not torch.equal(before[name], value)}
    assert changed == {"structure.base", "history.linear.weight"}


def test_a_sensor_without_readings_starts_at_zero():
    _, batch = system()
    mask = batch.mask.clone()
    mask[..., 1] = False
    own, weights = linear_start(network(), NetworkInput(batch.values * mask, mask, batch.regime))
    assert not own[1].any()
    assert not weights[:, :, 1].any()
    assert weights.isfinite().all()


def test_shapes_are_checked():
    net = network()
    with pytest.raises(InputError, match="linear start needs shapes"):
        net.load_linear(torch.zeros(N, K + 1), torch.zeros(K + 1, N, N))
