"""The proximal step on link weights after AdamW, in the metric of AdamW."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import AdamW

from rcgnn.losses.sparsity import prox_group
from rcgnn.model.structure import Structure

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
        if parameter in optimizer.state:
            metric = adam_metric(parameter, optimizer).masked_fill(~allowed, 0.0)
            rms = torch.sqrt(metric.square().sum(-3) / allowed.sum(0).clamp(min=1))
            lr = optimizer.param_groups[0]["lr"]
            parameter.copy_(prox_group(parameter, lr * threshold / rms.clamp(min=SMALLEST)))


def adam_metric(parameter: Tensor, optimizer: AdamW) -> Tensor:
    """`sqrt(vhat) + eps` of every entry, float64: what AdamW divides a gradient by."""
    group, state = optimizer.param_groups[0], optimizer.state[parameter]
    correction = 1 - group["betas"][1] ** float(state["step"])
    return torch.sqrt(state["exp_avg_sq"].double() / correction) + group["eps"]
