"""Columns that follow from each other within the row: a total and its parts, shares that add up to one.

With R the correlation of the columns over the rows in which all of them were read,

    share of j that the others leave unexplained = 1 / (R^-1)_jj

Below `EXACT` there is no noise between them that could tell which one is computed from which: every one of them follows from the rest.
"""

from __future__ import annotations

import numpy as np

from rcgnn.data.process_rules import correlations
from rcgnn.mapped import in_turn
from rcgnn.series import BoolArray, FloatArray, taken

EXACT = 1e-4
"""A total that was rounded to one part in fifty of its sd still lies below."""
FLOOR = 1e-10
"""Added to the diagonal of R, so that a singular one can be inverted."""
TOGETHER = 0.05
"""Partial correlation from which two columns belong to the same group."""
ROWS_PER_SENSOR = 3
"""With fewer rows a column follows from the others by chance."""


def computed(x: FloatArray, own: BoolArray, min_observed: int) -> list[list[int]]:
    """Groups of columns each of which follows from the others of its group within the row.

    Args:
        x: [T, N] readings of about unit size, NaN where there is none.
        own: [N] columns that take part and are no copies.
        min_observed: fewer rows in which all of them were read say nothing.

    Example:
        >>> a, b, c = np.random.default_rng(0).standard_normal((3, 200))
        >>> computed(np.stack([a, c, b, a + b], axis=1), np.ones(4, bool), 30)
        [[0, 2, 3]]
    """
    at = np.flatnonzero(own)
    whole = np.ones(len(x), bool)
    for j in in_turn(at, x):
        whole &= np.isfinite(x[:, j])
    if whole.sum() < max(min_observed, ROWS_PER_SENSOR * len(at)) or len(at) < 3:
        return []
    correlation = correlations(x if whole.all() else taken(x, whole))[0][np.ix_(at, at)]
    precision = np.linalg.inv(correlation + FLOOR * np.eye(len(at)))
    root = np.sqrt(np.maximum(np.diag(precision), 1.0))
    follows = root**2 > 1.0 / EXACT
    tied = (np.abs(precision) / np.outer(root, root) > TOGETHER) & follows & follows[:, None]
    return [at[group].tolist() for group in _groups(tied, follows)]


def _groups(tied: BoolArray, follows: BoolArray) -> list[list[int]]:
    """Connected parts of the columns that follow from others."""
    left, found = set(np.flatnonzero(follows).tolist()), []
    while left:
        group: set[int] = set()
        new = {min(left)}
        while new:
            group |= new
            new = {int(j) for i in new for j in np.flatnonzero(tied[i])} - group
        left -= group
        found.append(sorted(group))
    return found
