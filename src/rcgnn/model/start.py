"""Where training starts: the network's own linear part, solved in closed form on the rows it is going to see."""

from __future__ import annotations

import torch
from torch import Tensor

from rcgnn.model.decoder import lagged
from rcgnn.model.network import CausalNet
from rcgnn.model.output import NetworkInput

RIDGE = 1e-2
"""Penalty per observed row, in squared scaled units: a coefficient without data is zero."""
ROUNDS = 3
"""Reweighted solves; each reads a residual r with weight 1 / sqrt(1 + (r / 2)^2), as the pseudo-Huber loss does."""
REACH = 4.0
"""A row whose largest signal exceeds this is weighed down by the square of the excess: it would lever the fit."""


def linear_start(network: CausalNet, batch: NetworkInput) -> tuple[Tensor, Tensor]:
    """Robust ridge regression of each sensor on its own lags and its candidate links.

    Solves, for every target j over its observed rows, min sum_t c_t (x_j(t) - sum_k a_jk s_j(t-k) - sum_e w_e s_i(t-k))^2
    + RIDGE n (|a|^2 + |w|^2), s the network's filtered signals, c the product of pseudo-Huber weights from the round before and of
    min(1, REACH / max |s|)^2.

    Args:
        network: gives filter, candidates and order; not changed.
        batch: training windows; regimes are pooled.

    Returns:
        own [N, K] coefficients and link weights [K+1, N, N], float32, zero off the candidates. `CausalNet.load_linear`
        takes them.

    Source: reweighted least squares, Huber & Ronchetti 2009, section 7.8; leverage weights after Mallows 1975.
    """
    lag_count = network.max_lag
    with torch.no_grad():
        output = network(batch, closed=True)
    signal = output.latents["filtered"].permute(2, 0, 1)
    lags = lagged(signal, lag_count).double().flatten(1, 2)
    goal = (batch.values - output.bias).permute(2, 0, 1)[..., lag_count:].double().flatten(1)
    seen = batch.mask.permute(2, 0, 1)[..., lag_count:].flatten(1)
    own = torch.zeros(len(lags), lag_count, dtype=torch.float32, device=lags.device)
    weights = torch.zeros_like(network.structure.base)
    edges = network.structure.edges
    for target in range(len(lags)):
        lag, source, _ = edges[:, edges[2] == target]
        rows = seen[target]
        features = torch.cat([lags[target][:, 1:], lags[source, :, lag].T], dim=1)[rows]
        solution = _robust_ridge(features, goal[target][rows]).float()
        own[target] = solution[:lag_count]
        weights[lag, source, target] = solution[lag_count:]
    return own, weights


def _robust_ridge(features: Tensor, goal: Tensor) -> Tensor:
    solution = features.new_zeros(features.shape[1])
    penalty = RIDGE * max(len(goal), 1) * torch.eye(features.shape[1], dtype=features.dtype, device=features.device)
    level = (REACH / features.abs().amax(dim=1).clamp(min=REACH)).square()
    trust = level
    for _ in range(ROUNDS):
        weighted = features * trust[:, None]
        solution = torch.linalg.solve(weighted.T @ features + penalty, weighted.T @ goal)
        trust = level / torch.sqrt(1 + ((goal - features @ solution) / 2).square())
    return solution
