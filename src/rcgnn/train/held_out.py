"""Losses on held-out blocks, with the links open and closed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from rcgnn.losses.reconstruction import EPS, recon_per_sensor
from rcgnn.model.network import CausalNet
from rcgnn.model.output import ModelOutput
from rcgnn.train.batches import Batches
from rcgnn.train.stopping import mean_and_stderr

FloatArray = NDArray[np.float64]
CHUNK = 256
"""Windows in one forward pass."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One evaluation.

    Attributes:
        opened: [blocks, N] forecast loss J of each sensor in each block; NaN where nothing was observed.
        closed: [blocks, N] the same with every link closed.
    """

    opened: FloatArray
    closed: FloatArray

    @property
    def blocks(self) -> FloatArray:
        """[blocks] loss of each block, mean over its sensors."""
        return _mean(self.opened, 1)

    @property
    def closed_blocks(self) -> FloatArray:
        """[blocks] loss of each block with every link closed."""
        return _mean(self.closed, 1)

    @property
    def sensors(self) -> FloatArray:
        """[N] loss of each sensor, mean over blocks; NaN where nothing was observed."""
        return _mean(self.opened, 0)

    @property
    def closed_sensors(self) -> FloatArray:
        """[N] loss of each sensor with every link closed."""
        return _mean(self.closed, 0)

    @property
    def finite(self) -> bool:
        """True when every block has a finite loss."""
        return bool(np.isfinite(self.blocks).all() and np.isfinite(self.closed_blocks).all())

    def stderr_of_gain(self, baseline: HeldOut) -> float:
        """Standard error over blocks of `loss - loss of the baseline`, paired, so that easy and hard blocks cancel."""
        return mean_and_stderr(self.blocks - baseline.closed_blocks)[1]


def evaluate(network: CausalNet, blocks: Sequence[Batches], *, closed: bool = False) -> HeldOut | None:
    """Loss of every block, nothing hidden, each row counted once; None where no block holds an observed target.

    Args:
        network: not changed.
        blocks: held-out blocks.
        closed: leave the links closed; then both losses are that of own histories.
    """
    with torch.no_grad():
        scored = [_block(network, block, closed=closed) for block in blocks]
    kept = [(opened, closed) for opened, closed in scored if not np.isnan(closed).all()]
    if not kept:
        return None
    return HeldOut(np.stack([opened for opened, _ in kept]), np.stack([closed for _, closed in kept]))


def closed_is_alone(network: CausalNet, block: Batches, windows: int = 2) -> bool:
    """Whether, with every link closed, no sensor's forecast depends on another sensor: exact, not statistical.

    For every bit of a sensor's number, the readings of all sensors with that bit set (and then of all without it) are
    reversed in sign; the forecasts of the others must not change. Every ordered pair differs in some bit, so
    2 ceil(log2 N) forward passes look at all pairs.

    Args:
        network: not changed.
        block: where readings are taken from.
        windows: how many windows are looked at.
    """
    batch, _ = next(block.chunks(windows))
    number = torch.arange(batch.values.shape[2], device=batch.values.device)
    with torch.no_grad():
        before = network(batch, closed=True).self_prediction
        for bit in range(max(1, (len(number) - 1).bit_length())):
            for value in (0, 1):
                turned = (number >> bit) & 1 == value
                reversed_ = replace(batch, values=torch.where(turned, -batch.values, batch.values))
                after = network(reversed_, closed=True).self_prediction
                if not torch.equal(after[..., ~turned], before[..., ~turned]):
                    return False
    return True


def _block(network: CausalNet, block: Batches, *, closed: bool) -> tuple[FloatArray, FloatArray]:
    """[N] loss of one block, open and closed; chunks are joined as means of rho weighted by their cells."""
    parts = []
    for batch, cells in block.chunks(CHUNK):
        output: ModelOutput = network(batch, closed=closed)
        scored = replace(batch, mask=cells)
        count = cells[:, batch.values.shape[1] - output.prediction.shape[1] :].sum((0, 1)).cpu().numpy()
        parts.append((count, *(_array(recon_per_sensor(output, scored, closed=alone)) for alone in (False, True))))
    if len(parts) == 1:
        return parts[0][1], parts[0][2]
    counts = np.stack([count for count, _, _ in parts])
    return _joined(counts, np.stack([p[1] for p in parts])), _joined(counts, np.stack([p[2] for p in parts]))


def _joined(counts: NDArray[np.int64], losses: FloatArray) -> FloatArray:
    rho = np.where(counts > 0, np.exp(2 * losses) - EPS**2, 0.0)
    total = counts.sum(0)
    mean = (rho * counts).sum(0) / np.maximum(total, 1)
    return np.where(total > 0, 0.5 * np.log(EPS**2 + mean), np.nan)


def _array(losses: torch.Tensor) -> FloatArray:
    return np.asarray(losses.double().cpu().numpy())


def _mean(losses: FloatArray, axis: int) -> FloatArray:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.asarray(np.nanmean(losses, axis=axis))
