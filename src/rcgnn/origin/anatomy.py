"""Where the gradient of one step comes from: its loss terms, and the sensors behind the data term."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rcgnn.health import AuxHealth
from rcgnn.origin.network import TERMS, OriginNet

DATA = TERMS[0]
SMALLEST = 1e-12
"""A data gradient below this counts as this much in shares."""


@dataclass(frozen=True)
class Anatomy:
    """One step, taken apart; what is not finite is left out.

    Attributes:
        data_norm: norm of the weighted data term's gradient, or None.
        aux: every other term in use, weighted.
        residuals: [N] mean squared residual of each sensor, over all cells as in the data term; empty where one is not finite.
    """

    data_norm: float | None
    aux: dict[str, AuxHealth]
    residuals: list[float]


def dissect(net: OriginNet, x: Tensor, mask: Tensor, weights: tuple[float, float, float, float]) -> Anatomy:
    """One backward pass a term on the rows of a step. Draws no random number and moves no weight; `net.slope` is overwritten.

    Args:
        net: weights are read.
        x: [R, N] rows of the step.
        mask: [R, N] 1 where observed.
        weights: of `TERMS`.

    Example:
        >>> net = OriginNet(2, torch.Generator().manual_seed(0))
        >>> parts = dissect(net, torch.ones(24, 2), torch.ones(24, 2), (1.0, 0.01, 0.1, 0.0))
        >>> sorted(parts.aux), len(parts.residuals)
        (['acyclic', 'sparse'], 2)
    """
    slopes, values = {}, {}
    for number, (name, weight) in enumerate(zip(TERMS, weights, strict=True)):
        recon, sparse, acyclic, disen = (weight if number == other else 0.0 for other in range(len(TERMS)))
        values[name] = weight * float(net.backward(x, mask, (recon, sparse, acyclic, disen))[number])
        slopes[name] = net.slope.double()
    data = slopes[DATA]
    norm = float(data.norm())
    others = {name: _beside(values[name], slopes[name], data) for name, w in zip(TERMS, weights, strict=True) if w and name != DATA}
    squares = (net.reconstruct(x) - x).mul_(mask).square().mean(0, dtype=torch.float64).tolist()
    return Anatomy(
        data_norm=norm if math.isfinite(norm) else None,
        aux={name: health for name, health in others.items() if health is not None},
        residuals=squares if math.isfinite(sum(squares)) else [],
    )


def _beside(value: float, row: Tensor, data: Tensor) -> AuxHealth | None:
    """The term beside the data term; None where either is not finite."""
    size, norm = float(row.norm()), max(float(data.norm()), SMALLEST)
    if not math.isfinite(value + size + norm):
        return None
    cosine = float(row @ data) / max(size * norm, 1e-30)
    return AuxHealth(value=value, grad_norm=size, cos_data=max(-1.0, min(1.0, cosine)), share=size / norm)
