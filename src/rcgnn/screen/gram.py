"""`Gram`: second moments of features, asked for by row and by block, so that nobody has to hold the matrix of a wide table.

A stepwise search looks at the rows of the few features that go in. Where a target was read in all rows but some, its moments are those of
all rows less those of the rows left out, and a row of them costs (rows left out) x (features): the matrix of all rows is held once for
all targets.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from rcgnn.series import BoolArray, FloatArray, IntArray

RIDGE = 1e-6
"""On the diagonal of every matrix of moments."""
LEAST_SD = 1e-6
"""A feature that varies less than this on the rows that count, in sd of all rows, is a constant."""


class Gram(Protocol):
    """Correlations [P, P] with a ridge on the diagonal."""

    @property
    def diagonal(self) -> FloatArray:
        """[P] variances: 1 + ridge, or the ridge alone for a constant."""

    @property
    def matrix(self) -> FloatArray:
        """[P, P] all of it."""

    def row(self, feature: int) -> FloatArray:
        """[P] of one feature; nobody may change it."""

    def rows(self, features: IntArray) -> FloatArray:
        """[m, P] rows of some features."""

    def blocks(self, groups: IntArray) -> FloatArray:
        """[G, m, m] among the features of each group [G, m]."""


class _ByRows:
    """One row as the only one of several."""

    def rows(self, features: IntArray) -> FloatArray:
        raise NotImplementedError

    def row(self, feature: int) -> FloatArray:
        """See `Gram`."""
        return self.rows(np.array([feature]))[0]


@dataclass(frozen=True, eq=False)
class Dense:
    """A matrix at hand.

    Example:
        >>> Dense(np.eye(3)).blocks(np.array([[0, 1], [2, 2]])).tolist()
        [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]]
    """

    matrix: FloatArray

    @property
    def diagonal(self) -> FloatArray:
        """[P]."""
        return np.diag(self.matrix)

    def row(self, feature: int) -> FloatArray:
        """[P]."""
        return self.matrix[feature]

    def rows(self, features: IntArray) -> FloatArray:
        """[m, P]."""
        return self.matrix[features]

    def blocks(self, groups: IntArray) -> FloatArray:
        """[G, m, m]."""
        return self.matrix[groups[:, :, None], groups[:, None, :]]


@dataclass(eq=False)
class Shelf:
    """Arrays that are made when they are asked for; the last ones stay at hand, as many as `room` bytes hold.

    What an array belongs to is its key, and is kept with it: a number of it could be given again to something else.

    Example:
        >>> shelf = Shelf(room=100)
        >>> [shelf.get(key, lambda: np.zeros(5)).nbytes for key in (1, 2, 3)], list(shelf.kept)
        ([40, 40, 40], [2, 3])
    """

    room: float = 5e8
    kept: OrderedDict[Hashable, FloatArray] = field(default_factory=OrderedDict)

    def get(self, key: Hashable, make: Callable[[], FloatArray]) -> FloatArray:
        """The array of a key."""
        found = self.kept.pop(key) if key in self.kept else make()
        self.kept[key] = found
        while len(self.kept) > 1 and sum(array.nbytes for array in self.kept.values()) > self.room:
            self.kept.popitem(last=False)
        return found


@dataclass(frozen=True, eq=False)
class Less(_ByRows):
    """Moments over all rows less those over the rows left out.

    With T the sums of products over all rows and draws, X the rows left out, n the rows that stay times draws, m the means of each draw
    and s the standard deviations, all of the rows that stay:

        gram[a, b] = (T[a, b] - X[:, a]' X[:, b]) / n / (s_a s_b) - mean over draws of (m_a / s_a) (m_b / s_b)

    Attributes:
        total: [P, P] T; shared by all targets.
        read: reads X [S r, P].
        shelf: where the last X of all targets stay at hand.
        weight: [P] 1 / (s sqrt n); 0 for a constant.
        mean: [S, P] m / (s sqrt S).
    """

    total: FloatArray
    read: Callable[[], FloatArray]
    shelf: Shelf
    weight: FloatArray
    mean: FloatArray

    @property
    def out(self) -> FloatArray:
        """[S r, P] X."""
        return self.shelf.get(self, self.read)

    @property
    def diagonal(self) -> FloatArray:
        """[P]."""
        return np.where(self.weight > 0, 1.0 + RIDGE, RIDGE)

    @property
    def matrix(self) -> FloatArray:
        """[P, P]."""
        return self.rows(np.arange(len(self.total)))

    def rows(self, features: IntArray) -> FloatArray:
        """[m, P]."""
        out = self.out
        found = self.total[features] - out[:, features].T @ out
        found = found * self.weight[features, None] * self.weight - self.mean[:, features].T @ self.mean
        found[np.arange(len(features)), features] = self.diagonal[features]
        return np.asarray(found)

    def blocks(self, groups: IntArray) -> FloatArray:
        """[G, m, m]."""
        out, weight, mean = np.moveaxis(self.out[:, groups], 1, 0), self.weight[groups], np.moveaxis(self.mean[:, groups], 1, 0)
        found = self.total[groups[:, :, None], groups[:, None, :]] - np.swapaxes(out, 1, 2) @ out
        found = found * weight[:, :, None] * weight[:, None, :] - np.swapaxes(mean, 1, 2) @ mean
        same = groups[:, :, None] == groups[:, None, :]
        return np.where(same, self.diagonal[groups][:, :, None], found)


@dataclass(frozen=True, eq=False)
class Beside(_ByRows):
    """Moments of features that many targets have, and of some that this target has alone behind them.

    Attributes:
        shared: [P, P].
        cross: [P, q].
        own: [q, q], ridge included.
    """

    shared: Gram
    cross: FloatArray
    own: FloatArray

    @property
    def diagonal(self) -> FloatArray:
        """[P + q]."""
        return np.concatenate([self.shared.diagonal, np.diag(self.own)])

    @property
    def matrix(self) -> FloatArray:
        """[P + q, P + q]."""
        return np.block([[self.shared.matrix, self.cross], [self.cross.T, self.own]])

    def rows(self, features: IntArray) -> FloatArray:
        """[m, P + q]."""
        first = len(self.cross)
        inner, found = features < first, np.empty((len(features), first + len(self.own)))
        found[inner, :first], found[inner, first:] = self.shared.rows(features[inner]), self.cross[features[inner]]
        found[~inner, :first], found[~inner, first:] = self.cross.T[features[~inner] - first], self.own[features[~inner] - first]
        return found

    def blocks(self, groups: IntArray) -> FloatArray:
        """[G, m, m]; groups of shared features only are taken together."""
        first = len(self.cross)
        found = np.empty((*groups.shape, groups.shape[1]))
        inner = (groups < first).all(axis=1)
        found[inner] = self.shared.blocks(groups[inner])
        for at in np.flatnonzero(~inner):
            found[at] = self.rows(groups[at])[:, groups[at]]
        return found


@dataclass(frozen=True, eq=False)
class Masked(_ByRows):
    """Moments of which some features may not be used: these have none with any other."""

    whole: Gram
    may: BoolArray

    @property
    def diagonal(self) -> FloatArray:
        """[P]."""
        return np.where(self.may, self.whole.diagonal, RIDGE)

    @property
    def matrix(self) -> FloatArray:
        """[P, P]."""
        return self.rows(np.arange(len(self.may)))

    def rows(self, features: IntArray) -> FloatArray:
        """[m, P]."""
        found = np.where(self.may[features, None] & self.may, self.whole.rows(features), 0.0)
        found[np.arange(len(features)), features] = self.diagonal[features]
        return found

    def blocks(self, groups: IntArray) -> FloatArray:
        """[G, m, m]."""
        may, same = self.may[groups], groups[:, :, None] == groups[:, None, :]
        found = np.where(may[:, :, None] & may[:, None, :], self.whole.blocks(groups), 0.0)
        return np.where(same, self.diagonal[groups][:, :, None], found)
