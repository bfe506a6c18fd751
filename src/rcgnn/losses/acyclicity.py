"""How far links within one step are from acyclic. The default network needs none of these: its order forbids cycles.

Each constraint reads B = W * W >= 0 in float64 and is zero exactly when B has no directed cycle. Each averages over
sensors, so two unrelated copies of a graph measure the same as one. Where B has row sums above 1 it is scaled to
B / c and the value multiplied by c (c = the largest row sum, held fixed in the gradient): nothing overflows, and gradients in B
stay bounded however wild the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from rcgnn.errors import ConfigError
from rcgnn.numerics import row_sum_norm, spectral_radius

Constraint = Callable[[Tensor], Tensor]
"""[N, N] non-negative float64 with row sums <= 1 -> 0-dim >= 0, zero iff acyclic."""
SERIES_TERMS = 18


def acyclicity(weights: Tensor, constraint: str = "exp") -> Tensor:
    """Cyclicity of same-step weights, mean over regimes; 0-dim float64.

    Args:
        weights: [N, N] or [R, N, N], `[i, j]`: i drives j within a step.
        constraint: a name in `CONSTRAINTS`.

    Raises:
        ConfigError: unknown constraint.

    Example:
        >>> chain = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
        >>> acyclicity(chain).item(), acyclicity(chain + chain.T).item() > 0
        (0.0, True)
    """
    if constraint not in CONSTRAINTS:
        raise ConfigError(f"acyclicity: unknown constraint {constraint!r}. Known: {', '.join(CONSTRAINTS)}.")
    return torch.stack([_scaled(CONSTRAINTS[constraint], graph) for graph in weights.reshape(-1, *weights.shape[-2:])]).mean()


def _scaled(constraint: Constraint, weights: Tensor) -> Tensor:
    flow = weights.double().square()
    scale = max(1.0, row_sum_norm(flow))
    return scale * constraint(flow / scale)


def none(flow: Tensor) -> Tensor:
    """Always 0, with a zero gradient."""
    return 0.0 * flow.sum()


def exponential(flow: Tensor) -> Tensor:
    """tr(exp(B) - I) / N with gradient exp(B)' / N, summed without its identity: weak cycles do not drown in rounding.

    The series of B / 2^s, then E -> 2E + E^2 s times, with s large enough for walks of every length up to N.

    Source: Zheng et al. 2018, "DAGs with NO TEARS", eq. 5 and 6.
    """
    fixed, size = flow.detach(), len(flow)
    doublings = max(0, math.ceil(math.log2(size / SERIES_TERMS)))
    step = fixed / 2**doublings
    total = step
    for term in range(SERIES_TERMS, 1, -1):
        total = step + step @ total / term
    for _ in range(doublings):
        total = 2 * total + total @ total
    return _with_gradient(total.trace() / size, (total + torch.eye(size).to(total)).T / size, flow)


def _with_gradient(value: Tensor, gradient: Tensor, flow: Tensor) -> Tensor:
    """`value`, whose gradient in `flow` is the given one."""
    return value + (gradient * (flow - flow.detach())).sum()


def polynomial(flow: Tensor) -> Tensor:
    """tr((I + B/N)^N - I) / N, by squaring P -> 2P + P^2.

    Source: Yu et al. 2019, "DAG-GNN", eq. 13.
    """
    size = len(flow)
    step = flow / size
    total = torch.zeros_like(flow)
    for bit in f"{size:b}":
        total = 2 * total + total @ total
        if bit == "1":
            total = total + step + total @ step
    return total.trace() / size


def trace_power(flow: Tensor) -> Tensor:
    """sum_{k=1..N} tr((B/2)^k) / N: closed walks of every length up to N, halving with each step; S_2m = S_m + B^m S_m.

    The origin counted closed walks of length 3 only (tr A^3), which misses every other cycle.
    """
    size = len(flow)
    half = flow / 2
    total, power = torch.zeros_like(flow), torch.eye(size, dtype=flow.dtype, device=flow.device)
    for bit in f"{size:b}":
        total, power = total + power @ total, power @ power
        if bit == "1":
            total, power = half + half @ total, half @ power
    return total.trace() / size


def log_det(flow: Tensor) -> Tensor:
    """-log det(I - B/2) / N: sum_k tr((B/2)^k) / (k N). Row sums <= 1 keep I - B/2 an M-matrix, always in its domain.

    Source: Bello et al. 2022, "DAGMA", theorem 1.
    """
    identity = torch.eye(len(flow), dtype=flow.dtype, device=flow.device)
    return -torch.linalg.slogdet(identity - flow / 2).logabsdet / len(flow)


def spectral(flow: Tensor) -> Tensor:
    """Spectral radius, with the gradient u v' / (u'v) from its left and right Perron vectors.

    Source: Nazaret et al. 2024, "Stable differentiable causal discovery", section 3.
    """
    radius = spectral_radius(flow)
    if radius == 0.0:
        return none(flow)
    fixed = flow.detach()
    walk = (fixed / radius + torch.eye(len(fixed), dtype=fixed.dtype, device=fixed.device)) / 2
    for _ in range(30):
        walk = walk @ walk
        walk = walk / walk.abs().max()
    right, left = walk.sum(1), walk.sum(0)
    right, left = right / right.norm(), left / left.norm()
    return _with_gradient(flow.new_tensor(radius), torch.outer(left, right) / (left @ right).clamp(min=1e-3), flow)


CONSTRAINTS: dict[str, Constraint] = {
    "none": none,
    "exp": exponential,
    "polynomial": polynomial,
    "trace_power": trace_power,
    "logdet": log_det,
    "spectral": spectral,
}
"""Ways to measure cycles, by name."""
