"""What each link is worth to the network on held-out blocks: close it, and see how much worse its effect is forecast."""

from __future__ import annotations

import numpy as np
import torch

from rcgnn.data.windows import Windows
from rcgnn.losses.reconstruction import DELTA, EPS
from rcgnn.model.network import CausalNet, NetworkInput
from rcgnn.numerics import pseudo_huber
from rcgnn.series import FloatArray


def held_out_gain(network: CausalNet, valid: Windows) -> tuple[FloatArray, FloatArray]:
    """Gain [N, N] of every candidate pair and its standard error.

        gain_ij = 1/2 log((eps^2 + M_j without i) / (eps^2 + M_j)),     M_j = mean pseudo-Huber forecast error of j

    The standard error is over held-out windows (delta method). A closed link changes the forecast of its own effect alone,
    so one source of every sensor is closed in the same pass: the passes are as many as the largest number of candidate
    causes of one sensor.
    """
    device = network.structure.base.device
    batch = NetworkInput(
        torch.from_numpy(np.ascontiguousarray(valid.values, np.float32)).to(device),
        torch.from_numpy(np.ascontiguousarray(valid.mask)).to(device),
        torch.from_numpy(np.ascontiguousarray(valid.regime)).to(device),
    )
    target = torch.from_numpy(np.ascontiguousarray(valid.target)).to(device)
    pairs = network.structure.pairs.cpu().numpy()
    sensors = len(pairs)
    gain, stderr = np.zeros((sensors, sensors)), np.zeros((sensors, sensors))
    with torch.no_grad():
        weights = network.structure.weights()
        open_, count = _errors(network, batch, target, weights)
        total = np.maximum(count.sum(axis=0), 1.0)
        level = EPS**2 + open_.sum(axis=0) / total
        for rank in range(int(pairs.sum(axis=0).max(initial=0))):
            closing = [(int(np.flatnonzero(pairs[:, j])[rank]), j) for j in range(sensors) if pairs[:, j].sum() > rank]
            less = weights.clone()
            for i, j in closing:
                less[:, :, i, j] = 0.0
            without, _ = _errors(network, batch, target, less)
            for i, j in closing:
                closed = EPS**2 + without[:, j].sum() / total[j]
                gain[i, j] = 0.5 * np.log(closed / level[j])
                influence = _influence(without[:, j], count[:, j], closed) - _influence(open_[:, j], count[:, j], level[j])
                stderr[i, j] = 0.5 * np.sqrt((influence**2).sum())
    return gain, stderr


def _influence(errors: FloatArray, count: FloatArray, level: float) -> FloatArray:
    """[W] change of log(eps^2 + M) that each window makes."""
    total = max(float(count.sum()), 1.0)
    return (errors - count * errors.sum() / total) / (total * level)


def _errors(network: CausalNet, batch: NetworkInput, target: torch.Tensor, weights: torch.Tensor) -> tuple[FloatArray, FloatArray]:
    """Sum of errors and number of observed targets, [W, N] each; a row that two windows share counts once."""
    prediction = network(batch, weights).prediction
    skip = batch.values.shape[1] - prediction.shape[1]
    cells = batch.mask[:, skip:] & target[:, skip:, None]
    error = pseudo_huber((prediction - batch.values[:, skip:]).double().masked_fill(~cells, 0.0), DELTA)
    return (error * cells).sum(dim=1).cpu().numpy(), cells.sum(dim=1).double().cpu().numpy()
