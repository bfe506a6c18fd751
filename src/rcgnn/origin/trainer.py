"""One epoch of the origin's training, and its loss on the held-out rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rcgnn.config import Config
from rcgnn.errors import FitFailedError
from rcgnn.origin.anatomy import Anatomy, dissect
from rcgnn.origin.network import TERMS, OriginNet
from rcgnn.origin.optimizer import Adam
from rcgnn.origin.windows import OriginData, shuffled_rows

_CHUNK = 1 << 16
"""Rows evaluated at once."""


@dataclass(frozen=True)
class Batch:
    """One step, for display."""

    number: int
    batches: int
    loss: float
    grad_norm: float
    clipped: bool


@dataclass(frozen=True)
class EpochStats:
    """What one epoch measured; means over its finite steps.

    Attributes:
        loss: weighted sum of the terms.
        terms: unweighted, by name.
        norms: gradient norm of every finite step, before clipping.
        clipped: steps whose norm was above the clip level.
        nonfinite: steps that were skipped because loss or gradient was not finite.
        anatomy: where the gradient of the first step came from.
        seconds: wall-clock time.
    """

    loss: float
    terms: dict[str, float]
    norms: list[float]
    clipped: int
    nonfinite: int
    anatomy: Anatomy
    seconds: float

    @property
    def clip_share(self) -> float:
        """Share of the epoch's steps that were clipped."""
        return self.clipped / self.steps

    @property
    def steps(self) -> int:
        """Steps of the epoch, skipped ones included."""
        return len(self.norms) + self.nonfinite


def term_weights(config: Config) -> tuple[float, float, float, float]:
    """Weights of `TERMS`."""
    losses = config.losses
    return losses.recon, losses.sparse, losses.acyclic, losses.disen


@torch.inference_mode()
def run_epoch(
    net: OriginNet,
    optimizer: Adam,
    data: OriginData,
    draw: torch.Generator,
    config: Config,
    on_batch: Callable[[Batch], None],
) -> EpochStats:
    """Show every training window once, in an order taken from `draw`; `on_batch` hears of three steps on the way.

    Raises:
        FitFailedError: no step of the epoch had a finite loss and gradient, or the weights are not finite after it.
    """
    began = time.perf_counter()
    level = config.train.clip or math.inf
    weights = term_weights(config)
    parts = torch.split(shuffled_rows(data, draw), config.train.batch * data.window)
    every = max(1, len(parts) // 3)
    total, weight = torch.zeros(len(TERMS), device=data.x.device), torch.tensor(weights, device=data.x.device)
    loss_sum, norms, clipped = 0.0, [], 0
    first = dissect(net, data.x.index_select(0, parts[0]), data.mask.index_select(0, parts[0]), weights)
    for number, rows in enumerate(parts):
        terms = net.backward(data.x.index_select(0, rows), data.mask.index_select(0, rows), weights)
        loss, norm = float(terms @ weight), float(torch.linalg.vector_norm(net.slope))
        if number and number % every == 0:
            on_batch(Batch(number, len(parts), loss, norm, clipped=norm > level))
        if not math.isfinite(loss + norm):
            continue
        norms.append(norm)
        loss_sum += loss
        total += terms
        if norm > level:
            clipped += 1
            net.slope.mul_(level / (norm + 1e-6))
        optimizer.step(net.slope)
    if not (norms and bool(torch.isfinite(net.flat).all())):
        raise FitFailedError(
            f"origin: training diverged: {len(parts) - len(norms)} of {len(parts)} steps of an epoch had no finite loss and gradient "
            f"(readings from {data.range[0]:.3g} to {data.range[1]:.3g}, train.lr {optimizer.lr:g}). Scale the inputs "
            "(data.scale=true, recipe origin-after) or lower train.lr."
        )
    means = (total / len(norms)).tolist()
    return EpochStats(
        loss=loss_sum / len(norms),
        terms=dict(zip(TERMS, means, strict=True)),
        norms=norms,
        clipped=clipped,
        nonfinite=len(parts) - len(norms),
        anatomy=first,
        seconds=time.perf_counter() - began,
    )


def held_out_loss(net: OriginNet, data: OriginData) -> float | None:
    """Mean squared error over the *observed* cells of the held-out rows; None where there is none, or it is not finite."""
    error, cells = torch.zeros((), dtype=torch.float64, device=data.x.device), 0.0
    for rows in torch.split(data.held_out, _CHUNK):
        x, mask = data.x.index_select(0, rows), data.mask.index_select(0, rows)
        error += _squared_error(net, x, mask)
        cells += float(mask.sum())
    loss = float(error) / cells if cells else math.nan
    return loss if math.isfinite(loss) else None


def _squared_error(net: OriginNet, x: Tensor, mask: Tensor) -> Tensor:
    return (net.reconstruct(x) - x).mul_(mask).square().sum(dtype=torch.float64)
