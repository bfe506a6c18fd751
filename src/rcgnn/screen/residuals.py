"""What a model leaves unexplained, row by row: the innovations of the lagged models, and the residuals whose shape tells a direction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rcgnn.mapped import in_turn, let_go, spacious
from rcgnn.screen.features import Features, Offer, Tables, in_slabs, stretches, weighed
from rcgnn.screen.search import Local
from rcgnn.series import BoolArray, FloatArray, IntArray, slabs

TINY = 1e-9
LEAST_EIGENVALUE = 1e-3


@dataclass(eq=False)
class Scales:
    """Means and standard deviations of one target's features over the rows that count, each worked out once.

    Attributes:
        tables: features of every draw.
        rows: targets that count.
        offer: what the target was offered.
        known: of a feature: mean [S] of every draw, and standard deviation over all draws.
    """

    tables: Tables
    rows: IntArray
    offer: Offer
    known: dict[int, tuple[FloatArray, float]] = field(default_factory=dict)

    def of(self, features: IntArray) -> tuple[FloatArray, FloatArray]:
        """Means [S, q] and standard deviations [q], at least `TINY`."""
        new = features[[feature not in self.known for feature in features.tolist()]]
        if new.size:
            mean, spread = self._look(new)
            self.known.update(zip(new.tolist(), zip(mean.T, spread.tolist(), strict=True), strict=True))
        found = [self.known[feature] for feature in features.tolist()]
        return np.stack([mean for mean, _ in found], axis=1), np.array([spread for _, spread in found])

    def _look(self, features: IntArray) -> tuple[FloatArray, FloatArray]:
        rows, mean, variance = self.rows, np.zeros((len(self.tables.draws), len(features))), np.zeros(len(features))
        few = [*self._parts(features)] if len(slabs(len(rows), len(features))) == 1 else None
        for part, draws in few or self._parts(features):
            mean += draws.mean(axis=1) * ((part.stop - part.start) / len(rows))
        for _, draws in few or self._parts(features):
            apart = draws - mean[:, None]
            variance += np.einsum("smq,smq->q", apart, apart) / (len(rows) * len(mean))
        return mean, np.maximum(np.sqrt(variance), TINY)

    def _parts(self, features: IntArray) -> Iterable[tuple[slice, FloatArray]]:
        return in_slabs(self.tables, self.rows, self.offer, features)


def residual(scales: Scales, own: Features, local: Local, target: int) -> FloatArray:
    """[S, rows] x_j less what its model says, for every draw, in units of the sd of x_j.

    Args:
        scales: of the target's features, on the rows that count.
        own: its moments.
        local: its model.
        target: j.
    """
    tables, rows, offer = scales.tables, scales.rows, scales.offer
    used = np.concatenate([local.forced, local.chosen, own.value[[target]]])
    left = np.zeros((len(tables.draws), len(rows)))
    if not len(rows):
        return left
    mean, spread = scales.of(used)
    weight = np.append(local.given.coefficients, -1.0) / spread
    for part in stretches(tables, rows):
        for draw, middle in enumerate(mean @ weight):
            left[draw, part] = middle - weighed(tables, draw, rows[part], offer, used, weight)
    return left


def innovations(
    tables: Tables, keep: BoolArray, offers: Sequence[Offer], own: Sequence[Features], lagged: Sequence[Local]
) -> tuple[FloatArray, float]:
    """Correlation [N, N] of what the lagged models leave unexplained, and the rows behind it: those in which both were read."""
    left = [spacious(keep.shape) for _ in tables.draws]
    for j, local in enumerate(lagged):
        scales = Scales(tables, np.flatnonzero(keep[:, j]), offers[j])
        for one, of_draw in zip(left, residual(scales, own[j], local, j), strict=True):
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
