"""The certificate: how large a gradient may be at all, before any training step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rcgnn.losses.reconstruction import HIDDEN_WEIGHT, gradient_bound
from rcgnn.model.network import CausalNet
from rcgnn.model.output import NetworkInput
from rcgnn.train.balance import TOTAL_CAP

PROBES = 4
MARGIN = 2.0
"""Room for the spread of the probes, and for how far the Jacobian moves until it is measured again."""


def forecast_bound(batch: NetworkInput, max_lag: int) -> float:
    """Proven bound of |dJ/dforecast| for this batch, whatever its readings; see `losses.reconstruction.gradient_bound`."""
    return float(gradient_bound(batch.mask[:, max_lag:]))


def parameter_certificate(network: CausalNet, batch: NetworkInput, parameters: Sequence[Tensor], generator: torch.Generator) -> float:
    """Bound B of the combined gradient's norm over the parameters.

    With forecast p and reconstruction h of the hidden cells, the data gradient is `Jp' gp + .5 Jh' gh`, hence its norm is
    at most `Bp |Jp|_F + .5 Bh |Jh|_F`; the auxiliaries add at most .3 of it (`train.balance`). Bp and Bh are proven;
    `|J|_F^2 = E |J' v|^2` over random signs v is measured with 4 probes and doubled. It is loose on purpose: a healthy
    norm lies far below, so a norm above it is a defect.

    Args:
        network: not changed.
        batch: a training batch, hidden cells included.
        parameters: leaves the gradient is taken over.
        generator: draws the signs.

    Source: Hutchinson 1990, "A stochastic estimator of the trace of the influence matrix".
    """
    output = network(batch)
    hidden = torch.zeros_like(batch.mask) if batch.hidden is None else batch.hidden & batch.mask
    bound = forecast_bound(batch, network.max_lag) * _jacobian_norm(output.prediction, parameters, generator)
    if bool(hidden.any()):
        bound += HIDDEN_WEIGHT * float(gradient_bound(hidden)) * _jacobian_norm(output.reconstruction, parameters, generator)
    return MARGIN * (1 + TOTAL_CAP) * bound


def _jacobian_norm(output: Tensor, parameters: Sequence[Tensor], generator: torch.Generator) -> float:
    """Root of the mean over probes of |J' v|^2, v = random signs."""
    squares = []
    for _ in range(PROBES):
        signs = (2.0 * torch.randint(0, 2, output.shape, generator=generator) - 1.0).to(output)
        parts = torch.autograd.grad(output, list(parameters), signs, retain_graph=True, allow_unused=True)
        squares.append(sum(float(part.double().square().sum()) for part in parts if part is not None))
    return (sum(squares) / PROBES) ** 0.5
