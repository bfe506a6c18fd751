"""Moving blocks of rows, drawn with replacement: how far coefficients of least squares may be off.

Blocks of l = 4 q rows, q = rows^(1/3) / 4 rounded up, begin anywhere on a grid of q rows; as many as cover the table are drawn with
replacement and their sums of x x' and x y are added up (Kuensch 1989, eq. 2.3; nothing is fitted to raw rows again). Every resample
takes one draw of what was not read, in turn. The deviations from the middle are then widened to the variance

    V = W n / (n - p) B / (B - 1)  +  (1 + 1/m) D / (1 - D/W)  +  (1 + 1/f) F

    W    over the blocks within one draw; n rows, p coefficients and B blocks: what each of them takes off a variance
    D    between the m draws of a family. They are made with one fixed model, so that D misses what is not known about that model: it is
         W g with g the share of information that was not read, where W g / (1 - g) would be due; g at most `MOST_UNREAD`
    F    between the means of the f families of draws: ways to say what the draws stand for

Source: Rubin 1987, eq. 3.1.8 (the rule for draws and for families); Wang & Robins 1998 (draws from a fixed model).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rcgnn.series import SLAB, BoolArray, FloatArray, IntArray

Read = Callable[[slice | IntArray], tuple[FloatArray, FloatArray, BoolArray]]
"""Some rows of a regression: features [S, m, p] in every draw, target [S, m], and which of them count [m]."""

RESAMPLES = 200
PARTS = 4
"""Pieces of one block: blocks begin on a grid of one piece."""
RIDGE = 1e-10
MOST_UNREAD = 0.8
"""Share of information that may be taken to be missing; beyond, the correction is no longer one."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Which rows each resample counts how often.

    Attributes:
        piece: q, rows of one piece.
        weight: [R, G] how often each piece counts in each resample.
        draw: [R] the draw of each resample.
    """

    piece: int
    weight: FloatArray
    draw: IntArray

    @property
    def length(self) -> int:
        """Rows of one block."""
        return PARTS * self.piece

    @classmethod
    def of(cls, rows: int, draws: int, rng: np.random.Generator) -> Blocks:
        """Blocks of about rows^(1/3) rows, drawn with replacement until they cover the table.

        Example:
            >>> one = Blocks.of(1000, 1, np.random.default_rng(0))
            >>> one.length, one.weight.shape, float(one.weight[0].sum()) * one.piece
            (12, (200, 334), 1008.0)
        """
        piece = max(int(np.ceil(rows ** (1 / 3) / PARTS)), 1)
        pieces = max(-(-rows // piece), PARTS)
        first = rng.integers(0, pieces - PARTS + 1, (RESAMPLES, -(-pieces // PARTS)))
        inside = (first[:, :, None] + np.arange(PARTS)).reshape(RESAMPLES, -1)
        weight = np.zeros((RESAMPLES, pieces))
        np.add.at(weight, (np.arange(RESAMPLES)[:, None], inside), 1.0)
        return cls(piece, weight, np.arange(RESAMPLES) % draws)

    def fit(self, read: Read, families: int = 1) -> tuple[FloatArray, FloatArray]:
        """Coefficients [p] on all rows and [R, p] on the resamples, widened.

        Args:
            read: the regression, family by family; the first feature is the constant.
            families: F.
        """
        each, again = self.moments(read)
        own, spread = solve(each), solve(again)
        variance = self._within(spread - own[self.draw], int(each[0, 0, 0]))
        variance += _between(own.reshape(families, -1, own.shape[1]), variance)
        middle, seen = spread.mean(axis=0), spread.var(axis=0, ddof=1)
        wider = np.sqrt(np.divide(variance, seen, out=np.ones_like(seen), where=seen > 0))
        return solve(each.mean(axis=0)[None])[0], middle + wider * (spread - middle)

    def _within(self, off: FloatArray, rows: int) -> FloatArray:
        """[p] variance over the blocks, from the deviations [R, p] of each resample from its own draw."""
        count, size = rows // self.length, off.shape[1]
        least = rows > size and count > 1
        return np.asarray((off**2).mean(axis=0) * (rows / (rows - size) * count / (count - 1) if least else 1.0))

    def moments(self, read: Read) -> tuple[FloatArray, FloatArray]:
        """Sums of squares and products of features and target, the target last.

        Returns:
            [S, p+1, p+1] of each draw, and [R, p+1, p+1] of the resamples.
        """
        each: FloatArray = np.zeros(())
        again: FloatArray = np.zeros(())
        pieces, step = self.weight.shape[1], max(SLAB // self.piece, 1)
        for first in range(0, pieces, step):
            last = min(first + step, pieces)
            x, y, counts = read(slice(first * self.piece, last * self.piece))
            gram = self._by_piece(np.concatenate([x, y[:, :, None]], axis=2) * counts[:, None], last - first)
            width = gram.shape[2]
            drawn = np.zeros((len(self.draw), width * width))
            for s, one in enumerate(gram.reshape(len(gram), -1, width * width)):
                drawn[self.draw == s] = self.weight[self.draw == s, first:last] @ one
            each, again = each + gram.sum(axis=1), again + drawn.reshape(-1, width, width)
        return each, again

    def _by_piece(self, full: FloatArray, pieces: int) -> FloatArray:
        """[S, g, w, w] sums of squares and products of columns [S, rows, w] over each piece; rows after the last one are 0."""
        draws, rows, width = full.shape
        cut = np.zeros((draws, pieces * self.piece, width))
        cut[:, :rows] = full
        by_piece = cut.reshape(draws, pieces, self.piece, width)
        return np.asarray(np.matmul(by_piece.transpose(0, 1, 3, 2), by_piece))


def _between(own: FloatArray, within: FloatArray) -> FloatArray:
    """[p] variance from draw to draw and from family to family; coefficients [F, m, p] of every draw."""
    families, draws, _ = own.shape
    total = np.zeros_like(within)
    if draws > 1:
        between = own.var(axis=1, ddof=1).mean(axis=0)
        unread = np.divide(between, within, out=np.zeros_like(within), where=within > 0)
        total += (1 + 1 / draws) * between / (1 - np.minimum(unread, MOST_UNREAD))
    if families > 1:
        total += (1 + 1 / families) * own.mean(axis=1).var(axis=0, ddof=1)
    return total


def solve(gram: FloatArray) -> FloatArray:
    """[R, p] least squares from the second moments [R, p+1, p+1] of features and target, the target last."""
    inner, cross = gram[:, :-1, :-1], gram[:, :-1, -1]
    scale = np.sqrt(np.maximum(np.einsum("rpp->rp", inner), np.finfo(float).tiny))
    correlation = inner / (scale[:, :, None] * scale[:, None, :]) + RIDGE * np.eye(inner.shape[1])
    return np.asarray(np.linalg.solve(correlation, (cross / scale)[:, :, None])[:, :, 0] / scale)
