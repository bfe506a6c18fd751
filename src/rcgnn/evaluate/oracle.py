"""The origin's protocol: the best of 21 thresholds, chosen by looking at the truth. Shown, labelled "oracle"; never steering."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rcgnn.errors import InputError
from rcgnn.evaluate.metrics import Case, f1, shd
from rcgnn.series import BoolArray, FloatArray

THRESHOLDS = np.linspace(0.0, 1.0, 21)


class Tuned(NamedTuple):
    """The best threshold, and F1 and SHD at it."""

    threshold: float
    f1: float
    shd: int


def tune_threshold(weights: FloatArray, truth: BoolArray) -> Tuned:
    """The threshold in {0, .05, ..., 1} with the best F1 of `weights > threshold`; then the smallest SHD, then the lowest.

    An optimistic number: no user has the truth that chooses it. F1 is 0 where it is not defined.

    Args:
        weights: [N, N] in [0, 1]; i drives j.
        truth: [N, N] true links; the diagonal does not count.

    Raises:
        InputError: shapes disagree, or a weight is outside [0, 1].

    Example:
        >>> tune_threshold(np.array([[0.0, 0.9], [0.3, 0.0]]), np.array([[False, True], [False, False]]))
        Tuned(threshold=0.3, f1=1.0, shd=0)
    """
    weights, truth = np.asarray(weights, np.float64), np.asarray(truth, bool)
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or weights.shape != truth.shape:
        raise InputError(f"oracle: weights and truth must both be [N, N], got {weights.shape} and {truth.shape}.")
    if not ((weights >= 0) & (weights <= 1)).all():
        raise InputError(f"oracle: weights must lie in [0, 1], got {weights.min():g} to {weights.max():g}; pass them through a sigmoid.")
    tuned = [_at(float(round(threshold, 2)), weights, truth) for threshold in THRESHOLDS]
    return min(tuned, key=lambda t: (-t.f1, t.shd, t.threshold))


def _at(threshold: float, weights: FloatArray, truth: BoolArray) -> Tuned:
    free = ~np.eye(len(truth), dtype=bool)
    case = Case((truth & free)[None], ((weights > threshold) & free)[None], weights[None], np.zeros((1, *truth.shape), bool))
    return Tuned(threshold, f1(case) or 0.0, int(shd(case)))
