"""The same screen on pieces of a long table: what holds piece by piece is worth more than what only the sum of all rows shows.

No model is true, and with enough rows every small misfit becomes evidence: links within one step that are only fast
dynamics, links that one flood or one shift in level made. On a piece such crumbs stay below their penalty while real links
do not. The score of a pair is therefore the mean of its log evidence over the pieces, and a little of the whole table's:

    score = exp(mean over pieces of ln max(S_piece, 1) + WHOLE ln max(S, 1))

Averaging over subsamples is stability selection's idea (Meinshausen & Buehlmann 2010), with contiguous blocks for the
dependence of rows, and the evidence itself in place of a count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from rcgnn.config import ScreenConfig
from rcgnn.looks import Looks
from rcgnn.mapped import in_turn
from rcgnn.screen.features import Sample
from rcgnn.screen.score import log_evidence, rescaled
from rcgnn.screen.structural import screen
from rcgnn.series import BoolArray, FloatArray, slabs

LEAST_ROWS = 500
ROWS_PER_SENSOR = 60
"""A piece has at least this many rows for each sensor: fewer would hide links that the whole table shows."""
LEAST_PIECES = 3
WHOLE = 0.2
LEAST_TOGETHER = 100
"""A piece with fewer rows in which both sensors were read tells nothing of the pair."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """Evidence piece by piece.

    Attributes:
        log_score: [N, N] mean of ln max(score, 1) over the pieces that can tell.
        share: [N, N] share of those pieces in which the pair earned its penalty.
        count: number of pieces.
    """

    log_score: FloatArray
    share: FloatArray
    count: int


def cut(segments: Sequence[slice], rows: int, sensors: int, most: int) -> list[list[slice]]:
    """The segments of each piece; an empty list where the table is too short for `LEAST_PIECES`.

    Example:
        >>> cut([slice(0, 3000)], 3000, 5, 3)
        [[slice(0, 1000, None)], [slice(1000, 2000, None)], [slice(2000, 3000, None)]]
        >>> cut([slice(0, 1000)], 1000, 5, 3)
        []
    """
    count = min(most, rows // max(LEAST_ROWS, ROWS_PER_SENSOR * sensors))
    if count < LEAST_PIECES:
        return []
    edges = np.linspace(0, rows, count + 1).astype(int).tolist()
    return [[slice(max(s.start, a), min(s.stop, b)) for s in segments if max(s.start, a) < min(s.stop, b)] for a, b in pairwise(edges)]


def by_pieces(
    looks: Looks[Sample],
    config: ScreenConfig,
    *,
    bases: Sequence[str] | None = None,
    rng: Callable[[int], np.random.Generator] | None = None,
) -> Pieces | None:
    """Evidence of every pair, piece by piece; each piece takes the next of the draws.

    Args:
        looks: at the whole table.
        config: settings of the screen.
        bases: the basis of each sensor that won on the whole table.
        rng: for the paths of hidden drivers in the piece of that number; None: nobody looks for any.

    Returns:
        None where the table is too short to be cut.
    """
    rows, sensors = looks.shared.keep.shape
    parts = cut(looks.shared.segments, rows, sensors, config.pieces)
    if not parts:
        return None
    look = partial(_piece, config=config, bases=bases)
    found = looks.each(look, [(number, part, rng and rng(number)) for number, part in enumerate(parts)])
    scores, earned, told = zip(*found, strict=True)
    weight = np.array(told, float)
    weight[:, ~weight.any(axis=0)] = 1.0
    return Pieces(np.average(scores, axis=0, weights=weight), np.average(earned, axis=0, weights=weight), len(scores))


def _piece(
    sample: Sample, piece: tuple[int, Sequence[slice], np.random.Generator | None], *, config: ScreenConfig, bases: Sequence[str] | None
) -> tuple[FloatArray, BoolArray, BoolArray]:
    """[N, N] log evidence, the pairs that earned their penalty, and those that the piece can tell of."""
    number, part, rng = piece
    long_enough = [s for s in part if s.stop - s.start > sample.max_lag]
    draw = sample.signal[number % len(sample.signal)][None]
    found = screen(replace(sample, signal=draw, segments=long_enough), config, bases=bases, rng=rng)
    return log_evidence(found.score), np.asarray(found.evidence.chosen.any(axis=0)), _tells(sample.keep, part)


def _tells(keep: BoolArray, part: Sequence[slice]) -> BoolArray:
    """[N, N] True for pairs that were read together often enough in a piece: a sensor that came late says nothing of the time before."""
    together = np.zeros((keep.shape[1],) * 2)
    for piece in part:
        for rows in in_turn(slabs(piece.stop - piece.start, keep.shape[1]), keep):
            read = keep[piece][rows].astype(float)
            together += read.T @ read
    return together >= LEAST_TOGETHER


def blend(score: FloatArray, pieces: Pieces) -> FloatArray:
    """[K+1, N, N] the whole table's scores with each pair's evidence averaged over the pieces; lags keep their proportions."""
    return rescaled(score, pieces.log_score + WHOLE * log_evidence(score))
