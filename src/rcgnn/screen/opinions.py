"""Further opinions where the state space ran: the same search on other versions of the readings.

The state space is a model, and where it is wrong its draws carry its own structure into the evidence. So the search also looks at
readings whose gaps are bridged by straight lines and from which a rolling mean was taken, and at their ranks, as normal scores. Where many
cells are missing it looks at the draws once more with every row of a target, read or not: a draw of a cell that was not read knows what
the sensor said before and after, which straight lines do not. Each errs in its own way; a pair's score is the geometric mean

    ln score = (sum over searches of ln max(S, 1) + sum over dense models of w ln max(D, 1)) / number of searches

where D is the evidence given everybody's past (see `dense`) on plainly filled readings and, where many cells are missing, on the posterior
moments of the state space. Where nothing was smoothed there is nothing to guard against. A table that is long enough for pieces
(see `pieces`) gets the first dense model alone, and so does one of more than 64 sensors: the searches would cost as much again. A pair
that all searches find needs less confidence to be a link (`verdict`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.special import ndtri

from rcgnn.config import ScreenConfig
from rcgnn.data.rolling import detrended
from rcgnn.looks import Looks
from rcgnn.screen.dense import dense_evidence
from rcgnn.screen.features import Sample, build, from_moment
from rcgnn.screen.moments import moments
from rcgnn.screen.score import log_evidence, rescaled
from rcgnn.screen.structural import screen
from rcgnn.series import BoolArray, FloatArray

PLAIN_WEIGHT = 0.3
POSTERIOR_WEIGHT = 0.5
FOUND = 5.0
"""Score above which an opinion finds a pair: it earned its penalty and 4 more."""
MANY = 0.25
"""Share of the cells: from this on rows count in which the target was not read. With fewer, drift and outages spoil what is gained."""


@dataclass(frozen=True, eq=False)
class Opinions:
    """What further looks say about each pair.

    Attributes:
        dense: [N, N] evidence given everybody's past, and the weight of its logarithm.
        searches: [N, N] scores > 0 of further searches; none for a long table.
    """

    dense: tuple[tuple[float, FloatArray], ...]
    searches: tuple[FloatArray, ...] = ()

    @property
    def agreed(self) -> BoolArray | None:
        """[N, N] True where every further search finds the pair; None where there was none."""
        return np.all([one > FOUND for one in self.searches], axis=0) if self.searches else None

    def blended(self, score: FloatArray) -> FloatArray:
        """[K+1, N, N] scores of pairs as the mean opinion; lags keep their proportions."""
        searched = [log_evidence(one) for one in (score, *self.searches)]
        raised = [weight * log_evidence(one) for weight, one in self.dense]
        return rescaled(score, np.sum(searched + raised, axis=0) / len(searched))


def opinions(plain: Sample, drawn: Looks[Sample], moment: FloatArray | None, config: ScreenConfig, *, search: bool = True) -> Opinions:
    """The further opinions on one table.

    Args:
        plain: readings with gaps interpolated, one draw; which were read; segments; K.
        drawn: looks at the draws of the state space, which the first screen has seen.
        moment: [D, D] posterior moments of the dense state space, D = N (L + 1); None: without that opinion.
        config: settings of the screen.
        search: False: the dense model on plainly filled readings alone.
    """
    filled, segments = plain.signal[0], plain.segments
    level = detrended(filled, segments)
    tables = build(level[None], segments, max_lag=plain.max_lag, basis="linear")
    rows, sensors = len(tables.time), filled.shape[1]
    shared = moments(tables, np.ones(rows, bool))
    dense = [(PLAIN_WEIGHT, dense_evidence([shared] * sensors, np.full(sensors, float(rows))))]
    if not search:
        return Opinions(tuple(dense))
    others: list[Sample | None] = [replace(plain, signal=x[None]) for x in (level, normal_scores(level))]
    if plain.keep.mean() <= 1.0 - MANY:
        others.append(None)
        if moment is not None:
            read = plain.keep.sum(axis=0).astype(float)
            dense.append((POSTERIOR_WEIGHT, dense_evidence([from_moment(moment, sensors, rows)] * sensors, read)))
    return Opinions(tuple(dense), tuple(drawn.each(partial(_searched, config=config), others)))


def _searched(drawn: Sample, other: Sample | None, *, config: ScreenConfig) -> FloatArray:
    """[N, N] scores by another version of the readings; None: by the draws, with every row of a target."""
    found = screen(replace(drawn, keep=np.ones_like(drawn.keep)) if other is None else other, config)
    return np.asarray(found.score.max(axis=0))


def normal_scores(x: FloatArray) -> FloatArray:
    """[T, N] ranks of each sensor as quantiles of a normal: Phi^-1((rank - 1/2) / T).

    Example:
        >>> normal_scores(np.array([[3.0], [1.0], [200.0]])).round(2).ravel().tolist()
        [0.0, -0.97, 0.97]
    """
    return np.stack([np.asarray(ndtri((_ranks(column) - 0.5) / len(x))) for column in x.T], axis=1)


def _ranks(x: FloatArray) -> FloatArray:
    """1 for the smallest; equal values share the mean of their ranks. What `scipy.stats` would say, which takes longer to load."""
    _, place, count = np.unique(x, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - 0.5 * (count - 1))[place])
