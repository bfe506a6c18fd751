"""What a model leaves unexplained, row by row: the innovations of the lagged models, and the residuals whose shape tells a direction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rcgnn.mapped import in_turn, let_go, spacious
from rcgnn.screen.features import Features, Offer, Tables, stretches, weighed
from rcgnn.screen.search import Local
from rcgnn.series import BoolArray, FloatArray, IntArray, slabs

LEAST_EIGENVALUE = 1e-3


def residual(tables: Tables, rows: IntArray, offer: Offer, own: Features, local: Local, target: int) -> FloatArray:
    """[S, rows] x_j less what its model says, for every draw less its mean, in units of the sd of x_j.

    Args:
        tables: features of every draw.
        rows: targets to look at, rising.
        offer: what x_j was offered.
        own: its moments.
        local: its model.
        target: j.
    """
    used = np.concatenate([local.forced, local.chosen, own.value[[target]]])
    weight = np.append(-local.given.coefficients, 1.0) * own.scale[used]
    left = np.zeros((len(tables.draws), len(rows)))
    for part in stretches(tables, rows):
        for draw, of_draw in enumerate(left):
            of_draw[part] = weighed(tables, draw, rows[part], offer, used, weight)
    if len(rows):
        left -= left.mean(axis=1, keepdims=True)
    return left


def innovations(
    tables: Tables, keep: BoolArray, offers: Sequence[Offer], own: Sequence[Features], lagged: Sequence[Local]
) -> tuple[FloatArray, float]:
    """Correlation [N, N] of what the lagged models leave unexplained, and the rows behind it: those in which both were read."""
    left = [spacious(keep.shape) for _ in tables.draws]
    for j, local in enumerate(lagged):
        for one, of_draw in zip(left, residual(tables, np.flatnonzero(keep[:, j]), offers[j], own[j], local, j), strict=True):
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
