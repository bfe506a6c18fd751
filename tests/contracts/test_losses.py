"""What every loss term owes: a finite mean, whatever the readings and however many of everything there are."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
import torch

from rcgnn.config import LossConfig, ModelConfig
from rcgnn.losses.terms import TERMS, compute
from rcgnn.model.network import CausalNet
from rcgnn.model.output import ModelOutput, NetworkInput

B, K, ROWS, N, R = 4, 2, 10, 3, 2


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def content(scale: float = 1.0, seed: int = 0) -> tuple[ModelOutput, NetworkInput, SimpleNamespace]:
    """A batch, what a network might say of it, and the network's graph; the first K rows hold no reading."""
    g = seeded(seed)
    shape = (B, K + ROWS, N)
    mask = torch.rand(shape, generator=g) > 0.3
    mask[:, :K] = False
    part = {name: (scale * torch.randn(shape, generator=g)).requires_grad_() for name in ("signal", "bias", "reconstruction", "imputed")}
    forecast = {name: (scale * torch.randn(B, ROWS, N, generator=g)).requires_grad_() for name in ("prediction", "self_prediction")}
    noise = (scale * torch.randn(shape, generator=g)).requires_grad_()
    output = ModelOutput(**part, **forecast, noise_scale=torch.ones(N), latents={"noise": noise})
    hidden = mask & (torch.rand(shape, generator=g) < 0.2)
    batch = NetworkInput(scale * torch.randn(shape, generator=g) * mask, mask, torch.zeros(B, dtype=torch.long), hidden)
    base = (scale * torch.randn(K + 1, N, N, generator=g)).requires_grad_()
    deltas = (scale * torch.randn(R, K + 1, N, N, generator=g)).requires_grad_()
    return output, batch, graph(base, deltas)


def graph(base: torch.Tensor, deltas: torch.Tensor) -> SimpleNamespace:
    size = base.shape[-1]
    block = torch.block_diag(*[torch.ones(N, N)] * (size // N)).bool()
    pairs = block & ~torch.eye(size, dtype=torch.bool)
    structure = SimpleNamespace(deltas=deltas * pairs, pairs=pairs, instantaneous=True, weights=lambda: (base + deltas) * pairs)
    return SimpleNamespace(structure=structure, leaves=[base, deltas])


def over_tensors(thing, change):
    """The same dataclass with `change` applied to every [B, rows, N] tensor in it."""
    new = {}
    for f in fields(thing):
        value = getattr(thing, f.name)
        if isinstance(value, dict):
            new[f.name] = {name: change(x) for name, x in value.items()}
        else:
            new[f.name] = change(value) if torch.is_tensor(value) and value.ndim == 3 else value
    return replace(thing, **new)


def more_rows(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, x[:, -ROWS:]], dim=1)


def twice(sensors: torch.Tensor) -> torch.Tensor:
    blocks = [torch.block_diag(m, m) for m in sensors.flatten(0, -3)]
    return torch.stack(blocks).view(*sensors.shape[:-2], 2 * sensors.shape[-1], 2 * sensors.shape[-1])


DOUBLINGS = {
    "batch": lambda o, b, n: (*(over_tensors(x, lambda t: torch.cat([t, t])) for x in (o, b)), n),
    "window": lambda o, b, n: (over_tensors(o, more_rows), over_tensors(b, more_rows), n),
    "sensors": lambda o, b, n: (*(over_tensors(x, lambda t: torch.cat([t, t], -1)) for x in (o, b)), graph(*map(twice, n.leaves))),
    "regimes": lambda o, b, n: (o, b, graph(n.leaves[0], torch.cat([n.leaves[1]] * 2))),
}


def test_every_term_has_a_weight_in_the_config_and_the_other_way_round():
    assert list(TERMS) == list(LossConfig().weights)


@pytest.mark.parametrize("name", TERMS)
def test_a_term_is_one_finite_number(name):
    value = TERMS[name].value(*content())
    assert value.shape == ()
    assert value.dtype == torch.float64
    assert value.isfinite()
    assert TERMS[name].meaning


@pytest.mark.parametrize("doubling", DOUBLINGS)
@pytest.mark.parametrize("name", TERMS)
def test_more_of_the_same_measures_the_same(name, doubling):
    output, batch, network = content()
    before = TERMS[name].value(output, batch, network).item()
    after = TERMS[name].value(*DOUBLINGS[doubling](output, batch, network)).item()
    assert before != 0
    assert after == pytest.approx(before, rel=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 1e10, 1e18])
@pytest.mark.parametrize("name", TERMS)
def test_gradients_are_finite_at_any_scale(name, scale):
    output, batch, network = content(scale)
    leaves = [x for x in vars(output).values() if torch.is_tensor(x) and x.requires_grad] + [output.latents["noise"], *network.leaves]
    value = TERMS[name].value(output, batch, network)
    assert value.isfinite()
    found = torch.autograd.grad(value, leaves, allow_unused=True)
    assert any(g is not None for g in found)
    assert all(g.isfinite().all() for g in found if g is not None)


@pytest.mark.parametrize("name", TERMS)
def test_a_term_reads_what_it_says(name):
    output, batch, network = content()
    other, other_batch, other_network = content(seed=5)
    moved = TERMS[name].value(other, other_batch, network) != TERMS[name].value(output, batch, network)
    assert bool(moved) == TERMS[name].of_data
    changed = TERMS[name].value(output, batch, other_network) != TERMS[name].value(output, batch, network)
    assert bool(changed) != TERMS[name].of_data


def test_compute_gives_every_term_for_a_real_network():
    candidates = torch.ones(K + 1, N, N, dtype=torch.bool)
    net = CausalNet(N, ModelConfig(), candidates, regimes=R, generator=seeded())
    _, batch, _ = content()
    terms = compute(net(batch), batch, net)
    assert list(terms) == ["recon", "sparse", "acyclic", "disen", "invariance"]
    sum(terms.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
    assert terms["acyclic"] > 0


def test_an_order_leaves_no_cycle_to_punish():
    net = CausalNet(N, ModelConfig(), torch.ones(K + 1, N, N, dtype=torch.bool), order=torch.tensor([2, 0, 1]), generator=seeded())
    _, batch, _ = content()
    assert compute(net(batch), batch, net)["acyclic"] == 0
