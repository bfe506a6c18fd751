"""The sparsity threshold, the proximal step it feeds, held-out losses and the certificate, on small real networks."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from rcgnn.config import Config
from rcgnn.data.windows import Windows
from rcgnn.losses.reconstruction import recon_per_sensor, reconstruction
from rcgnn.model.network import CausalNet
from rcgnn.series import Series
from rcgnn.train.balance import flat_gradient
from rcgnn.train.batches import Batches, hide
from rcgnn.train.certificate import forecast_bound, parameter_certificate
from rcgnn.train.held_out import closed_is_alone, evaluate
from rcgnn.train.null_threshold import group_gradients, null_threshold, residual_pull
from rcgnn.train.optimizer import AdamW
from rcgnn.train.proximal import proximal_step
from rcgnn.train.record import companion_radius
from rcgnn.train.training import Training

N = 3


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def batches(rows=600, link=0.0, seed=0, length=12) -> Batches:
    rng = np.random.default_rng(seed)
    x, noise = np.zeros((rows, N)), rng.normal(size=(rows, N))
    for t in range(1, rows):
        x[t] = 0.5 * x[t - 1] + noise[t]
        x[t, 1] += link * x[t - 1, 0]
    values = x / x.std(0)
    values[rng.random(x.shape) < 0.1] = np.nan
    windows = Windows.of(Series.of(values), length=length, stride=None, max_lag=2, rows=np.ones(rows, bool))
    return Batches.of(windows, torch.device("cpu"))


def network(seed=0) -> CausalNet:
    candidates = torch.zeros(3, N, N, dtype=torch.bool)
    candidates[1:] = True
    return CausalNet(N, Config().model, candidates, generator=seeded(seed))


def largest_gradient(net, data):
    return group_gradients(net, data, [residual_pull(net, data)])[0]


def test_the_pull_at_closed_links_is_their_gradient():
    """Worked out in closed form, with what arrives already meeting the own past."""
    net, data = network(), batches(link=0.6)
    with torch.no_grad():
        for parameter in net.messages.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=seeded(2)))
    pulls = [residual_pull(net, data), residual_pull(net, data).roll(5, 0)]
    closed = torch.zeros_like(net.structure.base, requires_grad=True)
    forecast = torch.cat([net(batch, closed).prediction for batch, _ in data.chunks(20)])
    for pull, found in zip(pulls, group_gradients(net, data, pulls), strict=True):
        [slope] = torch.autograd.grad((forecast * pull).sum(), closed, retain_graph=True)
        expected = torch.linalg.vector_norm((slope * net.structure.allowed).double(), dim=0)
        assert expected.count_nonzero() == net.structure.pairs.sum()
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_a_real_link_pulls_harder_than_the_null_and_others_do_not():
    net, data = network(), batches(link=0.6)
    threshold = null_threshold(net, data, seeded(1))
    pull = largest_gradient(net, data)
    assert pull[0, 1] > 3 * threshold[0, 1]
    assert (pull[2] <= threshold[2]).all()
    assert (threshold > 0).equal(net.structure.pairs)


def test_without_links_the_null_holds_about_nine_times_in_ten():
    net = network()
    above = [bool((largest_gradient(net, batches(seed=s)) > null_threshold(net, batches(seed=s), seeded(s))).any()) for s in range(20)]
    assert sum(above) <= 6


def test_threshold_falls_with_the_square_root_of_the_rows():
    net = network()
    small, large = (null_threshold(net, batches(rows=rows), seeded(1)).mean() for rows in (500, 4500))
    assert float(small / large) == pytest.approx(3, rel=0.4)


def test_threshold_is_drawn_from_its_generator_and_changes_nothing():
    net, data = network(), batches()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert torch.equal(null_threshold(net, data, seeded(1)), null_threshold(net, data, seeded(1)))
    assert not torch.equal(null_threshold(net, data, seeded(1)), null_threshold(net, data, seeded(2)))
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_threshold_of_nothing_is_zero():
    net, data = network(), batches()
    assert not null_threshold(net, data.part(0, 0), seeded(1)).any()
    empty = CausalNet(N, Config().model, torch.zeros(3, N, N, dtype=torch.bool), generator=seeded(0))
    assert not null_threshold(empty, data, seeded(1)).any()
    assert torch.isfinite(null_threshold(net, data.part(0, 1), seeded(1))).all()


def test_one_sharply_forecast_sensor_does_not_raise_the_bar_for_the_others():
    net, data = network(), batches()
    quiet = replace(data, values=data.values * torch.tensor([1.0, 1.0, 0.01]))
    before, after = (null_threshold(net, d, seeded(1)) for d in (data, quiet))
    assert float(after[0, 1] / before[0, 1]) == pytest.approx(1, rel=0.3)


def stepped(net, gradient):
    optimizer = AdamW([net.structure.base], lr=0.01, weight_decay=0.0)
    optimizer.step(gradient.flatten())
    return optimizer


def test_prox_shrinks_a_group_in_the_metric_of_adam():
    net = network()
    optimizer = stepped(net, torch.full_like(net.structure.base, 0.2) * net.structure.allowed)
    with torch.no_grad():
        net.structure.base.copy_(net.structure.allowed * 0.3)
    assert float(optimizer.metric(net.structure.base)[1, 0, 1]) == pytest.approx(0.2, rel=1e-4)
    proximal_step(net.structure, optimizer, 0.1)
    before, after = 0.3 * 2**0.5, float(net.structure.base.detach()[:, 0, 1].norm())
    assert before - after == pytest.approx(0.01 * 0.1 / 0.2, rel=1e-3)


def test_prox_closes_small_groups_exactly_and_zero_threshold_does_nothing():
    net = network()
    optimizer = stepped(net, torch.full_like(net.structure.base, 0.2) * net.structure.allowed)
    kept = net.structure.base.detach().clone()
    proximal_step(net.structure, optimizer, 0.0)
    assert torch.equal(net.structure.base, kept)
    proximal_step(net.structure, optimizer, 1e3)
    assert not net.structure.base.any()


def test_prox_does_not_depend_on_the_scale_of_the_gradient():
    small, large = network(), network()
    for net, scale in ((small, 1.0), (large, 1e4)):
        optimizer = stepped(net, scale * torch.full_like(net.structure.base, 0.2) * net.structure.allowed)
        proximal_step(net.structure, optimizer, scale * 0.1)
    assert torch.allclose(small.structure.base, large.structure.base, atol=1e-6)


def test_held_out_equals_the_loss_of_the_block(monkeypatch):
    net, data = network(), batches()
    found = evaluate(net, [data])
    batch, cells = next(data.chunks(10_000))
    with torch.no_grad():
        expected = recon_per_sensor(net(batch), replace(batch, mask=cells)).numpy()
    assert np.allclose(found.opened[0], expected)
    monkeypatch.setattr("rcgnn.train.held_out.CHUNK", 7)
    assert np.allclose(evaluate(net, [data]).opened, found.opened, atol=1e-6)
    assert np.allclose(evaluate(net, [data]).closed, found.closed, atol=1e-6)


def test_held_out_of_nothing_is_none():
    net, data = network(), batches()
    assert evaluate(net, []) is None
    blank = replace(data, mask=torch.zeros_like(data.mask))
    assert evaluate(net, [blank]) is None
    assert evaluate(net, [data, blank]).opened.shape == (1, N)


def test_error_of_the_gain_is_paired():
    net, data = network(), batches()
    found = evaluate(net, data.blocks(4))
    assert found.stderr_of_gain(found) < found.blocks.std(ddof=1) / 2


def test_closed_network_reads_own_past_alone():
    assert closed_is_alone(network(), batches())


class Leaky(CausalNet):
    """Sensor 2 reaches the closed forecast of sensor 0."""

    def forward(self, batch, weights=None, *, closed=False):
        output = super().forward(batch, weights, closed=closed)
        leak = torch.zeros_like(output.self_prediction)
        leak[..., 0] = 1e-3 * batch.values[:, 1:-1, 2]
        return replace(output, self_prediction=output.self_prediction + leak)


def test_the_smallest_leak_is_seen():
    net = network()
    net.__class__ = Leaky
    assert not closed_is_alone(net, batches())


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3, 1e12])
def test_gradients_stay_below_their_certificates_at_every_scale(scale):
    net, data = network(), batches(link=0.5)
    batch = data.take(torch.arange(32), hide(data.mask[:32], 0.1, seeded(3)))
    batch = replace(batch, values=scale * batch.values)
    parameters = [p for members in net.groups().values() for p in members]
    output = net(batch)
    at_forecast = torch.autograd.grad(reconstruction(output, batch), output.prediction, retain_graph=True)[0]
    assert float(at_forecast.norm()) <= forecast_bound(batch, net.max_lag)
    raw = float(flat_gradient(reconstruction(output, batch), parameters).norm())
    assert raw <= parameter_certificate(net, batch, parameters, seeded(4))


def test_resume_between_two_epochs_is_bit_identical():
    config = Config().override(["train.batch=8"])
    data = batches(link=0.5)

    def fresh():
        return Training(network(), data, config, ("a", "b", "c"), "links", 6)

    first = fresh()
    first.controls.balancer.threshold = null_threshold(first.network, data, seeded(1))
    for epoch in (1, 2, 3):
        first.epoch(epoch)
    second = fresh()
    second.restore(first.state())
    second.controls.load_state_dict(json.loads(json.dumps(first.controls.state_dict())))
    for epoch in (4, 5):
        first.epoch(epoch)
        second.epoch(epoch)
    assert all(torch.equal(a, b) for a, b in zip(first.network.parameters(), second.network.parameters(), strict=True))
    assert first.controls.state_dict() == second.controls.state_dict()


def test_companion_radius():
    weights = torch.zeros(1, 3, 2, 2)
    weights[0, 2, 0, 1] = weights[0, 1, 1, 0] = 0.8
    assert companion_radius(weights) == pytest.approx(0.64 ** (1 / 3))
    same_step = torch.zeros(1, 2, 2, 2)
    same_step[0, 0, 0, 1] = 0.5
    same_step[0, 1, 1, 0] = 0.8
    assert companion_radius(same_step) == pytest.approx(0.4)
    same_step[0, 0] = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert companion_radius(same_step) is None
    assert companion_radius(torch.zeros(1, 3, 200, 200)) is None
