"""`fit_origin`: the origin's training run from a table to a graph, with its log; the true graph may be shown and steers nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rcgnn.config import Config
from rcgnn.errors import ConfigError, InputError
from rcgnn.graph import LINK, NONE, CausalGraph, FloatArray
from rcgnn.health import HealthRecord, Progress, silent
from rcgnn.origin.network import OriginNet, cut
from rcgnn.origin.optimizer import Adam, schedule
from rcgnn.origin.record import (
    BYPASS,
    THRESHOLD,
    EpochReport,
    Shown,
    graph_health,
    health_record,
    log_config,
    range_line,
    summary,
    to_entry,
)
from rcgnn.origin.trainer import Batch, EpochStats, held_out_loss, run_epoch
from rcgnn.origin.windows import OriginData, prepare, skip_draws
from rcgnn.series import BoolArray, Series

EVALUATION_DRAWS = 21
"""Numbers one evaluation takes from the generator. The origin opened its validation loader once per threshold, and each
opening drew one; without them the batches of epoch 3 come in another order and its printed figures cannot be met."""


@dataclass(frozen=True)
class OriginResult:
    """What the origin's run leaves.

    Attributes:
        graph: the learned graph at threshold 0.5, at lag 1.
        log: content of training_log_stable.json.
        summary: content of training_summary_stable.json.
        records: one `HealthRecord` an epoch.
        state: weights by name at the lowest held-out loss.
    """

    graph: CausalGraph
    log: dict[str, Any]
    summary: dict[str, Any]
    records: list[HealthRecord]
    state: dict[str, Tensor]


def fit_origin(
    series: Series,
    config: Config,
    *,
    truth: BoolArray | None = None,
    progress: Progress = silent,
    on_epoch: Callable[[EpochReport], None] | None = None,
    device: str = "cpu",
) -> OriginResult:
    """Train the origin's network by one of its two recipes.

    The network carries no lag and the decoder does not read the graph, so the graph says nothing about the data
    (`graph.conclusion` repeats it). It is put at lag 1: lag 0 is acyclic everywhere else, which this graph need not be; the
    summary graph is the same either way. Learning rate, best state and stopping follow the held-out reconstruction loss.

    Args:
        series: the table; missing readings are filled with 0 and masked.
        config: recipe `origin-before` or `origin-after`.
        truth: [N, N], True where i drives j. Only displayed: `val_f1`, `val_shd` and `best_threshold` of the log.
        progress: hears of stages `clean` (the ranges) and `train` (three steps and the end of every epoch).
        on_epoch: called after every epoch.
        device: where to train.

    Raises:
        ConfigError: the recipe is not one of the origin's.
        InputError: the table is too short, or the truth has another shape.
        FitFailedError: an epoch without a single finite step.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(60, 3))
        >>> config = Config.parse({"recipe": "origin-after", "train": {"epochs": 2}})
        >>> result = fit_origin(Series.of(rows), config)
        >>> result.summary["epochs"], result.summary["best_f1"], sorted(result.log)
        (2, None, ['config', 'epochs'])
    """
    true_links = _checked(series, config, truth)
    began = time.perf_counter()
    data = prepare(series, config.data, device)
    progress("clean", {"message": range_line(data.raw_range, data.range)})
    draw = torch.Generator().manual_seed(config.seed)
    net = OriginNet(series.shape[1], draw, device)
    run = _Run(config, data, net, draw, true_links, progress)
    reports = []
    while not run.finished:
        reports.append(run.epoch())
        if on_epoch is not None:
            on_epoch(reports[-1])
    graph = _graph(series.names, run.best_state)
    entries = [report.entry for report in reports]
    return OriginResult(
        graph=graph,
        log={"config": log_config(config), "epochs": entries},
        summary=summary(
            entries,
            total_time=time.perf_counter() - began,
            edges=len(graph.links()),
            true_edges=None if true_links is None else int(true_links.sum()),
            lr=entries[-1]["learning_rate"],
        ),
        records=[report.record for report in reports],
        state=run.best_state,
    )


def _checked(series: Series, config: Config, truth: BoolArray | None) -> BoolArray | None:
    if config.recipe == "auto":
        raise ConfigError("recipe: the origin network runs by recipe origin-before or origin-after, got auto.")
    if truth is None:
        return None
    n = series.shape[1]
    links = np.array(truth, dtype=bool)
    if links.shape != (n, n):
        raise InputError(f"truth: expected {n} x {n} for the {n} sensors of {series.source}, got shape {links.shape}.")
    np.fill_diagonal(links, val=False)
    return links


class _Run:
    """State of one training run: weights, optimiser, schedule, best state so far."""

    def __init__(
        self, config: Config, data: OriginData, net: OriginNet, draw: torch.Generator, truth: BoolArray | None, progress: Progress
    ) -> None:
        self.config, self.data, self.net, self.draw = config, data, net, draw
        self.truth, self.progress = truth, progress
        self.optimizer = Adam(net.flat, config.train.lr, config.train.weight_decay)
        self.schedule = schedule(config.train)
        self.done, self.stale = 0, 0
        self.best_loss = float("inf")
        self.best_state = net.state()
        self.adjacency: FloatArray | None = None

    @property
    def finished(self) -> bool:
        train = self.config.train
        return self.done >= train.epochs or self.stale >= train.patience

    def epoch(self) -> EpochReport:
        """Train one epoch; every `eval_every` epochs and at the end, measure the held-out loss and act on it."""
        train = self.config.train
        self.done += 1
        lr = self.optimizer.lr
        stats = run_epoch(self.net, self.optimizer, self.data, self.draw, self.config, self._on_batch)
        evaluated = self.done % train.eval_every == 0 or self.done == train.epochs
        val, best = self._evaluate() if evaluated else (None, False)
        before, self.adjacency = self.adjacency, self.net.adjacency().cpu().numpy().astype(np.float64)
        run = {"lr": lr, "seed": self.config.seed, "observed_share": float(self.data.mask.mean())}
        run |= {"clip": train.clip} if train.clip else {}
        run |= {f"input_{end}": value for end, value in zip(("low", "high"), self.data.range, strict=True) if math.isfinite(value)}
        record = health_record(self.done, stats, graph_health(self.adjacency, before), val, run, self.data.names)
        entry = to_entry(record, _shown(self.adjacency, self.truth))
        self._tell(stats, entry)
        return EpochReport(record, entry, evaluated, best, self.stale)

    def _evaluate(self) -> tuple[float | None, bool]:
        val = held_out_loss(self.net, self.data)
        self.optimizer.lr = self.schedule(val)
        skip_draws(self.draw, EVALUATION_DRAWS)
        best = val is None or val < self.best_loss
        if best:
            self.best_loss = self.best_loss if val is None else val
            self.best_state = self.net.state()
        self.stale = 0 if best else self.stale + 1
        return val, best

    def _on_batch(self, batch: Batch) -> None:
        steps = (self.done - 1) * batch.batches + batch.number
        total = self.config.train.epochs * batch.batches
        self.progress("train", {"done": steps, "total": total, "epoch": self.done, "loss": batch.loss, "batch": batch})

    def _tell(self, stats: EpochStats, entry: dict[str, Any]) -> None:
        epochs = self.config.train.epochs
        info: dict[str, float] = {"done": self.done * stats.steps, "total": epochs * stats.steps, "epoch": self.done, "epochs": epochs}
        info |= {"loss": stats.loss, "links": entry["edge_count"], "clip_share": stats.clip_share, "lr": entry["learning_rate"]}
        self.progress("train", info)


def _shown(adjacency: FloatArray, truth: BoolArray | None) -> Shown | None:
    """The oracle's figures, for display."""
    if truth is None:
        return None
    from rcgnn.evaluate.oracle import tune_threshold

    threshold, f1, shd = tune_threshold(adjacency, truth)
    return Shown(float(threshold), float(f1), float(shd))


def _graph(names: tuple[str, ...], state: dict[str, Tensor]) -> CausalGraph:
    """Order by the raw entries; links are the kept ones above `THRESHOLD`, as `OriginNet.adjacency` has them."""
    raw = state["graph"].cpu()
    kept = cut(raw).numpy() > THRESHOLD
    score, verdict = np.zeros((2, *raw.shape)), np.full((2, *raw.shape), NONE, np.int8)
    score[1] = raw.sigmoid().numpy()
    verdict[1][kept] = LINK
    return CausalGraph.of(names, score, verdict, conclusion=BYPASS)
