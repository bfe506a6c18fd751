"""Linear interpolation of gaps: where EM starts from, and all that a nearly complete table needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rcgnn.mapped import in_turn, spacious
from rcgnn.series import BoolArray, FloatArray


def interpolate(values: FloatArray, mask: BoolArray, segments: Sequence[slice]) -> FloatArray:
    """Gaps filled linearly in time, the ends held, each segment by itself; 0 where a segment has no reading.

    Args:
        values: [T, N].
        mask: [T, N] True where observed.
        segments: runs of rows that belong together.

    Example:
        >>> v = np.array([[0.0], [np.nan], [2.0]])
        >>> interpolate(v, np.isfinite(v), [slice(0, 3)]).ravel()
        array([0., 1., 2.])
    """
    filled = spacious(values.shape)
    for j in in_turn(range(values.shape[1]), filled, values, mask):
        for part in segments:
            rows, seen = np.arange(part.start, part.stop), mask[part, j]
            if seen.any():
                filled[part, j] = np.interp(rows, rows[seen], values[part, j][seen])
    return filled
