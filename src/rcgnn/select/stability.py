"""How often a link still earns its keep on half of the blocks.

Complementary halves of contiguous blocks (Shah & Samworth 2013, with blocks for the dependence of rows): on each half
the final model is refitted, and a link holds when its likelihood-ratio statistic reaches half of the penalty it had to
pay on all rows.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from rcgnn.screen.features import in_slabs
from rcgnn.screen.partial import TINY
from rcgnn.screen.search import extended_bic
from rcgnn.screen.structural import Screened
from rcgnn.series import FloatArray, IntArray

BLOCKS = 20


def held_in_halves(screened: Screened, *, halves: int, rng: np.random.Generator) -> FloatArray:
    """[K+1, N, N] share of halves in which each chosen link holds; 0 where the search chose nothing.

    Args:
        screened: the screen's models.
        halves: number of block halves; pairs of complementary ones.
        rng: for the choice of blocks.
    """
    sensors, max_lag = screened.tables.sensors, screened.tables.max_lag
    held = np.zeros((max_lag + 1, sensors, sensors))
    if halves == 0:
        return held
    picks = _halves(halves, rng)
    for j in range(sensors):
        local, features = screened.ordered.locals[j], screened.features[j]
        if not local.chosen.size:
            continue
        columns = np.concatenate([[features.value[j]], local.forced, local.chosen])
        gram, count = _block_moments(screened, j, columns)
        lag, owner = features.lag[columns], features.owner[columns]
        first = 1 + len(local.forced)
        penalty = extended_bic(features.rows, len(features.lag), screened.gamma)
        for pick in picks:
            stat = _statistics(gram[pick].sum(axis=0), count[pick].sum())
            if stat is None:
                continue
            for k, i in {(int(lag[c]), int(i)) for c in range(first, len(columns)) for i in owner[c] if i != j}:
                mine = [c for c in range(first, len(columns)) if lag[c] == k and i in owner[c]]
                held[k, i, j] += stat.removal(np.array(mine)) >= 0.5 * penalty * len(mine)
    return held / len(picks)


def _halves(count: int, rng: np.random.Generator) -> list[IntArray]:
    picks: list[IntArray] = []
    while len(picks) < count:
        order = rng.permutation(BLOCKS)
        picks += [order[: BLOCKS // 2], order[BLOCKS // 2 :]]
    return picks[:count]


def _block_moments(screened: Screened, target: int, columns: IntArray) -> tuple[FloatArray, FloatArray]:
    """Uncentred moments [BLOCKS, q+1, q+1] of a constant and the columns, and rows [BLOCKS], averaged over draws."""
    rows, draws, size = np.flatnonzero(screened.keep[:, target]), len(screened.tables.draws), len(columns) + 1
    edges = -(-np.arange(BLOCKS + 1) * len(rows) // BLOCKS)
    gram: FloatArray = np.zeros((BLOCKS, size, size))
    for part, of_draws in in_slabs(screened.tables, rows, screened.offers[target], columns):
        for b, (first, last) in enumerate(pairwise(np.clip(edges - part.start, 0, part.stop - part.start))):
            for draw in of_draws if first < last else ():
                one = np.concatenate([np.ones((last - first, 1)), draw[first:last]], axis=1)
                gram[b] += one.T @ one * (1.0 / draws)
    return gram, np.diff(edges).astype(float)


class _Half:
    """The model of one sensor refitted on one half."""

    def __init__(self, gram: FloatArray, rows: float) -> None:
        self.rows = rows
        self.inverse = np.linalg.pinv(gram[1:, 1:], hermitian=True)
        self.b = self.inverse @ gram[1:, 0]
        self.unexplained = max(float(gram[0, 0] - self.b @ gram[1:, 0]), TINY)

    def removal(self, picked: IntArray) -> float:
        """Likelihood-ratio statistic of taking columns out (column 0 is the target)."""
        b = self.b[picked - 1]
        if len(picked) == 1:
            inside = float(self.inverse[picked[0] - 1, picked[0] - 1])
            return self._worth(float(b[0]) ** 2 / inside if inside > 0 else 0.0)
        block = self.inverse[np.ix_(picked - 1, picked - 1)]
        return self._worth(float(b @ np.linalg.pinv(block, hermitian=True) @ b))

    def _worth(self, explained: float) -> float:
        return float(self.rows * np.log1p(max(explained, 0.0) / self.unexplained))


def _statistics(gram: FloatArray, rows: float) -> _Half | None:
    """The half's model on centred, scaled moments; None when there are fewer rows than columns."""
    if rows <= len(gram) + 1:
        return None
    mean: FloatArray = gram[0, 1:] * (1.0 / rows)
    centred = gram[1:, 1:] / rows - np.outer(mean, mean)
    scale: FloatArray = np.sqrt(np.maximum(np.diag(centred), TINY))
    return _Half(centred / np.outer(scale, scale), rows)
