from __future__ import annotations

import pytest
import torch

from rcgnn.losses.disentanglement import disentanglement

G = torch.Generator().manual_seed(0)
ALL = torch.ones(8, 200, 2, dtype=torch.bool)
A, B, C = (torch.randn(8, 200, 2, generator=G) for _ in range(3))


def test_strangers_score_near_zero_and_copies_one():
    assert disentanglement(A, B, C, ALL) < 0.01
    assert disentanglement(A, A, A, ALL).item() == pytest.approx(1.0, abs=1e-3)
    assert disentanglement(A, -A, A, ALL).item() == pytest.approx(1.0, abs=1e-3)
    assert disentanglement(A, A, C, ALL).item() == pytest.approx(1 / 3, abs=0.01)


def test_an_offset_is_not_an_overlap():
    assert disentanglement(A + 100, B - 50, C, ALL).item() == pytest.approx(disentanglement(A, B, C, ALL).item(), rel=1e-3)


def test_shrinking_a_part_does_not_help_but_a_constant_part_cannot_correlate():
    assert disentanglement(A, 0.2 * A, C, ALL).item() == pytest.approx(disentanglement(A, A, C, ALL).item(), rel=0.01)
    assert disentanglement(A, 0 * A + 3, C, ALL) < 0.005
    nearly = 1e-6 / (1e-6 + 1e-4)  # a copy with a variance far below the floor
    assert disentanglement(A, 1e-3 * A, C, ALL).item() == pytest.approx(nearly / 3, abs=2e-3)


def test_the_size_of_every_part_is_taken_out():
    mixed = A, A + B, A + B + C
    sized = disentanglement(2 * mixed[0], 5 * mixed[1], 0.5 * mixed[2], ALL).item()
    assert sized == pytest.approx(disentanglement(*mixed, ALL).item(), rel=1e-2)
    assert sized == pytest.approx((1 / 2 + 1 / 3 + 2 / 3) / 3, abs=0.03), "squared correlations of the three pairs"


def test_only_the_given_cells_count():
    cells = torch.rand(8, 200, 2, generator=G) > 0.5
    wild = A.masked_fill(~cells, float("nan"))
    assert disentanglement(wild, B, C, cells) == disentanglement(A, B, C, cells)
    alone = ALL.clone()
    alone[..., 1] = False
    assert disentanglement(A, A, C, alone).item() == pytest.approx(disentanglement(A[..., :1], A[..., :1], C[..., :1], ALL[..., :1]).item())


def test_nothing_to_see_is_zero():
    x = A.clone().requires_grad_()
    loss = disentanglement(x, B, C, ALL & False)
    loss.backward()
    assert loss == 0
    assert not x.grad.any()


def test_descending_separates():
    s = A.clone().requires_grad_()
    b = (A + 0.5 * B).clone()
    before = disentanglement(s, b, C, ALL).item()
    for _ in range(100):
        (grad,) = torch.autograd.grad(disentanglement(s, b, C, ALL), s)
        s = (s - 200 * grad).detach().requires_grad_()
    assert disentanglement(s, b, C, ALL).item() < 0.5 * before
