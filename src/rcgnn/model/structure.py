"""The graph inside the network: one weight per candidate link, plus a small deviation per regime."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rcgnn.errors import InputError

START_SCALE = 0.05


class Structure(nn.Module):
    """Link weights `[R, K+1, N, N]`: `weights[r, k, i, j]`, i at t-k drives j at t in regime r.

    weights = (base + deltas) * allowed. Lagged links need no constraint; links within a step are allowed only from a
    sensor earlier in `order` to a later one, so the same-step graph is acyclic by construction.

    Args:
        candidates: [K+1, N, N] bool; the diagonal is ignored (a sensor's own past is never a link).
        order: [N] sensors from first to last; None leaves same-step candidates as given.
        regimes: R.
        start: [K+1, N, N] first weights; None draws small ones.
        generator: source of the small first weights.

    Raises:
        InputError: shapes disagree, or `order` is not a permutation.
    """

    allowed: Tensor
    edges: Tensor

    def __init__(
        self,
        candidates: Tensor,
        order: Tensor | None,
        regimes: int,
        start: Tensor | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        allowed = allowed_links(candidates, order)
        if start is None:
            start = START_SCALE * torch.randn(allowed.shape, generator=generator)
        if start.shape != allowed.shape:
            raise InputError(f"network: first weights must be {list(allowed.shape)} like the candidates, got {list(start.shape)}.")
        self.register_buffer("allowed", allowed)
        self.register_buffer("edges", allowed.nonzero().T.contiguous(), persistent=False)
        self.instantaneous = bool(allowed[0].any())
        self.base = nn.Parameter(start.detach().to(torch.float32) * allowed)
        self.deltas = nn.Parameter(torch.zeros(regimes, *allowed.shape), requires_grad=regimes > 1)

    def weights(self) -> Tensor:
        """[R, K+1, N, N], exactly zero off the allowed candidates."""
        return (self.base + self.deltas) * self.allowed

    @torch.no_grad()
    def close(self) -> None:
        """Every weight to zero: each sensor is alone with its own past."""
        self.base.zero_()
        self.deltas.zero_()

    @property
    def pairs(self) -> Tensor:
        """[N, N] True where any lag of (i, j) is a candidate."""
        return self.allowed.any(dim=0)


def allowed_links(candidates: Tensor, order: Tensor | None) -> Tensor:
    """Candidates without the diagonal and, at k = 0, only from earlier to later in `order`.

    Raises:
        InputError: `candidates` is not [K+1, N, N], or `order` is not a permutation of 0..N-1.

    Example:
        >>> allowed_links(torch.ones(1, 2, 2, dtype=torch.bool), torch.tensor([1, 0]))[0].int().tolist()
        [[0, 0], [1, 0]]
    """
    if candidates.ndim != 3 or candidates.shape[1] != candidates.shape[2]:
        raise InputError(f"network: candidates must be [K+1, N, N], got {list(candidates.shape)}.")
    sensors = candidates.shape[1]
    allowed = candidates.bool() & ~torch.eye(sensors, dtype=torch.bool)
    if order is None:
        return allowed
    if order.sort().values.tolist() != list(range(sensors)):
        raise InputError(f"network: order must list every sensor 0..{sensors - 1} once, got {order.tolist()}.")
    position = torch.argsort(order)
    allowed[0] &= position[:, None] < position[None, :]
    return allowed
