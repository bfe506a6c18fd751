"""What a model leaves unexplained, row by row: the innovations of the lagged models, and the residuals whose shape tells a direction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rcgnn.screen.features import Features, Offer, Tables, columns_of
from rcgnn.screen.search import Local
from rcgnn.series import BoolArray, FloatArray

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
    if not keep.any():
        return np.zeros((len(tables.draws), 0))
    rows = np.stack(columns_of(tables, keep, offer, used))
    scale = np.maximum(np.sqrt(rows.var(axis=1).mean(axis=0)), TINY)
    weight = np.append(local.given.coefficients, -1.0)
    return np.asarray((rows.mean(axis=1, keepdims=True) - rows) / scale @ weight)


def innovations(
    tables: Tables, keep: BoolArray, offers: Sequence[Offer], own: Sequence[Features], lagged: Sequence[Local]
) -> tuple[FloatArray, float]:
    """Correlation [N, N] of what the lagged models leave unexplained, and the rows behind it: those in which both were read."""
    left = np.zeros((len(tables.draws), *keep.shape))
    for j, local in enumerate(lagged):
        left[:, keep[:, j], j] = residual(tables, keep[:, j], offers[j], own[j], local, j)
    joint = keep.T.astype(float) @ keep
    cov = np.einsum("sti,stj->ij", left, left) / np.maximum(joint * len(left), 1.0)
    values, vectors = np.linalg.eigh(cov)
    cov = (vectors * np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(cov))
    return cov / np.outer(scale, scale), float(np.median(joint[~np.eye(len(joint), dtype=bool)]))
