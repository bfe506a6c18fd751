"""AdamW on one row is torch's AdamW."""

from __future__ import annotations

import torch

from rcgnn.numerics import ADAM_EPS
from rcgnn.train.optimizer import BETAS, AdamW

SHAPES = ((3, 2), (4,), (), (0, 5))


def parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def gradients(steps: int) -> list[torch.Tensor]:
    """Of very different size from step to step, some of them zero."""
    generator = torch.Generator().manual_seed(1)
    size = sum(p.numel() for p in parameters())
    return [10.0 ** (step % 5 - 3) * torch.randn(size, generator=generator) * (torch.arange(size) != step) for step in range(steps)]


def test_equals_torch():
    ours, theirs = parameters(), parameters()
    mine, torchs = AdamW(ours, 0.01, 0.1), torch.optim.AdamW(theirs, lr=0.01, betas=BETAS, weight_decay=0.1)
    for step, gradient in enumerate(gradients(40)):
        mine.lr = torchs.param_groups[0]["lr"] = 0.01 / (1 + step)
        mine.step(gradient)
        for parameter, part in zip(theirs, torch.split(gradient, mine.sizes), strict=True):
            parameter.grad = part.view_as(parameter)
        torchs.step()
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)
        state = torchs.state[other]
        vhat = state["exp_avg_sq"].double() / (1 - BETAS[1] ** 40)
        assert torch.allclose(mine.metric(one), torch.sqrt(vhat) + ADAM_EPS, rtol=1e-5)


def test_parameters_and_the_row_are_one():
    held = parameters()
    before = [p.detach().clone() for p in held]
    optimizer = AdamW(held, 0.01, 0.0)
    assert all(torch.equal(p, old) for p, old in zip(held, before, strict=True))
    with torch.no_grad():
        held[0].fill_(7.0)
    assert optimizer.flat[:6].tolist() == [7.0] * 6
    optimizer.flat.zero_()
    assert not any(bool(p.any()) for p in held)


def test_there_is_no_metric_before_the_first_step_nor_for_what_stands_still():
    held = parameters()
    optimizer = AdamW(held[:2], 0.01, 0.0)
    assert optimizer.metric(held[0]) is None
    optimizer.step(torch.ones(10))
    assert optimizer.metric(held[0]).shape == held[0].shape
    assert optimizer.metric(held[2]) is None


def test_goes_on_exactly_and_keeps_its_own_state():
    first, second = parameters(), parameters()
    one, other = AdamW(first, 0.01, 0.1), AdamW(second, 0.01, 0.1)
    steps = gradients(9)
    for gradient in steps[:5]:
        one.step(gradient)
    other.flat.copy_(one.flat)
    other.load_state_dict(one.state_dict())
    for gradient in steps[5:]:
        one.step(gradient)
        other.step(gradient)
    assert torch.equal(one.flat, other.flat)
    assert torch.equal(one.square, other.square)
