"""How strongly a link must pull to be believed: the sparsity threshold, from the table itself."""

from __future__ import annotations

import torch
from torch import Tensor

from rcgnn.losses.reconstruction import log_loss
from rcgnn.model.decoder import lagged
from rcgnn.model.network import CausalNet
from rcgnn.train.batches import Batches

SHIFTS = 40
QUANTILE = 0.9
CHUNK = 256
"""Windows in one forward pass."""


def null_threshold(network: CausalNet, train: Batches, generator: torch.Generator, shifts: int = SHIFTS) -> Tensor:
    """Lambda, `[i, j]`: the 90 % quantile over circular shifts of `max_ij |dJ/dw_.ij| / s_ij` at closed links, times s_ij.

    The residuals of the self baseline are shifted in time against the sources, which leaves both as they are and breaks
    every link between them. s_ij is the root mean square of the pair's own null gradient: a sensor that is forecast
    sharply, or a slow source, has larger gradients by chance and needs a higher bar, without raising it for the others.
    A pair opens when its gradient beats lambda_ij, so with no real link a table like this one shows any link in 10 % of
    the cases. J is elementwise in the residual up to per-sensor constants that a shift does not change, so its gradient
    at the forecast is shifted in their place.

    Args:
        network: trained with closed links (the self baseline); not changed.
        train: training windows in the order of time.
        generator: draws the shifts.
        shifts: number of circular shifts.

    Returns:
        [N, N] float64 in units of J per unit of weight; 0 where there is no candidate or nothing to shift.

    Source: studentised max-statistic null, Westfall & Young 1993; shifts for dependent series, Politis & Romano 1992.
    """
    sensors = network.structure.base.shape[-1]
    nothing = torch.zeros(sensors, sensors, dtype=torch.float64, device=network.structure.base.device)
    if len(train) == 0 or not bool(network.structure.allowed.any()):
        return nothing
    pull = residual_pull(network, train)
    flat = pull.flatten(0, 1)
    rows = len(flat)
    least = max(1, min(train.rows, rows // 4))
    offsets = torch.randint(least, max(least + 1, rows - least), (shifts,), generator=generator).tolist()
    null = group_gradients(network, train, [flat.roll(offset, 0).view_as(pull) for offset in offsets])
    size = torch.sqrt(null.square().mean(0))
    largest = torch.where(size > 0, null / size.clamp(min=torch.finfo(torch.float64).tiny), 0.0).flatten(1).amax(1)
    found = torch.quantile(largest, QUANTILE) * size
    return found if bool(torch.isfinite(found).all()) else nothing


def residual_pull(network: CausalNet, train: Batches) -> Tensor:
    """[W, L-K, N] gradient of J at the self baseline's forecast, float32, 0 where not observed."""
    with torch.no_grad():
        forecast = torch.cat([network(batch, closed=True).self_prediction for batch, _ in train.chunks(CHUNK)])
    forecast.requires_grad_()
    skip = train.rows - forecast.shape[1]
    loss = log_loss(forecast, train.values[:, skip:], train.mask[:, skip:])
    return torch.autograd.grad(loss, forecast)[0]


def group_gradients(network: CausalNet, train: Batches, pulls: list[Tensor]) -> Tensor:
    """[S, N, N] norm over lags of the gradient that each pull exerts on every pair's weights at closed links, float64."""
    base, (lag, source, target) = network.structure.base, network.structure.edges
    total = torch.zeros(len(pulls), len(target), dtype=torch.float64, device=base.device)
    for number, (batch, _) in enumerate(train.chunks(CHUNK)):
        with torch.no_grad():
            own = network(batch, closed=True).latents["filtered"].permute(2, 0, 1)
            slopes = network.messages.slopes(lagged(own, network.max_lag)).flatten(1)
        here = slice(number * CHUNK, number * CHUNK + len(batch.values))
        for shift, pull in enumerate(pulls):
            at_target = pull[here].permute(2, 0, 1).flatten(1).index_select(0, target)
            total[shift] += torch.einsum("er,er->e", slopes, at_target)
    gradient = torch.zeros(len(pulls), *base.shape, dtype=torch.float64, device=base.device)
    gradient[:, lag, source, target] = total
    return torch.linalg.vector_norm(gradient, dim=1)
