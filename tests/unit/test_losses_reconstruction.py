from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rcgnn.losses.reconstruction import EPS, gradient_bound, log_loss, recon_per_sensor, reconstruction
from rcgnn.model.output import ModelOutput, NetworkInput


def make(prediction, values, mask, hidden=None, rebuilt=None):
    rebuilt = values if rebuilt is None else rebuilt
    zero = torch.zeros_like(values)
    output = ModelOutput(prediction, torch.zeros_like(prediction), rebuilt, zero, torch.ones(values.shape[-1]), values, rebuilt)
    return output, NetworkInput(values, mask, torch.zeros(len(values), dtype=torch.long), hidden)


def sample(rows=8, sensors=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    values = torch.randn(5, rows, sensors, generator=g)
    return torch.randn(5, rows - 2, sensors, generator=g), values, torch.rand(5, rows, sensors, generator=g) > 0.4


def test_only_observed_cells_count():
    prediction, values, mask = sample()
    wild = values.masked_fill(~mask, float("nan"))
    assert reconstruction(*make(prediction, values, mask)) == reconstruction(*make(prediction, wild, mask))


def test_the_formula():
    prediction, values, mask = sample()
    cells, r = mask[:, 2:], prediction.double() - values[:, 2:].double()
    rho = 4 * (torch.sqrt(1 + (r / 2) ** 2) - 1)
    expected = [0.5 * math.log(EPS**2 + rho[..., j][cells[..., j]].mean().item()) for j in range(3)]
    output, batch = make(prediction, values, mask)
    assert recon_per_sensor(output, batch).tolist() == pytest.approx(expected)
    assert reconstruction(output, batch).item() == pytest.approx(sum(expected) / 3)


@pytest.mark.parametrize("forecast", [1, 3, 7, 8])
def test_a_forecast_is_held_against_the_last_rows(forecast):
    _, values, mask = sample()
    output, batch = make(values[:, 8 - forecast :], values, mask)
    assert reconstruction(output, batch).item() == pytest.approx(math.log(EPS))
    off, _ = make(values[:, 8 - forecast :] + 1.0, values, mask)
    assert recon_per_sensor(off, batch).tolist() == pytest.approx([0.5 * math.log(EPS**2 + 4 * (math.sqrt(1.25) - 1))] * 3, abs=1e-6)
    assert recon_per_sensor(output, batch, closed=True).isfinite().all()


def test_a_change_of_unit_adds_a_constant_while_residuals_are_ordinary():
    """Down to eps: in the quadratic range J(c r) = J(r) + log c, so no sensor's gradient outweighs another's."""
    prediction, values, mask = sample()
    gradients = []
    for unit in (0.2, 0.4):
        p = (unit * prediction).requires_grad_()
        output, batch = make(p, unit * values, mask)
        reconstruction(output, batch).backward()
        gradients.append(unit * p.grad)
    assert torch.allclose(gradients[0], gradients[1], rtol=0.15, atol=1e-4)


def test_missing_cells_do_not_shrink_the_gradient():
    """The origin divided by all cells: at 90 % missing its data gradient was a tenth."""
    torch.manual_seed(0)
    values, norms = torch.zeros(64, 22, 1), []
    for share in (1.0, 0.1):
        p = torch.ones(64, 20, 1, requires_grad=True)
        mask = torch.rand(64, 22, 1) < share
        output, batch = make(p, values, mask)
        reconstruction(output, batch).backward()
        norms.append(p.grad.sum().item())
    assert norms[1] == pytest.approx(norms[0], rel=1e-4)


def test_absent_sensors_leave_the_mean():
    prediction, values, mask = sample()
    mask[..., 1] = False
    output, batch = make(prediction, values, mask)
    per = recon_per_sensor(output, batch)
    assert per.isnan().tolist() == [False, True, False]
    assert reconstruction(output, batch).item() == pytest.approx(per.nanmean().item())


def test_nothing_observed_is_zero_and_differentiable():
    prediction, values, mask = sample()
    p = prediction.requires_grad_()
    loss = reconstruction(*make(p, values, mask & False))
    loss.backward()
    assert loss.item() == 0
    assert not p.grad.any()


def test_hidden_cells_count_half():
    prediction, values, mask = sample()
    hidden = mask & (torch.rand(mask.shape, generator=torch.Generator().manual_seed(4)) < 0.3)
    output, batch = make(prediction, values, mask, hidden, values + 1.0)
    extra = reconstruction(output, batch) - reconstruction(*make(prediction, values, mask))
    assert extra.item() == pytest.approx(0.5 * log_loss(values + 1.0, values, hidden).item())
    assert log_loss(values + 1.0, values, hidden).item() == pytest.approx(0.5 * math.log(EPS**2 + 4 * (math.sqrt(1.25) - 1)), abs=1e-6)


def test_hidden_cells_that_were_never_observed_do_not_count():
    prediction, values, mask = sample()
    output, batch = make(prediction, values, mask, ~mask, values + 1.0)
    assert reconstruction(output, batch) == reconstruction(*make(prediction, values, mask))


def test_closed_scores_the_self_prediction():
    prediction, values, mask = sample()
    output, batch = make(prediction, values, mask)
    closed = recon_per_sensor(output, batch, closed=True)
    assert torch.equal(closed, recon_per_sensor(*make(torch.zeros_like(prediction), values, mask)))
    assert not torch.equal(closed, recon_per_sensor(output, batch))


@settings(deadline=None, max_examples=150)
@given(st.floats(-8, 30), st.integers(0, 10_000), st.floats(0.05, 1.0), st.sampled_from(["normal", "one cell", "cauchy"]))
def test_the_certificate_holds_for_any_readings(exponent, seed, observed, kind):
    g = torch.Generator().manual_seed(seed)
    values = torch.randn(4, 9, 3, generator=g)
    if kind == "cauchy":
        values = values / torch.randn(4, 9, 3, generator=g)
    if kind == "one cell":
        values = torch.zeros_like(values).index_fill_(1, torch.tensor([4]), 1.0)
    values = (values * 10.0**exponent).clamp(-1e30, 1e30)
    mask = torch.rand(4, 9, 3, generator=g) < observed
    p = torch.zeros(4, 7, 3, requires_grad=True)
    output, batch = make(p, values, mask)
    reconstruction(output, batch).backward()
    assert p.grad.isfinite().all()
    assert p.grad.norm() <= gradient_bound(mask[:, 2:]) * (1 + 1e-6)


def test_the_certificate_is_nearly_reached():
    """All residuals at eps sqrt(2): a bound ten times too large would say nothing."""
    p = torch.full((4, 10, 2), EPS * math.sqrt(2), requires_grad=True)
    mask = torch.ones(4, 12, 2, dtype=torch.bool)
    reconstruction(*make(p, torch.zeros(4, 12, 2), mask)).backward()
    assert p.grad.norm() > 0.99 * gradient_bound(mask[:, 2:])


def test_the_bound_of_nothing_is_zero():
    assert gradient_bound(torch.zeros(2, 3, 4, dtype=torch.bool)) == 0
