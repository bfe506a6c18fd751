"""The one data term: how well observed cells are forecast, and hidden ones reconstructed, whatever the unit.

J = mean_j 1/2 log(eps^2 + mean_{observed t} rho(r_j(t))), rho = pseudo-Huber with delta = 2, eps = .05, r in robust-z units.
The logarithm turns a change of unit into an additive constant; means run over observed cells only; a sensor without any
observed cell leaves the mean.

Certificate. For sensor j with n observed cells and M = mean rho: dJ_j/dp_t = rho'(r_t) / (2 n (eps^2 + M)). Since
rho'^2 <= 2 rho, the norm over t is at most sqrt(2 n M) / (2 n (eps^2 + M)), and sqrt(M) / (eps^2 + M) <= 1 / (2 eps), so

    |dJ_j/dp| <= 1 / (2 sqrt(2) eps sqrt(n)).

No reading, however wild, can exceed it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rcgnn.model.output import ModelOutput, NetworkInput
from rcgnn.numerics import masked_mean, pseudo_huber

EPS = 0.05
DELTA = 2.0
HIDDEN_WEIGHT = 0.5


def reconstruction(output: ModelOutput, batch: NetworkInput) -> Tensor:
    """J of the forecast plus half the J of the hidden cells' reconstruction; 0-dim float64.

    Returns:
        Exactly 0 where nothing is observed. May be negative: log(.05) = -3.0 is a perfect forecast.
    """
    skip = batch.values.shape[1] - output.prediction.shape[1]
    total = log_loss(output.prediction, batch.values[:, skip:], batch.mask[:, skip:])
    if batch.hidden is None:
        return total
    return total + HIDDEN_WEIGHT * log_loss(output.reconstruction, batch.values, batch.hidden & batch.mask)


def log_loss(estimate: Tensor, values: Tensor, cells: Tensor) -> Tensor:
    """Mean over sensors with a cell of 1/2 log(eps^2 + mean rho); 0 where there is none.

    Example:
        >>> cells = torch.ones(1, 4, 2, dtype=torch.bool)
        >>> round(log_loss(torch.zeros(1, 4, 2), torch.zeros(1, 4, 2), cells).item(), 4)
        -2.9957
    """
    present = cells.any(dim=1).any(dim=0)
    return masked_mean(_half_log(estimate, values, cells), present, 0)


def _half_log(estimate: Tensor, values: Tensor, cells: Tensor) -> Tensor:
    residual = (estimate.double() - values.double()).masked_fill(~cells, 0.0)
    return 0.5 * torch.log(EPS**2 + masked_mean(pseudo_huber(residual, DELTA), cells, (0, 1)))


def recon_per_sensor(output: ModelOutput, batch: NetworkInput, *, closed: bool = False) -> Tensor:
    """[N] 1/2 log(eps^2 + mean rho) of the forecast, float64; NaN for a sensor with no observed cell.

    Args:
        output: what the network said.
        batch: what was read.
        closed: score `self_prediction`, the forecast with every link closed.
    """
    forecast = output.self_prediction if closed else output.prediction
    skip = batch.values.shape[1] - forecast.shape[1]
    cells = batch.mask[:, skip:]
    absent = ~cells.any(dim=1).any(dim=0)
    return _half_log(forecast, batch.values[:, skip:], cells).masked_fill(absent, math.nan)


def gradient_bound(cells: Tensor) -> Tensor:
    """Upper bound of the norm of dJ/dforecast for any readings and any forecast; 0-dim float64.

    sqrt(sum_j (1 / (2 sqrt(2) eps sqrt(n_j) d))^2) over the d sensors with n_j > 0 observed cells.

    Args:
        cells: [B, M, N] bool, observed cells of the rows that are forecast.

    Example:
        >>> round(gradient_bound(torch.ones(2, 8, 1, dtype=torch.bool)).item(), 4)
        1.7678
    """
    count = cells.sum(dim=(0, 1)).double()
    present = count > 0  # no branch: it would wait for the device at every step
    inverse = torch.where(present, 1 / count.clamp(min=1), 0.0)
    return torch.sqrt(inverse.sum()) / (2 * math.sqrt(2) * EPS * present.sum().clamp(min=1).double())
