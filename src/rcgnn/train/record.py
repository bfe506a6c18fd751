"""From one epoch's log to one `HealthRecord`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from rcgnn.health import OPEN, GradHealth, GraphHealth, LossHealth
from rcgnn.model.structure import Structure
from rcgnn.numerics import group_norm, spectral_radius
from rcgnn.train.held_out import HeldOut
from rcgnn.train.step import EpochLog
from rcgnn.train.stopping import Stopping

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
LARGEST_COMPANION = 300
"""Largest K N for which the spectral radius is computed."""


def open_pairs(structure: Structure) -> NDArray[np.bool_]:
    """[N, N] True where the norm over lags exceeds `OPEN` in any regime."""
    norms = group_norm(structure.weights().detach(), dim=-3).amax(0)
    return np.asarray((norms > OPEN).cpu().numpy())


def typical(threshold: torch.Tensor) -> float:
    """Median of the positive thresholds; 0 where there is none."""
    positive = threshold[threshold > 0]
    return float(positive.median()) if positive.numel() else 0.0


def graph_health(structure: Structure, threshold: float | None, settled: Stopping | None) -> GraphHealth:
    """The graph as the network sees it.

    Args:
        structure: the network's graph.
        threshold: typical lambda of the proximal step.
        settled: what this epoch's evaluation says beside the one before; None where there was none.
    """
    weights = structure.weights().detach()
    norms = group_norm(weights, dim=-3).amax(0).cpu().numpy()
    links = norms > OPEN
    sensors = len(links)
    strength = [float(q) for q in np.quantile(norms[links], QUANTILES)] if links.any() else []
    return GraphHealth(
        edges=int(links.sum()),
        density=float(links.sum() / max(1, sensors * (sensors - 1))),
        jaccard=None if settled is None else settled.overlap,
        threshold=threshold,
        strength_quantiles=strength,
        spectral_radius=companion_radius(weights),
        undecided=None if settled is None else settled.unsettled,
    )


def companion_radius(weights: torch.Tensor) -> float | None:
    """Spectral radius of the messages' linear part, largest over regimes: a monitor, own memory left out.

    With same-step part A0 and lags Ak (`x(t) = A0' x(t) + sum Ak' x(t-k)`), the companion matrix of `(I - A0')^-1 Ak'`.
    None where it would be too large to be worth it, or A0 leaves `I - A0'` singular.

    Args:
        weights: [R, K+1, N, N].

    Example:
        >>> w = torch.zeros(1, 2, 2, 2); w[0, 1, 0, 1] = w[0, 1, 1, 0] = 0.5
        >>> companion_radius(w)
        0.5
    """
    lags, sensors = weights.shape[1] - 1, weights.shape[2]
    if lags * sensors > LARGEST_COMPANION or lags == 0:
        return None
    largest = 0.0
    eye = torch.eye(sensors, dtype=torch.float64)
    for regime in weights.detach().cpu().double():
        solved, info = torch.linalg.solve_ex(eye - regime[0].T, regime[1:].transpose(1, 2))
        if int(info.abs().max()) != 0 or not bool(torch.isfinite(solved).all()):
            return None
        companion = torch.zeros(lags * sensors, lags * sensors, dtype=torch.float64)
        companion[:sensors] = solved.permute(1, 0, 2).reshape(sensors, -1)
        companion[sensors:, :-sensors] = torch.eye((lags - 1) * sensors, dtype=torch.float64)
        largest = max(largest, spectral_radius(companion))
    return largest


def loss_health(log: EpochLog, held_out: HeldOut | None, baseline: HeldOut | None, names: Sequence[str]) -> LossHealth:
    """Losses of one epoch; `train` is the forecast part of the data term, so that it compares with `val`.

    Args:
        log: the epoch's steps.
        held_out: this epoch's evaluation, if there was one.
        baseline: the self baseline's evaluation.
        names: sensor names.
    """
    train = float(np.mean(log.losses)) if log.losses else None
    if held_out is None:
        return LossHealth(train=train, components=log.components)
    sensors = zip(names, held_out.sensors.tolist(), strict=True)
    return LossHealth(
        train=train,
        components=log.components,
        val=float(held_out.blocks.mean()),
        val_stderr=None if baseline is None else held_out.stderr_of_gain(baseline),
        self_baseline=None if baseline is None else float(baseline.closed_blocks.mean()),
        per_sensor={name: loss for name, loss in sensors if loss == loss},  # noqa: PLR0124 - NaN: nothing observed, so absent
    )


def grad_health(log: EpochLog, certificate: float | None) -> GradHealth:
    """Raw norms over all parameters, skipped steps included."""
    return GradHealth(
        raw_median=median(log.norms) if log.norms else None,
        raw_max=max(log.norms, default=None),
        clip_level=log.level,
        clip_share=log.clipped / max(1, log.taken),
        certificate=certificate,
        nonfinite=log.nonfinite,
        first_bad=log.first_bad,
        data_norm=log.data_norm,
        sensor_share=log.sensor_share,
    )


def update_ratios(log: EpochLog, groups: Sequence[str]) -> dict[str, list[float]]:
    """norm(step) / norm(weight) of every group: least, median, largest of the epoch."""
    columns = zip(*log.ratios, strict=True)
    return {name: [min(column), median(column), max(column)] for name, column in zip(groups, columns, strict=False)}


def resident_mb() -> float | None:
    """Largest resident memory of this process so far in MB; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
