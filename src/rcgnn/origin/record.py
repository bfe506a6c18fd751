"""The origin's log, summary and console lines, derived from `HealthRecord`s; field names are the origin's, absent is null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rcgnn.config import Config
from rcgnn.graph import FloatArray
from rcgnn.health import Finding, GradHealth, GraphHealth, GuardHealth, HealthRecord, LossHealth
from rcgnn.origin.trainer import Batch, EpochStats

THRESHOLD = 0.5
"""A link is an entry of the graph above this; never tuned, because tuning needs the true graph."""

BYPASS = (
    "The decoder of this network never reads the graph: no data gradient reaches a link, so its links are the random start moved by "
    "the penalties, and agree with the truth only by chance. The falling loss is an autoencoder's."
)


@dataclass(frozen=True)
class Shown:
    """Figures that read the true graph (an oracle's): displayed, and nothing else."""

    threshold: float
    f1: float
    shd: float


@dataclass(frozen=True)
class EpochReport:
    """One epoch, as `on_epoch` receives it.

    Attributes:
        record: the health record.
        entry: the same epoch under the origin's field names, oracle figures included.
        evaluated: the held-out loss was measured.
        best: it was the lowest so far.
        stale: evaluations since the lowest.
    """

    record: HealthRecord
    entry: dict[str, Any]
    evaluated: bool
    best: bool
    stale: int


def health_record(
    epoch: int, stats: EpochStats, graph: GraphHealth, val: float | None, run: Mapping[str, float], names: Sequence[str]
) -> HealthRecord:
    """One epoch's health; `run` gives lr, seed, clip level, observed share and, where finite, the range of the readings."""
    residuals = dict(zip(names, stats.anatomy.residuals, strict=False))
    skipped = f"{stats.nonfinite} of {stats.steps} steps had a loss or gradient that was not finite; they were skipped."
    nonfinite = Finding(code="NONFINITE", severity="act", message=skipped, remedy="Scale the inputs or lower train.lr.", applied=True)
    bypass = Finding(code="BYPASS", severity="warn", message=BYPASS, remedy="Use recipe auto, where messages pass only through links.")
    return HealthRecord(
        epoch=epoch,
        step=epoch * stats.steps,
        lr=run["lr"],
        seed=int(run["seed"]),
        wall_s=stats.seconds,
        loss=LossHealth(scale="raw", train=stats.loss, components=stats.terms, val=val, per_sensor=residuals),
        ablation_gap=0.0,
        aux=stats.anatomy.aux,
        grad=GradHealth(
            raw_median=float(np.median(stats.norms)),
            raw_max=max(stats.norms),
            clip_level=run.get("clip"),
            clip_share=stats.clip_share,
            nonfinite=stats.nonfinite,
            data_norm=stats.anatomy.data_norm,
            sensor_share=shares(residuals),
        ),
        guard=GuardHealth(accepted=len(stats.norms), skipped_nonfinite=stats.nonfinite),
        graph=graph,
        data={name: run[name] for name in ("observed_share", "input_low", "input_high") if name in run},
        resource={"steps_per_s": stats.steps / max(stats.seconds, 1e-9)},
        diagnoses=[nonfinite, bypass] if stats.nonfinite else [bypass],
    )


def shares(residuals: Mapping[str, float]) -> dict[str, float]:
    """Part of each sensor in the sum: its share of the squared norm of the data term's gradient at the output.

    Example:
        >>> shares({"a": 3.0, "b": 1.0})
        {'a': 0.75, 'b': 0.25}
    """
    total = sum(residuals.values())
    return {name: value / total for name, value in residuals.items()} if total > 0 else {}


def graph_health(adjacency: FloatArray, before: FloatArray | None) -> GraphHealth:
    """Links of the learned graph at `THRESHOLD`, self links left out, and how much they moved since `before`."""
    links = _links(adjacency)
    union = links | _links(before) if before is not None else links
    both = links & _links(before) if before is not None else links
    return GraphHealth(
        edges=int(links.sum()),
        density=float(links.sum() / max(1, links.size - len(links))),
        jaccard=None if before is None else (float(both.sum() / union.sum()) if union.any() else 1.0),
        threshold=THRESHOLD,
        strength_quantiles=np.quantile(adjacency[links], [0, 0.25, 0.5, 0.75, 1]).tolist() if links.any() else [],
        spectral_radius=float(np.abs(np.linalg.eigvals(adjacency)).max()),
    )


def _links(adjacency: FloatArray) -> np.ndarray:
    return (adjacency > THRESHOLD) & ~np.eye(len(adjacency), dtype=bool)


def to_entry(record: HealthRecord, shown: Shown | None = None) -> dict[str, Any]:
    """One element of `epochs` in training_log_stable.json.

    Example:
        >>> r = HealthRecord(epoch=1, step=827, lr=5e-4, seed=1337, loss=LossHealth(train=1.05))
        >>> entry = to_entry(r)
        >>> entry["train_loss"], entry["val_f1"], entry["best_threshold"]
        (1.05, None, 0.5)
    """
    return {
        "epoch": record.epoch,
        "train_loss": record.loss.train,
        "train_loss_components": dict(record.loss.components),
        "val_f1": shown.f1 if shown else None,
        "val_shd": shown.shd if shown else None,
        "edge_count": record.graph.edges if record.graph else 0,
        "grad_clip_ratio": record.grad.clip_share,
        "learning_rate": record.lr,
        "best_threshold": shown.threshold if shown else THRESHOLD,
        "epoch_time": record.wall_s,
    }


def log_config(config: Config) -> dict[str, Any]:
    """The settings of a run under the origin's names."""
    train, losses = config.train, config.losses
    return {
        "recipe": config.recipe,
        "epochs": train.epochs,
        "batch_size": train.batch,
        "learning_rate": train.lr,
        "weight_decay": train.weight_decay,
        "grad_clip_norm": train.clip,
        "scheduler_type": train.schedule,
        "seed": config.seed,
        "lambda_recon": losses.recon,
        "lambda_sparse": losses.sparse,
        "lambda_acyclic": losses.acyclic,
        "lambda_disen": losses.disen,
        "patience": train.patience,
        "eval_frequency": train.eval_every,
        "standardize": config.data.scale,
        "window": config.data.window,
    }


def summary(epochs: Sequence[Mapping[str, Any]], *, total_time: float, edges: int, true_edges: int | None, lr: float) -> dict[str, Any]:
    """training_summary_stable.json; `best_*` are the oracle's and null without truth, where the threshold is `THRESHOLD`."""
    scored = [entry for entry in epochs if entry["val_f1"] is not None]
    best = max(scored, key=lambda entry: entry["val_f1"], default=None)
    return {
        "total_time": total_time,
        "epochs": len(epochs),
        "best_shd": min((entry["val_shd"] for entry in scored), default=None),
        "best_f1": best["val_f1"] if best else None,
        "best_threshold": best["best_threshold"] if best else THRESHOLD,
        "final_edge_count": edges,
        "true_edge_count": true_edges,
        "avg_grad_clip_ratio": float(np.mean([entry["grad_clip_ratio"] for entry in epochs])),
        "final_learning_rate": lr,
    }


def epoch_line(report: EpochReport, *, epochs: int, true_edges: int | None, patience: int) -> str:
    """The origin's line for one epoch.

    Example:
        >>> entry = to_entry(HealthRecord(epoch=4, step=1, lr=5e-4, seed=1, loss=LossHealth(train=0.0105)), Shown(0.1, 0.069, 27.0))
        >>> report = EpochReport(HealthRecord(epoch=4, step=1, lr=1, seed=1, loss=LossHealth(train=1)), entry, True, True, 0)
        >>> epoch_line(report, epochs=100, true_edges=13, patience=15)
        'Epoch   4/100 | Loss:   0.0105 | Val F1: 0.0690 | Val SHD:   27.0 | Edges:   0/13 | Grad Clip: 0.0% | LR: 5.00e-04 | NEW BEST'
    """
    entry = report.entry
    f1 = "   n/a" if entry["val_f1"] is None else f"{entry['val_f1']:6.4f}"
    shd = "   n/a" if entry["val_shd"] is None else f"{entry['val_shd']:6.1f}"
    known = "?" if true_edges is None else true_edges
    status = "NEW BEST" if report.best else f"Patience: {report.stale}/{patience}"
    return (
        f"Epoch {entry['epoch']:3d}/{epochs} | Loss: {entry['train_loss']:8.4f} | Val F1: {f1} | Val SHD: {shd} | "
        f"Edges: {entry['edge_count']:3d}/{known} | Grad Clip: {entry['grad_clip_ratio']:.1%} | LR: {entry['learning_rate']:.2e} | {status}"
    )


def batch_line(batch: Batch) -> str:
    """The origin's line within an epoch.

    Example:
        >>> batch_line(Batch(275, 827, 0.61, 2.5731, clipped=True))
        '  [Batch  275/827] Loss:   0.6100 | Grad Norm:   2.5731 | Clipped: yes'
    """
    return (
        f"  [Batch {batch.number:4d}/{batch.batches}] Loss: {batch.loss:8.4f} | Grad Norm: {batch.grad_norm:8.4f} | "
        f"Clipped: {'yes' if batch.clipped else 'no'}"
    )


def range_line(raw: tuple[float, float], scaled: tuple[float, float]) -> str:
    """Ranges before and after scaling.

    Example:
        >>> range_line((0.0, 2775.0), (-4.128, 10.82))
        '[0, 2775] -> [-4.1, 10.8]'
    """
    return f"[{raw[0]:.6g}, {raw[1]:.6g}] -> [{scaled[0]:.1f}, {scaled[1]:.1f}]"
