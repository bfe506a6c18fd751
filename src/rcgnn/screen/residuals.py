"""What a model leaves unexplained, row by row: the innovations of the lagged models, and the residuals whose shape tells a direction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from rcgnn.mapped import in_turn, let_go, spacious
from rcgnn.screen.features import Features, Offer, Tables, in_slabs
from rcgnn.screen.search import Local
from rcgnn.series import BoolArray, FloatArray, slabs

TINY = 1e-9
LEAST_EIGENVALUE = 1e-3


def residual(tables: Tables, keep: BoolArray, offer: Offer, own: Features, local: Local, target: int) -> FloatArray:
    """[S, kept rows] x_j less what its model says, for every draw, in units of the sd of x_j.

    Args:
        tables: features of every draw.
        keep: [rows] rows that count for the target.
        offer: what the target was offered.
        own: its moments.
        local: its model.
        target: j.
    """
    y = int(own.value[target])
    used = np.concatenate([local.forced, local.chosen, [y]])
    rows = np.flatnonzero(keep)
    left = np.zeros((len(tables.draws), len(rows)))
    if not len(rows):
        return left
    few = [*in_slabs(tables, rows, offer, used)] if len(slabs(len(rows), len(used))) == 1 else None

    def look() -> Iterable[tuple[slice, FloatArray]]:
        return few or in_slabs(tables, rows, offer, used)

    mean, variance = np.zeros((2, len(left), len(used)))
    for part, draws in look():
        mean += draws.mean(axis=1) * ((part.stop - part.start) / len(rows))
    for _, draws in look():
        apart = draws - mean[:, None]
        variance += np.einsum("smq,smq->sq", apart, apart) / len(rows)
    scale = np.maximum(np.sqrt(variance.mean(axis=0)), TINY)
    weight = np.append(local.given.coefficients, -1.0) / scale
    for part, draws in look():
        left[:, part] = (mean @ weight)[:, None] - draws @ weight
    return left


def innovations(
    tables: Tables, keep: BoolArray, offers: Sequence[Offer], own: Sequence[Features], lagged: Sequence[Local]
) -> tuple[FloatArray, float]:
    """Correlation [N, N] of what the lagged models leave unexplained, and the rows behind it: those in which both were read."""
    left = [spacious(keep.shape) for _ in tables.draws]
    for j, local in enumerate(lagged):
        for one, of_draw in zip(left, residual(tables, keep[:, j], offers[j], own[j], local, j), strict=True):
            one[keep[:, j], j] = of_draw
            let_go(one)
    joint, cov = np.zeros((2, keep.shape[1], keep.shape[1]))
    for part in in_turn(slabs(*keep.shape), keep, *left):
        read = keep[part].astype(float)
        joint += read.T @ read
        cov += np.einsum("sti,stj->ij", *[np.stack([one[part] for one in left])] * 2)
    cov /= np.maximum(joint * len(left), 1.0)
    values, vectors = np.linalg.eigh(cov)
    cov = (vectors * np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(cov))
    return cov / np.outer(scale, scale), float(np.median(joint[~np.eye(len(joint), dtype=bool)]))
