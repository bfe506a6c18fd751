"""Signal, bias and noise of one sensor should not tell the same story."""

from __future__ import annotations

import torch
from torch import Tensor

from rcgnn.numerics import masked_mean

FLOOR = 1e-4
"""Variance (robust-z^2) added to each reading: a part that is nearly constant cannot correlate."""


def disentanglement(signal: Tensor, bias: Tensor, noise: Tensor, cells: Tensor) -> Tensor:
    """Mean squared cross-covariance of the three parts in units of their own spread; 0-dim float64 in [0, 1].

    mean over sensors and over the pairs (s, b), (s, n), (b, n) of cov^2 / ((var + f)(var + f)), f = 1e-4, moments over the
    cells given. Measured in own spreads, a part cannot escape by shrinking, and no reading can overflow it.

    Args:
        signal: [B, L, N] signal reading.
        bias: [B, L, N] bias reading.
        noise: [B, L, N] noise reading.
        cells: [B, L, N] bool; sensors without a cell leave the mean.

    Example:
        >>> x = torch.randn(4, 50, 1, generator=torch.Generator().manual_seed(0))
        >>> cells = torch.ones_like(x, dtype=torch.bool)
        >>> round(disentanglement(x, 0 * x, x, cells).item(), 2)
        0.33
    """
    parts = torch.stack([signal, bias, noise]).double()
    inside = cells.expand_as(parts)
    centred = (parts - masked_mean(parts, inside, (1, 2))[:, None, None]).masked_fill(~inside, 0.0)
    first, second = centred[[0, 0, 1]], centred[[1, 2, 2]]
    variance = masked_mean(centred.square(), inside, (1, 2)) + FLOOR
    covariance = masked_mean(first * second, inside, (1, 2))
    shared = (covariance / variance[[0, 0, 1]]) * (covariance / variance[[1, 2, 2]])
    return masked_mean(shared.mean(0), cells.any(dim=1).any(dim=0), 0)
