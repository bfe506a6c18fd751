"""`traces.npz`: the readings, and what cleaning and the state space made of them, thinned for a picture.

    raw = signal + bias + noise

bias is the drift that cleaning removed, signal the posterior mean, noise what is left of a reading that counted. Each sensor is cut
into bins of rows; the lowest and the highest raw reading of every bin are kept, so no spike is lost.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rcgnn.mapped import in_turn
from rcgnn.mechanism.refit import Material
from rcgnn.prepared import Prepared
from rcgnn.series import BoolArray, FloatArray, IntArray, Series
from rcgnn.signal.draws import Signal

MOST_POINTS = 600
"""Points a sensor."""
ALL_POINTS = 36_000
"""Points of all sensors together: 60 sensors have 600 each, more have fewer."""
LEAST_POINTS = 10
MOST_BINS, ALL_BINS, LEAST_BINS = 200, 12_000, 20
"""Columns of the missingness map, and cells of it in all."""

Arrays = dict[str, NDArray]


def traces(series: Series, prepared: Prepared | None = None, signal: Signal | None = None) -> Arrays:
    """Arrays of `traces.npz`. N sensors of the table, P points each, W bins of the missingness map.

    Args:
        series: the table as it was read.
        prepared: the table as the learning stages saw it; None for the origin's recipes.
        signal: the signal draws; None where no state space could run.

    Returns:
        names [N], level [N] median reading, row [N, P], raw, clean [N, P] = signal + bias, and bias [N, P], these three above
        `level` and NaN where there is none, noise [N, P], removed [N, P] (0 kept, 1 stuck, 2 sentinel, 3 spike), bin_start [W] first
        row of each bin, observed [N, W] percent of its cells that were read.

    Example:
        >>> made = traces(Series.of([[1.0], [5.0], [2.0]]))
        >>> made["raw"].tolist(), made["level"].tolist(), made["observed"].tolist()
        ([[-1.0, 3.0, 0.0]], [2.0], [[100, 100, 100]])
    """
    rows, sensors = series.shape
    row = thinned(series.values, min(MOST_POINTS, max(ALL_POINTS // sensors, LEAST_POINTS)))
    level = np.array([np.median(x[seen]) if seen.any() else 0.0 for x, seen in series.by_sensor()])
    parts = _parts(row, prepared, signal)
    start = np.linspace(0, rows, min(rows, MOST_BINS, max(ALL_BINS // sensors, LEAST_BINS)), endpoint=False).astype(np.int64)
    return {
        "names": np.array(series.names, np.str_),
        "level": level,
        "row": row.astype(np.int32),
        "raw": _small(_taken(series.values, row) - level[:, None]),
        "clean": _small(parts["clean"] - level[:, None]),
        "bias": _small(parts["bias"] - level[:, None]),
        "noise": _small(parts["noise"]),
        "removed": parts["removed"].astype(np.int8),
        "bin_start": start.astype(np.int32),
        "observed": _observed(series.mask, start),
    }


def thinned(values: FloatArray, points: int) -> IntArray:
    """[N, P] rows to show of every sensor: all of them where they fit, else those of the lowest and highest reading in each bin.

    Example:
        >>> thinned(np.array([[0.0], [9.0], [1.0], [2.0], [-7.0], [3.0]]), 4).tolist()
        [[0, 1, 4, 5]]
    """
    rows, sensors = values.shape
    if rows <= points:
        return np.tile(np.arange(rows), (sensors, 1))
    edges = np.linspace(0, rows, points // 2 + 1).astype(np.int64)
    found = []
    for first, last in in_turn(pairwise(edges), values):
        part = values[first:last]
        low = np.where(np.isnan(part), np.inf, part).argmin(axis=0)  # the first row where nothing was read
        high = np.where(np.isnan(part), -np.inf, part).argmax(axis=0)
        found.append(first + np.sort([low, high], axis=0))
    return np.concatenate(found).T


def _parts(row: IntArray, prepared: Prepared | None, signal: Signal | None) -> Arrays:
    """[N, P] clean, bias and noise in sensor units at the rows to show, NaN where there is none, and removed."""
    clean, bias, noise = (np.full(row.shape, np.nan) for _ in range(3))
    if prepared is None:
        return {"clean": clean, "bias": bias, "noise": noise, "removed": np.zeros(row.shape, np.int8)}
    trend = prepared.cleaned.trend
    drifts = np.array([column.any() for column in in_turn(trend.T, trend)])
    bias[drifts] = _taken(trend, row)[drifts]
    if signal is not None:
        material = Material.of(prepared.cleaned, prepared.scaled, prepared.scaler, signal)
        active, shown = prepared.active, row[prepared.active]
        with np.errstate(over="ignore", invalid="ignore"):
            level = _taken(material.trend, shown) + material.offset[:, None]
            clean[active] = level + material.unit[:, None] * _taken(material.mean, shown)
            if signal.smoothed:
                noise[active] = _taken(material.table.values, shown) - clean[active]
    return {"clean": clean, "bias": bias, "noise": noise, "removed": _taken(prepared.cleaned.removed, row)}


def _taken(array: NDArray, row: IntArray) -> NDArray:
    """[N, P] cells of an array [T, N]."""
    return np.stack([column[at] for column, at in in_turn(zip(array.T, row, strict=True), array)])


def _small(array: FloatArray) -> NDArray[np.float32]:
    """The same as 32-bit numbers; what is not finite in them is NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        small = array.astype(np.float32)
    return np.where(np.isfinite(small), small, np.float32(np.nan))


def _observed(mask: BoolArray, start: IntArray) -> NDArray[np.uint8]:
    """[N, W] percent of the cells of each bin that were read."""
    size = np.diff([*start, len(mask)])
    read = np.stack([np.add.reduceat(column.astype(np.int64), start) for column in in_turn(mask.T, mask)], axis=1)
    return np.rint(100 * read / size[:, None]).astype(np.uint8).T
