"""A second look without the state space: what a link is worth on readings that were filled in plainly.

The state space is a model, and where it is wrong its draws carry its own structure into the evidence. On gaps filled by straight
lines, with a rolling mean taken off, the dense autoregression knows nothing of it. It has less power and errs elsewhere, so its
evidence is blended in with a small weight; where nothing was smoothed there is nothing to guard against.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rcgnn.data.rolling import rolling
from rcgnn.screen.dense import dense_evidence
from rcgnn.screen.features import build, moments
from rcgnn.series import FloatArray

PLAIN_WEIGHT = 0.3
TREND_ROWS = 101


def plain_evidence(filled: FloatArray, segments: Sequence[slice], max_lag: int) -> FloatArray:
    """[N, N] dense evidence D (see `screen.dense`) of every pair on plainly filled readings.

    Args:
        filled: [T, N] readings, gaps interpolated.
        segments: runs of rows; no feature reaches across their ends.
        max_lag: K.
    """
    tables = build((filled - rolling(filled, segments, TREND_ROWS, "mean"))[None], segments, max_lag=max_lag, basis="linear")
    rows = len(tables.time)
    shared = moments(tables, np.ones(rows, bool))
    sensors = filled.shape[1]
    return dense_evidence([shared] * sensors, np.full(sensors, float(rows)))
