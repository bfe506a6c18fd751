"""The certificate: how large a gradient may be at all, before any training step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rcgnn.losses.reconstruction import HIDDEN_WEIGHT, gradient_bound
from rcgnn.model.network import CausalNet
from rcgnn.model.output import NetworkInput
from rcgnn.train.balance import TOTAL_CAP

PROBES = 2
MARGIN = 2.0
"""Room for the spread of the probes, and for how far the Jacobian moves until it is measured again."""


def forecast_bound(batch: NetworkInput, max_lag: int) -> float:
    """Proven bound of |dJ/dforecast| for this batch, whatever its readings; see `losses.reconstruction.gradient_bound`."""
    return float(gradient_bound(batch.mask[:, max_lag:]))


def parameter_certificate(network: CausalNet, batch: NetworkInput, parameters: Sequence[Tensor], generator: torch.Generator) -> float:
    """Bound B of the combined gradient's norm over the parameters.

    With forecast p and reconstruction h of the hidden cells, the data gradient is `Jp' gp + .5 Jh' gh`, hence its norm is at
    most a + b with `a = Bp |Jp|_F` and `b = .5 Bh |Jh|_F`, and a + b <= sqrt(2 (a^2 + b^2)); the auxiliaries add at most .3 of
    it (`train.balance`). Bp and Bh are proven; `a^2 + b^2 = E |Bp Jp' u + .5 Bh Jh' v|^2` over random signs u, v is measured
    with 2 probes, one backward pass each (root off by 4 to 7 %, one standard deviation), and its root is doubled. It is loose on
    purpose: a healthy norm lies far below, so a norm above it is a defect.

    Args:
        network: not changed.
        batch: a training batch, hidden cells included.
        parameters: leaves the gradient is taken over.
        generator: draws the signs.

    Source: Hutchinson 1990, "A stochastic estimator of the trace of the influence matrix".
    """
    output = network(batch)
    hidden = torch.zeros_like(batch.mask) if batch.hidden is None else batch.hidden & batch.mask
    parts = {output.prediction: forecast_bound(batch, network.max_lag)}
    if bool(hidden.any()):
        parts[output.reconstruction] = HIDDEN_WEIGHT * float(gradient_bound(hidden))
    both = 1.0 if len(parts) == 1 else 2.0**0.5
    return MARGIN * (1 + TOTAL_CAP) * both * _jacobian_norm(parts, parameters, generator)


def _jacobian_norm(parts: Mapping[Tensor, float], parameters: Sequence[Tensor], generator: torch.Generator) -> float:
    """Root of the mean over probes of |sum_i B_i J_i' v_i|^2, v_i = random signs: sqrt(sum_i B_i^2 |J_i|_F^2)."""
    squares = torch.zeros((), dtype=torch.float64)
    for _ in range(PROBES):
        signs = [bound * (2.0 * torch.randint(0, 2, out.shape, generator=generator) - 1.0).to(out) for out, bound in parts.items()]
        probe = torch.stack([(out * sign).sum() for out, sign in zip(parts, signs, strict=True)]).sum()
        found = torch.autograd.grad(probe, list(parameters), retain_graph=True, allow_unused=True)
        squares += torch.cat([part.flatten() for part in found if part is not None]).double().square().sum().cpu()
    return float(squares / PROBES) ** 0.5
