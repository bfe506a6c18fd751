"""Stepwise regression of one sensor on everybody's features, by sweeping the moment matrix.

SWEEP (Goodnight 1979; Beaton 1964): after sweeping the set S, entry (f, y) of a column f outside S holds the partial
covariance given S, entry (f, y) inside S the regression coefficient, and -(f, f) inside S the inverse covariance.
Adding or dropping one feature is one rank-one update.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dger

from rcgnn.screen.features import HIDDEN, Features
from rcgnn.series import BoolArray, FloatArray, IntArray

ENTER = 1.02
"""A feature enters when its gain exceeds this many penalties; it leaves below one: no cycling."""
TINY = 1e-10
ROWS_PER_FEATURE = 5
"""A model of n rows chooses at most n over this many features."""


@dataclass(frozen=True, eq=False)
class Local:
    """The model of one sensor: which features, how well.

    Attributes:
        chosen: [q] penalised features, in the order they entered; required ones first, which cost nothing.
        forced: [f] the sensor's own past and hidden drivers, free.
        unexplained: share of the sensor's variance left.
        cost: sum of the penalties of the chosen features.
        swept: the moment matrix swept over forced and chosen features.
    """

    chosen: IntArray
    forced: IntArray
    unexplained: float
    cost: float
    swept: FloatArray

    def freedom(self, rows: float) -> float:
        """`freedom` of this model."""
        return freedom(rows, len(self.forced) + len(self.chosen))

    def value(self, rows: float) -> float:
        """Penalised log-likelihood of the model: -n ln(unexplained) - cost; larger is better."""
        return -rows * float(np.log(self.unexplained)) - self.cost


def freedom(rows: float, parameters: int) -> float:
    """Effective rows n - q - 1: what the rows are worth in a likelihood ratio when q parameters were fitted (after Bartlett 1937)."""
    return max(rows - parameters - 1.0, 1.0)


def extended_bic(rows: float, competing: int, gamma: float) -> float:
    """Price of one feature (Chen & Chen 2008, eq. 1.2): ln n + 2 gamma ln(number of competing features).

    Example:
        >>> round(extended_bic(1500, 150, 0.5), 2)
        12.32
    """
    return float(np.log(max(rows, 2.0)) + 2.0 * gamma * np.log(competing))


def sweep(matrix: FloatArray, pivot: int) -> FloatArray:
    """The matrix swept on one pivot.

    Example:
        >>> sweep(np.array([[2.0, 1.0], [1.0, 3.0]]), 0)
        array([[-0.5,  0.5],
               [ 0.5,  2.5]])
    """
    d = matrix[pivot, pivot]
    column = matrix[:, pivot] / d
    swept = _rank_one(matrix, -1.0, column, matrix[pivot])
    swept[:, pivot] = column
    swept[pivot] = column
    swept[pivot, pivot] = -1.0 / d
    return swept


def unsweep(matrix: FloatArray, pivot: int) -> FloatArray:
    """Inverse of `sweep`."""
    d = matrix[pivot, pivot]
    column = -matrix[:, pivot] / d
    back = _rank_one(matrix, 1.0, column, matrix[pivot])
    back[:, pivot] = column
    back[pivot] = column
    back[pivot, pivot] = -1.0 / d
    return back


def _rank_one(matrix: FloatArray, factor: float, left: FloatArray, right: FloatArray) -> FloatArray:
    """A + factor left right' in a new array, by one BLAS update: most of the search's time is spent here."""
    return np.asarray(dger(factor, right, left, a=matrix.copy(order="C").T, overwrite_a=1)).T


def own_past(features: Features, target: int) -> IntArray:
    """Indices of the features made of the target's own past alone."""
    return np.flatnonzero((features.owner == target).all(axis=1) & (features.lag > 0))


def free(features: Features, target: int) -> IntArray:
    """Indices of the features that are forced in without a price: the target's own past and the hidden drivers."""
    return np.union1d(own_past(features, target), np.flatnonzero((features.owner == HIDDEN).all(axis=1)))


def start(features: Features, target: int) -> Local:
    """The model that knows only the sensor's own past, hidden drivers where there are any, and what prior knowledge requires."""
    matrix = features.gram
    forced = []
    for pivot in free(features, target):
        if matrix[pivot, pivot] > 1e-5:
            matrix = sweep(matrix, pivot)
            forced.append(pivot)
    chosen = []
    for pivot in features.required:
        if matrix[pivot, pivot] > 1e-5:
            matrix = sweep(matrix, pivot)
            chosen.append(pivot)
    y = features.value[target]
    return Local(np.array(chosen, np.int64), np.array(forced, np.int64), float(max(matrix[y, y], TINY)), 0.0, matrix)


def grow(base: Local, target: int, allowed: BoolArray, *, rows: float, penalty: FloatArray | float, most: int) -> Local:
    """Forward stepwise with drops, from any model of the same sensor.

    A feature's gain is -n ln(1 - r^2) with r its partial correlation with the target; it must exceed its penalty.

    Args:
        base: the model to start from.
        target: index of the target's own feature.
        allowed: [P] features that may enter.
        rows: n, the number of rows that count for this sensor.
        penalty: of each feature.
        most: largest number of chosen features.
    """
    matrix, chosen = base.swept, list(base.chosen)
    most = min(most, int(rows) // ROWS_PER_FEATURE)
    cost = np.broadcast_to(np.asarray(penalty, float), allowed.shape)
    open_ = allowed.copy()
    open_[base.forced] = False
    open_[target] = False
    for _ in range(3 * most):
        open_[chosen] = False
        worth = gains(matrix, target, freedom(rows, len(base.forced) + len(chosen)))
        surplus = np.where(open_, worth - ENTER * cost, -np.inf)
        best = int(np.argmax(surplus))
        if surplus[best] <= 0 or len(chosen) >= most:
            break
        matrix = sweep(matrix, best)
        chosen.append(best)
        matrix, chosen, dropped = _drop(matrix, chosen, target, freedom(rows, len(base.forced) + len(chosen)), cost)
        if best in dropped:
            break
        open_[dropped] = allowed[dropped]
    left = float(max(matrix[target, target], TINY))
    return Local(np.array(chosen, np.int64), base.forced, left, float(cost[chosen].sum()), matrix)


def gains(matrix: FloatArray, target: int, rows: float, only: IntArray | None = None) -> FloatArray:
    """[P] likelihood-ratio statistic -n ln(1 - r^2) of adding each feature alone; 0 for what is already in or collinear.

    Args:
        matrix: the swept moments.
        target: index of the target's own feature.
        rows: n, the rows that count.
        only: these features; None: all.
    """
    power, cross = np.diag(matrix), matrix[:, target]
    if only is not None:
        power, cross = power[only], cross[only]
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(power > 1e-5, cross**2 / (power * max(matrix[target, target], TINY)), 0.0)
    return -rows * np.log1p(-np.clip(r2, 0.0, 1.0 - 1e-9))


def removal_gain(matrix: FloatArray, picked: IntArray, target: int, rows: float) -> FloatArray:
    """[q] likelihood-ratio statistic of taking each feature out alone, of those that are in."""
    return np.asarray(rows * np.log1p(matrix[picked, target] ** 2 / (-matrix[picked, picked] * max(matrix[target, target], TINY))))


def _drop(matrix: FloatArray, chosen: list[int], target: int, rows: float, cost: FloatArray) -> tuple[FloatArray, list[int], list[int]]:
    """Remove chosen features while the weakest is worth less than its penalty."""
    dropped: list[int] = []
    while chosen:
        index = np.array(chosen)
        loss = removal_gain(matrix, index, target, rows)
        weakest = int(np.argmin(loss - cost[index]))
        if loss[weakest] >= cost[index[weakest]]:
            break
        matrix = unsweep(matrix, chosen[weakest])
        dropped.append(chosen.pop(weakest))
    return matrix, chosen, dropped
