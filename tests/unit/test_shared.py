"""A batch taken apart and put together again is the batch; the packed output is the output."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from rcgnn.cli.together import helps, processes
from rcgnn.config import ModelConfig
from rcgnn.errors import ConfigError
from rcgnn.model.network import CausalNet
from rcgnn.model.output import NetworkInput
from rcgnn.numerics import generator
from rcgnn.train.shared import (
    Build,
    assembled,
    columns,
    fill,
    flat,
    laid_out,
    leaves,
    packed,
    part,
    picked_up,
    place,
    pulled,
    shares,
    unpacked,
    widths,
)


def network(regimes: int = 1) -> CausalNet:
    candidates = torch.ones(3, 4, 4, dtype=torch.bool)
    return Build(4, ModelConfig(), candidates, torch.arange(4), regimes).network(generator(0, "network"))


def batch(windows: int = 5, *, hidden: bool = True) -> NetworkInput:
    mask = torch.rand(windows, 9, 4, generator=generator(0, "mask")) < 0.8
    away = mask & (torch.rand(mask.shape, generator=generator(0, "hidden")) < 0.3)
    values = torch.randn(mask.shape, generator=generator(0, "values")) * mask
    return NetworkInput(values, mask, torch.arange(windows) % 2, away if hidden else None)


@pytest.mark.parametrize("hidden", [True, False])
def test_the_output_survives_packing(hidden):
    net, given = network(regimes=2), batch(hidden=hidden)
    before = net(given)
    rows = packed(columns(before))
    after = assembled(unpacked(rows, widths(9, 2, 4, ModelConfig().latent)), given, net.signal.gain)
    for field in fields(before):
        if field.name != "latents":
            assert torch.equal(getattr(after, field.name), getattr(before, field.name)), field.name
    assert all(torch.equal(after.latents[name], before.latents[name]) for name in before.latents)


@pytest.mark.parametrize("hidden", [True, False])
def test_a_batch_survives_the_journey(hidden):
    given = batch(hidden=hidden)
    arrived = picked_up(laid_out(given))
    assert torch.equal(arrived.values, given.values)
    assert torch.equal(arrived.visible, given.visible)
    assert torch.equal(arrived.regime, given.regime)


@pytest.mark.parametrize("processes", [2, 3, 7])
def test_the_parts_make_up_the_gradient(processes):
    """What each process pulls back, added up, is the gradient of the whole batch; the parts make up the forecast."""
    net, given = network(regimes=2), batch()
    whole = columns(net(given))
    slope = torch.randn(packed(whole).shape, generator=generator(0, "slope"))
    of = leaves(list(net.parameters()), None)
    sizes = shares(len(given.values), processes)
    first = [sum(sizes[:rank]) for rank in range(len(sizes))]
    parts = [columns(net(part(given, a, a + size))) for a, size in zip(first, sizes, strict=True)]
    assert torch.allclose(torch.cat([packed(piece) for piece in parts]), packed(whole), atol=1e-6)
    total = sum(pulled(piece, of, slope[a : a + size]) for a, size, piece in zip(first, sizes, parts, strict=True))
    assert torch.allclose(total, pulled(whole, of, slope), atol=1e-5)
    assert float(total.norm()) > 0


def test_parameters_survive_the_journey():
    one, other = (
        network(),
        Build(4, ModelConfig(), torch.ones(3, 4, 4, dtype=torch.bool), torch.arange(4), 1).network(generator(1, "network")),
    )
    fill(list(other.parameters()), flat(list(one.parameters())))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_cuda_device_is_not_shared(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "99")
    with pytest.raises(ConfigError, match="one device a process, got 99 processes for"):
        place("cuda")
    assert place("cpu").type == "cpu"


@pytest.mark.parametrize(
    ("env", "count", "helping"),
    [
        ({}, 1, False),
        ({"WORLD_SIZE": "2"}, 1, False),  # set by something else
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "here"}, 2, False),
        ({"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "here"}, 2, True),
    ],
)
def test_who_helps(monkeypatch, env, count, helping):
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert (processes(), helps()) == (count, helping)
