"""Counts: sensors that stand at zero most of the time and then leap."""

from __future__ import annotations

import numpy as np

from rcgnn.series import BoolArray, FloatArray, Series, below, beside

ZEROS = 0.1
"""Share of readings that must be exactly zero."""


def stabilised(draws: FloatArray, readings: Series, which: BoolArray) -> FloatArray:
    """Square roots of the chosen sensors' draws above zero: the spread of a count grows with its mean, that of its root does not.

    Args:
        draws: [S, T, N] with mean 0 and standard deviation 1 over the readings.
        readings: the same sensors before they were brought to that unit; a count is zero at its lowest reading.
        which: [N] sensors to transform, see `counts`.

    Source: Bartlett 1936, "The square root transformation in analysis of variance".
    """
    if not which.any():
        return draws
    seen = np.where(readings.mask[:, which], readings.values[:, which], np.nan)
    zero = (np.nanmin(seen, axis=0) - np.nanmean(seen, axis=0)) / np.nanstd(seen, axis=0)
    changed = beside([below([draw]) for draw in draws])
    for lowest, j in zip(zero, np.flatnonzero(which), strict=True):
        changed[:, :, j] = np.sqrt(np.maximum(draws[:, :, j] - lowest, 0.0))
    return changed


def counts(series: Series) -> BoolArray:
    """[N] True for sensors that read like counts: never below zero, often exactly zero, and with a spread above their mean.

    Example:
        >>> s = Series.of(np.stack([[0.0, 0.0, 5.0, 0.0, 1.0], [1.0, 2.0, 3.0, 2.0, 1.0]], axis=1))
        >>> counts(s).tolist()
        [True, False]
    """
    found = np.zeros(len(series.names), bool)
    for j, (column, seen) in enumerate(series.by_sensor()):
        x = column[seen]
        found[j] = x.size > 0 and x.min() >= 0 and (x == 0).mean() >= ZEROS and x.std() > x.mean()
    return found
