from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rcgnn.losses.sparsity import group_sparsity, prox_group

OFF = ~torch.eye(4, dtype=torch.bool)


def weights(seed: int = 0) -> torch.Tensor:
    return torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(seed)) * OFF


def test_regimes_are_averaged():
    a, b = weights(0), weights(1)
    both = group_sparsity(torch.stack([a, b]), OFF)
    assert both.item() == pytest.approx((group_sparsity(a, OFF) + group_sparsity(b, OFF)).item() / 2)


def test_gradient_pushes_every_pair_equally():
    w = weights().requires_grad_()
    group_sparsity(w, OFF).backward()
    norms = torch.linalg.vector_norm(w.grad, dim=0)[OFF]
    assert torch.allclose(norms, torch.full_like(norms, 1 / 12))


def test_no_candidate_pair_is_zero():
    assert group_sparsity(weights(), OFF & False) == 0


@given(st.integers(0, 1000), st.floats(0, 3))
def test_prox_minimises_its_objective(seed, threshold):
    """No nearby point is better than prox: 1/2 |x - w|^2 + threshold sum_ij |x_.ij|."""
    w = weights(seed).double()
    x = prox_group(w, threshold)

    def objective(point):
        return 0.5 * (point - w).square().sum() + threshold * torch.linalg.vector_norm(point, dim=0).sum()

    g = torch.Generator().manual_seed(seed)
    for size in (1e-3, 1e-1):
        assert objective(x) <= objective(x + size * torch.randn(x.shape, generator=g, dtype=torch.float64)) + 1e-12


def test_prox_switches_pairs_off_whole_and_leaves_its_argument():
    w = weights()
    before = w.clone()
    out = prox_group(w, 1.5)
    gone = (out == 0).all(0) & OFF
    assert 0 < gone.sum() < 12
    assert (torch.linalg.vector_norm(w, dim=0)[gone] <= 1.5).all()
    assert torch.equal(w, before)
    assert out.dtype == w.dtype


def test_prox_of_zero_threshold_and_of_nothing():
    assert torch.equal(prox_group(weights(), 0.0), weights())
    assert not prox_group(torch.zeros(3, 4, 4), 0.0).isnan().any()


def test_thresholds_can_differ_by_pair_and_regimes_are_shrunk_apart():
    threshold = torch.zeros(4, 4)
    threshold[0, 1] = 1e9
    both = prox_group(torch.stack([weights(0), weights(1)]), threshold)
    assert not both[:, :, 0, 1].any()
    assert torch.equal(both[1, :, 1, 0], weights(1)[:, 1, 0])
