"""A link is one mechanism: what a regime changes about it should be small, and switched on per pair."""

from __future__ import annotations

from torch import Tensor


def invariance(deltas: Tensor, pairs: Tensor) -> Tensor:
    """Mean over regimes and candidate pairs of the squared deviation over lags, sum_k delta_rkij^2; 0-dim float64.

    Args:
        deltas: [R, K+1, N, N] deviation of each regime from the shared weight.
        pairs: [N, N] bool, pairs with at least one candidate link.

    Source: after Peters, Buehlmann & Meinshausen 2016, "Causal inference using invariant prediction".

    Example:
        >>> import torch
        >>> deltas = torch.zeros(2, 2, 2, 2); deltas[1, 1, 0, 1] = 2.0
        >>> invariance(deltas, ~torch.eye(2, dtype=torch.bool)).item()
        1.0
    """
    energy = deltas.double().square().sum(dim=1)
    return (energy * pairs).sum() / (pairs.sum().clamp(min=1) * len(deltas))
