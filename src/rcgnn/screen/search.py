"""Stepwise regression of one sensor on everybody's features, by their moments given the features that are in.

Adding or dropping one feature changes `Growing`, which costs (features inside) x (features at hand); the sensor's own past and
hidden drivers are in from the start, free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rcgnn.screen.features import HIDDEN, Features
from rcgnn.screen.partial import COLLINEAR, Growing, Partial
from rcgnn.series import BoolArray, FloatArray, IntArray

ENTER = 1.02
"""A feature enters when its gain exceeds this many penalties; it leaves below one: no cycling."""
MOST_EXPLAINED = 1.0 - 1e-9
"""No feature explains more of what is left."""
ROWS_PER_FEATURE = 5
"""A model of n rows chooses at most n over this many features."""


@dataclass(frozen=True, eq=False)
class Local:
    """The model of one sensor: which features, how well.

    Attributes:
        chosen: [q] penalised features, in the order they entered; required ones first, which cost nothing.
        forced: [f] the sensor's own past and hidden drivers, free.
        cost: sum of the penalties of the chosen features.
        given: moments given forced and chosen features, in this order.
    """

    chosen: IntArray
    forced: IntArray
    cost: float
    given: Partial

    @property
    def unexplained(self) -> float:
        """Share of the sensor's variance left."""
        return self.given.unexplained

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


def own_past(features: Features, target: int) -> IntArray:
    """Indices of the features made of the target's own past alone."""
    return np.flatnonzero((features.owner == target).all(axis=1) & (features.lag > 0))


def free(features: Features, target: int) -> IntArray:
    """Indices of the features that are forced in without a price: the target's own past and the hidden drivers."""
    return np.union1d(own_past(features, target), np.flatnonzero((features.owner == HIDDEN).all(axis=1)))


def start(features: Features, target: int) -> Local:
    """The model that knows only the sensor's own past, hidden drivers where there are any, and what prior knowledge requires."""
    given = Partial.of(features.gram, int(features.value[target]))
    given, forced = taking(given, free(features, target))
    given, chosen = taking(given, features.required)
    return Local(chosen, forced, 0.0, given)


def taking(given: Partial, features: IntArray) -> tuple[Partial, IntArray]:
    """The moments given these features as well, and those that went in: none is collinear with the others."""
    inside, growing = [], Growing(given, len(features))
    for feature in features.tolist():
        if growing.power[feature] > COLLINEAR:
            growing.add(feature)
            inside.append(feature)
    return growing.partial(), np.array(inside, np.int64)


def grow(base: Local, allowed: BoolArray, *, rows: float, penalty: FloatArray | float, most: int) -> Local:
    """Forward stepwise with drops, from any model of the same sensor.

    A feature's gain is -n ln(1 - r^2) with r its partial correlation with the target; it must exceed its penalty.

    Args:
        base: the model to start from.
        allowed: [P] features that may enter.
        rows: n, the number of rows that count for this sensor.
        penalty: of each feature.
        most: largest number of chosen features.
    """
    most = min(most, int(rows) // ROWS_PER_FEATURE)
    given, chosen = Growing(base.given, most), base.chosen.tolist()
    cost = np.broadcast_to(np.asarray(penalty, float), allowed.shape)
    open_ = allowed.copy()
    open_[base.forced], open_[given.y], open_[base.chosen] = False, False, False
    price = _one_price(np.append(cost[open_], cost[base.chosen]))
    threshold = ENTER * cost
    for _ in range(3 * most):
        worth = freedom(rows, len(base.forced) + len(chosen))
        best = _dearest(given, open_, worth, threshold) if price is None else _largest(given, open_, worth, ENTER * price)
        if best is None or len(chosen) >= most:
            break
        given.add(best)
        chosen.append(best)
        open_[best] = False
        dropped = _drop(given, chosen, freedom(rows, len(base.forced) + len(chosen)), cost if price is None else price)
        if best in dropped:
            break
        open_[dropped] = allowed[dropped]
    return Local(np.array(chosen, np.int64), base.forced, float(cost[chosen].sum()), given.partial())


def _one_price(cost: FloatArray) -> float | None:
    """The price of every feature that may enter or leave; None where they differ."""
    return float(cost[0]) if cost.size and (cost == cost[0]).all() else None


def _dearest(given: Growing, open_: BoolArray, rows: float, threshold: FloatArray) -> int | None:
    """The feature whose gain exceeds its threshold by most; None where none does."""
    surplus = np.where(open_, gains(given, rows) - threshold, -np.inf)
    best = int(surplus.argmax())
    return best if surplus[best] > 0 else None


def _largest(given: Growing, open_: BoolArray, rows: float, threshold: float) -> int | None:
    """The same where all thresholds are one: then the feature that explains most is asked alone."""
    share = np.where(open_, given.cross**2 / np.maximum(given.power, COLLINEAR), 0.0)
    while share[best := int(share.argmax())] > 0:
        if given.power[best] > COLLINEAR:
            return best if gain(float(share[best]) / given.unexplained, rows) > threshold else None
        share[best] = 0.0
    return None


def gain(share: float, rows: float) -> float:
    """Likelihood-ratio statistic -n ln(1 - r^2) of a feature that explains this share of what is left."""
    return -rows * math.log1p(-min(share, MOST_EXPLAINED))


def gains(given: Partial | Growing, rows: float, only: IntArray | None = None) -> FloatArray:
    """[P] likelihood-ratio statistic -n ln(1 - r^2) of adding each feature alone; 0 for what is already in or collinear.

    Args:
        given: moments given what is in.
        rows: n, the rows that count.
        only: these features; None: all.
    """
    return np.asarray(-rows * np.log1p(-np.minimum(given.explained(only), MOST_EXPLAINED)))


def removal_gains(given: Partial | Growing, rows: float) -> FloatArray:
    """[q] likelihood-ratio statistic of taking each feature out alone, of those that are in, in the order they entered."""
    return np.asarray(rows * np.log1p(_missed(given) / given.unexplained))


def _missed(given: Partial | Growing) -> FloatArray:
    """[q] variance of the target that would be left in addition without each feature inside."""
    return np.asarray(given.coefficients**2 / given.informations)


def _drop(given: Growing, chosen: list[int], rows: float, cost: FloatArray | float) -> list[int]:
    """Remove from both, in place, while the weakest is worth less than its penalty; what is not chosen entered before them.

    Args:
        given: moments given all that is in.
        chosen: what may leave.
        rows: n, the rows that count.
        cost: [P] penalty of each feature, or the one of all.

    Returns:
        What was removed.
    """
    dropped: list[int] = []
    while chosen:
        if isinstance(cost, float):
            share = _missed(given)[-len(chosen) :]
            weakest = int(share.argmin())
            spare = rows * math.log1p(float(share[weakest]) / given.unexplained) - cost
        else:
            each = removal_gains(given, rows)[-len(chosen) :] - cost[chosen]
            weakest = int(each.argmin())
            spare = each[weakest]
        if spare >= 0:
            break
        dropped.append(chosen.pop(weakest))
        given.remove(dropped[-1])
    return dropped
