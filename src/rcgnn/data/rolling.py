"""Rolling medians and means that know about missing cells and never reach over a segment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rcgnn.mapped import in_turn, spacious
from rcgnn.series import FloatArray, IntArray, sensor_blocks

TREND_WINDOW = 101
"""Rows of the rolling mean that is taken for a sensor's trend."""


def spread(segments: Sequence[slice], gap: int) -> tuple[IntArray, int]:
    """Row numbers after `gap` empty rows were put between segments, and how many rows there are then."""
    sizes = np.array([segment.stop - segment.start for segment in segments])
    offset = np.repeat(np.arange(len(sizes)) * gap, sizes)
    return np.arange(int(sizes.sum())) + offset, int(sizes.sum() + (len(sizes) - 1) * gap)


def rolling(x: FloatArray, segments: Sequence[slice], window: int, kind: str, least: int = 1) -> FloatArray:
    """Centred rolling `median` or `mean` of the columns over observed cells of the same segment.

    Args:
        x: [T, N], NaN where not observed.
        segments: row slices that cover x in order.
        window: odd number of rows.
        kind: "median" or "mean".
        least: observed cells that a window must hold; NaN below.

    Example:
        >>> rolling(np.array([[1.0], [9.0], [2.0]]), [slice(0, 3)], 3, "median").ravel().tolist()
        [5.0, 2.0, 5.5]
    """
    import pandas as pd

    place, rows = spread(segments, window // 2)
    wide = np.full((rows, x.shape[1]), np.nan)
    wide[place] = x
    windows = pd.DataFrame(wide).rolling(window, center=True, min_periods=least)
    return (windows.median() if kind == "median" else windows.mean()).to_numpy()[place]


def detrended(x: FloatArray, segments: Sequence[slice]) -> FloatArray:
    """[T, N] columns less their centred rolling mean of `TREND_WINDOW` rows."""
    found = spacious(x.shape)
    for b in in_turn(sensor_blocks(x.shape), found, x):
        found[:, b] = x[:, b] - rolling(x[:, b], segments, TREND_WINDOW, "mean")
    return found
