"""Sparsity of links: a group is every lag of one pair (i, j), so a pair is switched off as a whole."""

from __future__ import annotations

import torch
from torch import Tensor

from rcgnn.numerics import group_norm


def group_sparsity(weights: Tensor, pairs: Tensor) -> Tensor:
    """Mean over candidate pairs of the norm over lags: mean_ij |w_.ij|_2; 0-dim float64.

    Args:
        weights: [K+1, N, N] or [R, K+1, N, N]; regimes are averaged.
        pairs: [N, N] bool, pairs with at least one candidate link.

    Source: Yuan & Lin 2006, "Model selection and estimation in regression with grouped variables".

    Example:
        >>> w = torch.zeros(2, 2, 2); w[:, 0, 1] = torch.tensor([3.0, 4.0])
        >>> group_sparsity(w, ~torch.eye(2, dtype=torch.bool)).item()
        2.5
    """
    norms = group_norm(weights, dim=-3)
    return (norms * pairs).sum() / (pairs.sum().clamp(min=1) * (norms.numel() // pairs.numel()))


def prox_group(weights: Tensor, threshold: Tensor | float) -> Tensor:
    """Proximal step of `threshold * sum_ij |w_.ij|_2`: w_.ij * max(0, 1 - threshold / |w_.ij|).

    Unlike a gradient step it sets whole pairs to exactly zero, and pairs that stay are zero-free.

    Args:
        weights: [..., K+1, N, N]; not changed.
        threshold: >= 0; a number or [N, N].

    Source: Parikh & Boyd 2014, "Proximal algorithms", section 6.5.1.

    Example:
        >>> w = torch.zeros(2, 2, 2); w[:, 0, 1] = torch.tensor([3.0, 4.0]); w[1, 1, 0] = 0.5
        >>> prox_group(w, 1.0)[:, 0, 1].tolist(), prox_group(w, 1.0)[1, 1, 0].item()
        ([2.4000000953674316, 3.200000047683716], 0.0)
    """
    norms = group_norm(weights, dim=-3)
    keep = torch.where(norms > threshold, 1 - threshold / norms.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
    return weights * keep.unsqueeze(-3).to(weights.dtype)
