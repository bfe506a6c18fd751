from __future__ import annotations

import copy
from dataclasses import replace
from itertools import product

import pytest
import torch

from rcgnn.config import ModelConfig
from rcgnn.errors import InputError
from rcgnn.losses.reconstruction import reconstruction
from rcgnn.model.network import CausalNet, NetworkInput

N, K, B, L = 4, 2, 3, 16
OUTPUTS = ("prediction", "self_prediction", "signal", "bias", "noise_scale", "imputed", "reconstruction")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(regimes: int = 1, order: torch.Tensor | None = None, *, same_step: bool = True, **more) -> CausalNet:
    candidates = torch.ones(K + 1, N, N, dtype=torch.bool)
    candidates[0] = same_step
    order = torch.arange(N) if order is None else order
    return CausalNet(N, ModelConfig(), candidates, order=order, regimes=regimes, generator=seeded(), **more)


def shaken(net: CausalNet, size: float = 0.3) -> CausalNet:
    """Parameters away from their quiet start, so that no path hides behind a zero."""
    g = seeded(9)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=g))
    return net


def windows(seed: int = 1, observed: float = 0.7, regimes: int = 1) -> NetworkInput:
    g = seeded(seed)
    mask = torch.rand(B, L, N, generator=g) < observed
    values = torch.randn(B, L, N, generator=g) * mask
    return NetworkInput(values, mask, torch.arange(B) % regimes, mask & (torch.rand(B, L, N, generator=g) < 0.1))


def moved(net, before: NetworkInput, after: NetworkInput, weights=None) -> dict[str, torch.Tensor]:
    """Per output: [rows, N] (or [1, N]) True where anything changed."""
    with torch.no_grad():
        a, b = net(before, weights), net(after, weights)
    pairs = {name: (getattr(a, name), getattr(b, name)) for name in OUTPUTS} | {"filtered": (a.latents["filtered"], b.latents["filtered"])}
    return {name: (x != y).reshape(-1, x.shape[-2] if x.ndim == 3 else 1, N).any(0) for name, (x, y) in pairs.items()}


def shift_sensor(batch: NetworkInput, sensor: int, rows: slice = slice(None)) -> NetworkInput:
    values, mask = batch.values.clone(), batch.mask.clone()
    values[:, rows, sensor] += 2.0
    mask[:, rows, sensor] = True
    return replace(batch, values=values, mask=mask)


def test_shapes():
    out = build()(windows())
    assert out.prediction.shape == out.self_prediction.shape == (B, L - K, N)
    assert out.signal.shape == out.bias.shape == out.imputed.shape == out.reconstruction.shape == (B, L, N)
    assert out.noise_scale.shape == (N,)
    assert (out.noise_scale > 0).all()
    assert out.prediction.dtype == torch.float32


@pytest.mark.parametrize("source", range(N))
def test_no_bypass_with_every_link_closed(source):
    net, batch = shaken(build()), windows()
    closed = torch.zeros(K + 1, N, N)
    for name, change in moved(net, batch, shift_sensor(batch, source), closed).items():
        others = [j for j in range(N) if j != source]
        assert not change[:, others].any(), name
        assert change[:, source].any(), name


@pytest.mark.parametrize(
    ("lag", "source", "target"), [(k, i, j) for k, i, j in product(range(K + 1), range(N), range(N)) if i < j or (k and i != j)]
)
def test_one_open_link_moves_its_target_only_and_only_later(lag, source, target):
    net, batch = shaken(build()), windows()
    weights = torch.zeros(K + 1, N, N)
    weights[lag, source, target] = 0.8
    row = 7
    change = moved(net, batch, shift_sensor(batch, source, slice(row, None)), weights)
    for name in ("prediction", "signal", "imputed", "reconstruction"):
        assert not change[name][:, [j for j in range(N) if j not in (source, target)]].any(), name
        first = row + lag - (K if name == "prediction" else 0)
        assert not change[name][:first, target].any(), name
    assert change["prediction"][row + lag - K, target]
    assert not change["self_prediction"][:, target].any()
    assert not change["filtered"][:, target].any()


def test_the_forecast_never_reads_its_own_row_nor_the_future():
    net, batch = shaken(build(same_step=False)), windows()
    row = 9
    for sensor in range(N):
        change = moved(net, batch, shift_sensor(batch, sensor, slice(row, None)))
        for name in ("prediction", "self_prediction"):
            assert not change[name][: row - K + 1].any()
            assert change[name][row - K + 1 :, sensor].any()


def test_same_step_links_read_earlier_sensors_only():
    order = torch.tensor([2, 0, 3, 1])
    net, batch = shaken(build(order=order)), windows()
    row = 9
    for place, sensor in enumerate(order.tolist()):
        change = moved(net, batch, shift_sensor(batch, sensor, slice(row, None)))["prediction"]
        assert not change[: row - K].any()
        assert sorted(change[row - K].nonzero().flatten().tolist()) == sorted(order[place + 1 :].tolist())


def test_closed_links_are_the_self_prediction():
    out = shaken(build())(windows(), torch.zeros(1, K + 1, N, N))
    assert torch.equal(out.prediction, out.self_prediction)


def test_hidden_and_missing_cells_are_not_read():
    net, batch = shaken(build()), windows()
    wild = batch.values.clone()
    wild[~batch.visible] = 1e6
    with torch.no_grad():
        a, b = net(batch), net(replace(batch, values=wild))
    assert all(torch.equal(getattr(a, name), getattr(b, name)) for name in OUTPUTS)


def test_windows_do_not_meet():
    net, batch = shaken(build()), windows()
    values = batch.values.clone()
    values[0] += 1.0 * batch.mask[0]
    with torch.no_grad():
        a, b = net(batch), net(replace(batch, values=values))
    for name in ("prediction", "signal", "bias", "imputed"):
        assert torch.equal(getattr(a, name)[1:], getattr(b, name)[1:]), name
        assert not torch.equal(getattr(a, name)[0], getattr(b, name)[0]), name


def test_imputed_keeps_readings_and_fills_the_rest():
    batch = windows()
    out = shaken(build())(batch)
    seen = batch.visible
    assert torch.equal(out.imputed[seen], batch.values[seen])
    assert torch.equal(out.imputed[~seen], out.reconstruction[~seen])
    assert torch.allclose(out.reconstruction, out.signal + out.bias)
    assert torch.allclose((out.reconstruction + out.latents["noise"])[seen], batch.values[seen], atol=1e-5)


def test_data_reaches_every_group_of_parameters():
    """The origin's decoder never saw its graph: its structure gradient was zero."""
    net, batch = build(regimes=2), windows(regimes=2)
    shaken(net, 0.05)
    reconstruction(net(batch), batch).backward()
    lag, i, j = net.structure.edges
    assert (net.structure.base.grad[lag, i, j] != 0).all()
    assert (net.structure.deltas.grad[:, lag, i, j] != 0).all()
    assert not net.structure.base.grad[~net.structure.allowed].any()
    for name, parameters in net.groups().items():
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters), name


def test_at_the_very_start_the_graph_has_a_gradient():
    net, batch = build(), windows()
    reconstruction(net(batch), batch).backward()
    lag, i, j = net.structure.edges
    assert (net.structure.base.grad[lag, i, j] != 0).all()


def test_groups_partition_the_trainable_parameters():
    net = build(regimes=2)
    grouped = [id(p) for ps in net.groups().values() for p in ps]
    assert sorted(grouped) == sorted(id(p) for p in net.parameters() if p.requires_grad)
    assert {id(p) for p in net.self_parameters()}.isdisjoint(id(p) for p in net.link_parameters())
    assert len(net.self_parameters()) + len(net.link_parameters()) == len(grouped)


def test_link_parameters_do_not_move_the_self_prediction():
    net, batch = shaken(build()), windows()
    before = net(batch).self_prediction
    with torch.no_grad():
        for parameter in net.link_parameters():
            parameter.add_(1.0)
    assert torch.equal(net(batch).self_prediction, before)


@pytest.mark.parametrize("regimes", [1, 2])
def test_closed_is_what_zeros_give_to_the_bit(regimes):
    net, batch = shaken(build(regimes=regimes)), windows(regimes=regimes)
    moving = net.self_parameters()
    found = []
    for given in ({"weights": torch.zeros_like(net.structure.base)}, {"closed": True}):
        output = net(batch, **given)
        slope = torch.autograd.grad(output.prediction.square().sum() + output.reconstruction.square().sum(), moving)
        found.append([output.prediction, output.self_prediction, output.reconstruction, output.imputed, *slope])
    assert all(torch.equal(zeros, closed) for zeros, closed in zip(*found, strict=True))
    assert not torch.equal(net(batch).prediction, found[0][0])


def test_regimes_have_their_own_weights():
    net, batch = shaken(build(regimes=2)), windows(regimes=2)
    weights = net.structure.weights().detach().clone()
    weights[1] += 0.5
    with torch.no_grad():
        a, b = net(batch), net(batch, weights)
    same = (a.prediction == b.prediction).flatten(1).all(1)
    assert same.tolist() == [True, False, True]


def test_weights_without_a_regime_axis_hold_for_all():
    net, batch = shaken(build(regimes=2)), windows(regimes=2)
    shared = torch.randn(K + 1, N, N, generator=seeded(4))
    assert torch.equal(net(batch, shared).prediction, net(batch, shared.expand(2, -1, -1, -1)).prediction)


def test_the_generator_decides_everything():
    torch.manual_seed(1)
    a = build().state_dict()
    torch.manual_seed(2)
    b = build().state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_state_dict_restores_the_forecast():
    net, batch = shaken(build()), windows()
    other = build()
    other.load_state_dict(copy.deepcopy(net.state_dict()))
    assert torch.equal(net(batch).prediction, other(batch).prediction)


def test_first_weights_can_be_given():
    start = torch.randn(K + 1, N, N, generator=seeded(3))
    net = build(init_weights=start)
    assert torch.equal(net.structure.weights()[0], start * net.structure.allowed)


def test_a_linear_system_starts_exact():
    """With the true weights given, the untrained network already forecasts a linear system to its noise."""
    g = seeded(2)
    truth = torch.zeros(K + 1, N, N)
    truth[1, 0, 1], truth[2, 1, 2], truth[1, 3, 0] = 0.8, -0.7, 0.6
    x = torch.zeros(600, N)
    noise = 0.1 * torch.randn(600, N, generator=g)
    x[:2] = torch.randn(2, N, generator=g)
    for t in range(2, 600):
        x[t] = 0.5 * x[t - 1] + x[t - 1] @ truth[1] + x[t - 2] @ truth[2] + noise[t]
    values = x[: 24 * 25].reshape(25, 24, N)
    batch = NetworkInput(values, torch.ones_like(values, dtype=torch.bool), torch.zeros(25, dtype=torch.long))
    net = CausalNet(N, ModelConfig(), truth != 0, generator=seeded(), init_weights=truth)
    with torch.no_grad():
        out = net(batch)
    error = (out.prediction - values[:, K:]).square().mean().sqrt()
    alone = (out.self_prediction - values[:, K:]).square().mean().sqrt()
    assert error < 0.115
    assert alone > 1.4 * error


@pytest.mark.parametrize("scale", [1e-30, 1e6, 1e30])
def test_extreme_readings_leave_everything_finite(scale):
    net, batch = shaken(build()), windows()
    batch = replace(batch, values=batch.values * scale)
    out = net(batch)
    assert all(getattr(out, name).isfinite().all() for name in OUTPUTS)
    reconstruction(out, batch).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def test_a_sensor_without_a_reading_is_no_trouble():
    batch = windows()
    mask = batch.mask.clone()
    mask[..., 2] = False
    batch = replace(batch, mask=mask, values=batch.values * mask)
    out = shaken(build())(batch)
    assert all(getattr(out, name).isfinite().all() for name in OUTPUTS)


def test_no_candidates_is_a_network_of_loners():
    net = CausalNet(N, ModelConfig(), torch.zeros(K + 1, N, N, dtype=torch.bool), generator=seeded())
    out = net(windows())
    assert torch.equal(out.prediction, out.self_prediction)


def test_mistakes_are_named():
    with pytest.raises(InputError, match=r"candidates must be \[K\+1, 4, 4\]"):
        CausalNet(4, ModelConfig(), torch.ones(2, 3, 3, dtype=torch.bool), generator=seeded())
    with pytest.raises(InputError, match="at least one lag"):
        CausalNet(3, ModelConfig(), torch.ones(1, 3, 3, dtype=torch.bool), generator=seeded())
    batch = windows()
    with pytest.raises(InputError, match="use at least 3"):
        build()(NetworkInput(batch.values[:, :2], batch.mask[:, :2], batch.regime))
