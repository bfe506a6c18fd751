"""`Partial`: second moments given some features, without ever forming the whole matrix of them.

With S the features inside, gram[S, S] = R'R and W = R'^-1 gram[S, :],

    cov(a, b | S) = gram[a, b] - W[:, a]' W[:, b]

so a stepwise search needs W alone: q rows of P numbers instead of P x P. One more feature is one more row, one less is one row less after
a rotation (q P operations each). R is upper triangular where nothing was taken out, with features in the order they entered; any other root
that comes of it by a rotation of the rows does as well. Source: orthogonal least squares (Chen, Billings & Luo 1989, section 3), in
Cholesky form (Golub & Van Loan 2013, sections 4.2 and 5.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtri, dtrtrs

from rcgnn.screen.gram import Gram
from rcgnn.series import FloatArray, IntArray

TINY = 1e-10
"""Nothing is explained further than this."""
COLLINEAR = 1e-5
"""A feature with less variance than this beside those inside is what they are."""


class _Given:
    """What is left of every feature, and of it beside the target: `power` and `cross` of `Partial`."""

    y: int
    power: FloatArray
    cross: FloatArray

    @property
    def unexplained(self) -> float:
        """Variance of the target given the features inside, at least `TINY`."""
        return max(float(self.power[self.y]), TINY)

    def explained(self, only: IntArray | None = None) -> FloatArray:
        """[P] share of that variance which each feature alone would explain; 0 for what is inside or collinear with it.

        Args:
            only: these features; None: all.
        """
        power, cross = (self.power, self.cross) if only is None else (self.power[only], self.cross[only])
        share = cross**2 / (np.maximum(power, COLLINEAR) * self.unexplained)
        share[power <= COLLINEAR] = 0.0
        return np.asarray(share)


@dataclass(frozen=True, eq=False)
class Partial(_Given):
    """Moments of all features and one target, given the features inside.

    Attributes:
        gram: moments [P, P] given nothing; shared, never changed.
        y: index of the target's own feature.
        inside: [q] features given, in the order they entered.
        factor: [q, P] W.
        root_inverse: [q, q] R^-1, a row for each feature inside.
        power: [P] variance of every feature given those inside; about 0 for what is inside or collinear with it.
        cross: [P] covariance of every feature with the target given those inside.

    Example:
        >>> from rcgnn.screen.gram import Dense
        >>> given = Partial.of(Dense(np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 1.0]])), 2, np.array([0]))
        >>> given.power.tolist(), given.cross.tolist()
        ([0.0, 0.75, 1.0], [0.0, 0.5, 1.0])
    """

    gram: Gram
    y: int
    inside: IntArray
    factor: FloatArray
    root_inverse: FloatArray
    power: FloatArray
    cross: FloatArray

    @classmethod
    def of(cls, gram: Gram, y: int, inside: IntArray | None = None) -> Partial:
        """Given nothing, or given features of which none is collinear with the others."""
        inside = np.zeros(0, np.int64) if inside is None else np.asarray(inside, np.int64)
        rows = gram.rows(np.append(inside, y))
        factor, inverse = _rooted(rows[:-1, inside], rows[:-1]) if inside.size else (rows[:0], np.zeros((0, 0)))
        return cls(gram, y, inside, factor, inverse, gram.diagonal - np.square(factor).sum(axis=0), rows[-1] - factor[:, y] @ factor)

    @cached_property
    def coefficients(self) -> FloatArray:
        """[q] least-squares coefficients of the target on the features inside."""
        return np.asarray(self.root_inverse @ self.factor[:, self.y])

    @cached_property
    def informations(self) -> FloatArray:
        """[q] diagonal of the inverse moments of the features inside."""
        return np.asarray(np.einsum("ij,ij->i", self.root_inverse, self.root_inverse))

    def information(self, features: IntArray) -> FloatArray:
        """[m, m] block of the inverse moments of the features inside, for m of them."""
        rows = self.root_inverse[self.places(features)]
        return np.asarray(rows @ rows.T)

    def blocks(self, groups: IntArray) -> FloatArray:
        """[G, m, m] covariance, given those inside, among the features of each group [G, m]."""
        part = np.moveaxis(self.factor[:, groups], 0, 1)
        return np.asarray(self.gram.blocks(groups) - np.swapaxes(part, 1, 2) @ part)

    def places(self, features: IntArray) -> IntArray:
        """[m] where features stand in `inside`."""
        order = np.argsort(self.inside, kind="stable")
        return np.asarray(order[np.searchsorted(self.inside, features, sorter=order)])


class Growing(_Given):
    """`Partial` in one place, for a search that adds and takes out: nothing is copied, and what a removal costs is at hand.

    With r = R'^-1 gram[S, f] and s^2 = cov(f, f | S), one more feature f changes the inverse root by one column,

        R^-1 <- [[R^-1, u], [0, 1 / s]],    u = -R^-1 r / s,

    the coefficients of those inside by u W[f, y], and the diagonal of the inverse moments by u^2. For one less let m be the row of f in
    R^-1 and e = m / |m|: the row w = e' W holds what f alone tells, power grows by w^2 and cross by w[y] w. A Householder reflection that
    turns e into the last unit vector makes w the last row of W and leaves the row of f in R^-1 with a last number alone; both go.

    Args:
        given: where to start.
        room: by how many features it may grow.
    """

    def __init__(self, given: Partial, room: int) -> None:
        count, features = given.factor.shape
        self.gram, self.y, self.inside = given.gram, given.y, given.inside.tolist()
        self.power, self.cross = given.power.copy(), given.cross.copy()
        self._factor = np.empty((count + room, features))
        self._inverse = np.zeros((count + room, count + room))
        self._factor[:count], self._inverse[:count, :count] = given.factor, given.root_inverse
        self._coefficients, self._informations = np.empty((2, count + room))
        self._coefficients[:count], self._informations[:count] = given.coefficients, given.informations

    @property
    def coefficients(self) -> FloatArray:
        """See `Partial`."""
        return self._coefficients[: len(self.inside)]

    @property
    def informations(self) -> FloatArray:
        """See `Partial`."""
        return self._informations[: len(self.inside)]

    def add(self, feature: int) -> None:
        """One feature more, whose `power` must be above 0."""
        count = len(self.inside)
        row = self.gram.row(feature) - self._factor[:count, feature] @ self._factor[:count]
        size = math.sqrt(row[feature])
        row /= size
        self._factor[count] = row
        said = float(row[self.y])
        change = self._inverse[:count, :count] @ self._factor[:count, feature]
        change /= -size
        self._inverse[:count, count], self._inverse[count, count] = change, 1.0 / size
        self._coefficients[:count] += said * change
        self._coefficients[count] = said / size
        self._informations[:count] += change * change
        self._informations[count] = 1.0 / size**2
        self.power -= row * row
        self.cross -= said * row
        self.inside.append(feature)

    def remove(self, feature: int) -> None:
        """One feature less."""
        count, place = len(self.inside), self.inside.index(feature)
        factor, inverse, last = self._factor[:count], self._inverse[:count, :count], count - 1
        turn = inverse[place] / math.sqrt(self._informations[place])
        row, sign = turn @ factor, math.copysign(1.0, -turn[last])
        self.power += row * row
        self.cross += row[self.y] * row
        share = turn[:last] / (1.0 + abs(turn[last]))
        factor[:last] -= np.outer(share, row - sign * factor[last])
        inverse[:, :last] -= np.outer(inverse @ turn - sign * inverse[:, last], share)
        inverse[place:last, :last] = inverse[place + 1 :, :last]
        inverse[last] = 0.0
        left = inverse[:last, :last]
        self._coefficients[:last], self._informations[:last] = left @ factor[:last, self.y], np.einsum("ij,ij->i", left, left)
        self.inside.pop(place)

    def partial(self) -> Partial:
        """What it has become."""
        count = len(self.inside)
        factor, inverse = self._factor[:count].copy(), self._inverse[:count, :count].copy()
        return Partial(self.gram, self.y, np.array(self.inside, np.int64), factor, inverse, self.power.copy(), self.cross.copy())


def _rooted(block: FloatArray, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """R'^-1 rows, and R^-1, with R'R = block.

    Raises:
        LinAlgError: the block is not positive definite.
    """
    root, failed = dpotrf(block)
    if failed:
        raise np.linalg.LinAlgError(f"moments of the features inside: leading minor {failed} is not positive")
    return np.asarray(dtrtrs(root, rows, trans=1)[0]), np.asarray(dtrtri(root)[0])
