"""The proximal step on link weights after AdamW, in the metric of AdamW."""

from __future__ import annotations

import torch
from torch import Tensor

from rcgnn.losses.sparsity import prox_group
from rcgnn.model.structure import Structure
from rcgnn.train.optimizer import AdamW

SMALLEST = 1e-30


@torch.no_grad()
def proximal_step(structure: Structure, optimizer: AdamW, threshold: Tensor | float) -> None:
    """`w_.ij <- w_.ij max(0, 1 - lr lambda / (d_ij |w_.ij|))`, `d_ij = rms over lags of (sqrt(vhat_kij) + eps)`.

    AdamW divides a gradient by sqrt(vhat), so the shrinkage is divided by it too: a closed pair opens exactly when its
    gradient beats lambda, whatever the scale of the gradients. Regime deviations are shrunk in the same way.

    Args:
        structure: its weights are changed in place.
        optimizer: the one that just took a step.
        threshold: lambda, a number or [N, N], in units of the loss per unit of weight.

    Source: Yun, Lozano & Yang 2021, "Adaptive proximal gradient methods for structured neural networks", eq. 4.
    """
    allowed = structure.allowed
    for parameter in (structure.base, structure.deltas):
        metric = optimizer.metric(parameter)
        if metric is not None:
            rms = torch.sqrt(metric.masked_fill(~allowed, 0.0).square().sum(-3) / allowed.sum(0).clamp(min=1))
            parameter.copy_(prox_group(parameter, optimizer.lr * threshold / rms.clamp(min=SMALLEST)))
