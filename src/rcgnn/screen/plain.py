"""Second opinions without the state space: the screen on readings that were filled in plainly.

The state space is a model, and where it is wrong its draws carry its own structure into the evidence. So the same search also looks at
readings whose gaps are bridged by straight lines and from which a rolling mean was taken, and at their ranks, as normal scores. Each errs
in its own way; a pair's score is the geometric mean of the three, raised a little by the dense autoregression (see `dense`):

    ln score = (ln max(S, 1) + ln max(S_plain, 1) + ln max(S_rank, 1) + PLAIN_WEIGHT ln max(D_plain, 1)) / 3

Where nothing was smoothed there is nothing to guard against. A table that is long enough for pieces (see `pieces`) gets the dense
autoregression alone: it has rows enough, and the searches would cost as much again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from rcgnn.config import ScreenConfig
from rcgnn.data.rolling import rolling
from rcgnn.screen.dense import dense_evidence
from rcgnn.screen.features import Sample, build, moments
from rcgnn.screen.structural import screen
from rcgnn.series import FloatArray

PLAIN_WEIGHT = 0.3
TREND_ROWS = 101


@dataclass(frozen=True, eq=False)
class Plain:
    """What plainly filled readings say about each pair.

    Attributes:
        dense: [N, N] evidence D given everybody's past (see `dense`).
        scores: [N, N] of each further screen, > 0; none for a long table.
    """

    dense: FloatArray
    scores: tuple[FloatArray, ...] = ()

    def blended(self, score: FloatArray) -> FloatArray:
        """[K+1, N, N] scores of pairs as the mean opinion; lags keep their proportions."""
        pair = score.max(axis=0)
        logs = [np.log(np.maximum(one, 1.0)) for one in (pair, *self.scores)]
        mixed = (sum(logs) + PLAIN_WEIGHT * np.log(np.maximum(self.dense, 1.0))) / len(logs)
        target = np.where(mixed > 0, np.exp(mixed), np.minimum(pair, 1.0))
        return np.asarray(score / np.where(pair > 0, pair, 1.0) * target)


def plainly(sample: Sample, config: ScreenConfig, *, search: bool = True) -> Plain:
    """The second opinions on one table.

    Args:
        sample: readings with gaps interpolated, one draw; which were read; segments; K.
        config: settings of the screen.
        search: False: the dense autoregression alone.
    """
    filled, segments = sample.signal[0], sample.segments
    level = filled - rolling(filled, segments, TREND_ROWS, "mean")
    tables = build(level[None], segments, max_lag=sample.max_lag, basis="linear")
    rows, sensors = len(tables.time), filled.shape[1]
    shared = moments(tables, np.ones(rows, bool))
    dense = dense_evidence([shared] * sensors, np.full(sensors, float(rows)))
    if not search:
        return Plain(dense)
    given = config.model_copy(update={"hidden": "off"})
    looks = (level, normal_scores(level))
    return Plain(dense, tuple(screen(Sample(x[None], sample.keep, segments, sample.max_lag), given).score.max(axis=0) for x in looks))


def normal_scores(x: FloatArray) -> FloatArray:
    """[T, N] ranks of each sensor as quantiles of a normal: Phi^-1((rank - 1/2) / T).

    Example:
        >>> normal_scores(np.array([[3.0], [1.0], [200.0]])).round(2).ravel().tolist()
        [0.0, -0.97, 0.97]
    """
    return np.asarray(ndtri((rankdata(x, axis=0) - 0.5) / len(x)))
