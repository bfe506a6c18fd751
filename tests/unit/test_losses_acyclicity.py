from __future__ import annotations

import math

import pytest
import torch

from rcgnn.errors import ConfigError
from rcgnn.losses.acyclicity import CONSTRAINTS, acyclicity

REAL = [name for name in CONSTRAINTS if name != "none"]


def dag(size: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    perm = torch.randperm(size, generator=g)
    return torch.triu(torch.randn(size, size, generator=g), 1)[perm][:, perm]


def ring(size: int, weight: float = 1.0) -> torch.Tensor:
    return weight * torch.eye(size).roll(1, 1)


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("size", [2, 5, 30])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_zero_without_a_cycle(name, size, scale):
    assert acyclicity(scale * dag(size), name).abs() <= 1e-13 * max(1.0, scale**2)


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("size", [2, 3, 8])
def test_positive_with_a_cycle(name, size):
    graph = dag(8)
    graph[:size, :size] = ring(size)
    assert acyclicity(graph, name) > 1e-9
    assert acyclicity(ring(size), name) > acyclicity(ring(size, 0.5), name) > 0


@pytest.mark.parametrize("name", ["exp", "polynomial", "trace_power", "spectral"])
@pytest.mark.parametrize("size", [13, 18, 36, 40])
def test_long_cycles_count(name, size):
    assert acyclicity(ring(size), name) > 0


@pytest.mark.parametrize("size", [17, 18, 19, 36, 72])
def test_the_exponential_is_the_same_in_a_long_chain(size):
    """A chain with one link back at its head: two sensors on a ring, cosh, and the rest adds nothing."""
    graph = torch.diag(torch.full((size - 1,), 0.5), 1)
    graph[1, 0] = 0.5
    assert acyclicity(graph).item() == pytest.approx(2 * (math.cosh(0.25) - 1) / size, rel=1e-9)


def test_the_origins_trace_of_the_cube_missed_short_cycles():
    assert torch.linalg.matrix_power(ring(2), 3).trace() == 0
    assert all(acyclicity(ring(2), name) > 0 for name in REAL)


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 1e6, 1e18])
def test_values_and_gradients_are_finite_at_any_size(name, scale):
    w = (scale * torch.randn(50, 50, generator=torch.Generator().manual_seed(0))).requires_grad_()
    value = acyclicity(w, name)
    value.backward()
    assert value.isfinite()
    assert value >= 0
    assert w.grad.isfinite().all()


@pytest.mark.parametrize("name", REAL)
def test_gradient_agrees_with_differences(name):
    w = (0.15 * torch.randn(5, 5, generator=torch.Generator().manual_seed(3))).double().requires_grad_()
    acyclicity(w, name).backward()
    step = 1e-6
    numeric = torch.zeros_like(w)
    for index in range(w.numel()):
        shift = torch.zeros(w.numel(), dtype=torch.float64)
        shift[index] = step
        shift = shift.view_as(w)
        numeric.view(-1)[index] = (acyclicity(w.detach() + shift, name) - acyclicity(w.detach() - shift, name)) / (2 * step)
    assert torch.allclose(w.grad, numeric, rtol=1e-4, atol=1e-8)


def test_the_gradient_of_a_cycle_that_hardly_closes_is_bounded():
    flow = torch.tensor([[0.0, 1.0], [1e-12, 0.0]], dtype=torch.float64, requires_grad=True)
    CONSTRAINTS["spectral"](flow).backward()
    assert 100 < flow.grad.max() <= 1001, "5e5 without a bound"


@pytest.mark.parametrize("name", REAL)
def test_descending_breaks_the_cycle(name):
    w = (ring(3) * torch.tensor([1.0, 0.5, 0.2])[:, None]).requires_grad_()
    before = acyclicity(w, name).item()
    for _ in range(100):
        (grad,) = torch.autograd.grad(acyclicity(w, name), w)
        w = (w - 0.02 * grad / grad.abs().max()).detach().requires_grad_()
    assert acyclicity(w, name).item() < 0.3 * before


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_two_copies_measure_as_one(name):
    graph = 0.4 * torch.randn(5, 5, generator=torch.Generator().manual_seed(1))
    double = torch.block_diag(graph, graph)
    tolerance = {"polynomial": 0.15, "trace_power": 0.05}.get(name, 1e-6)
    assert acyclicity(double, name).item() == pytest.approx(acyclicity(graph, name).item(), rel=tolerance)


def test_known_values():
    two = ring(2, 0.5)
    flow = 0.25
    assert acyclicity(two, "spectral").item() == pytest.approx(flow)
    assert acyclicity(two, "exp").item() == pytest.approx(torch.cosh(torch.tensor(flow)).item() - 1, rel=1e-5)
    assert acyclicity(two, "logdet").item() == pytest.approx(-torch.log(torch.tensor(1 - flow**2 / 4)).item() / 2, rel=1e-5)
    assert acyclicity(two, "polynomial").item() == pytest.approx((flow / 2) ** 2)
    assert acyclicity(two, "trace_power").item() == pytest.approx((flow / 2) ** 2)
    assert acyclicity(two, "none") == 0


def test_regimes_are_averaged():
    pair = torch.stack([ring(3), torch.zeros(3, 3)])
    assert acyclicity(pair).item() == pytest.approx(acyclicity(ring(3)).item() / 2)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="Known: none, exp"):
        acyclicity(ring(2), "expo")
