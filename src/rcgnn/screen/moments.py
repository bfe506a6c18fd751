"""Second moments of the features, averaged over posterior draws: those over all rows once, and for each target the rows that count.

A sensor is a target only in rows where it was read, so every target has moments of its own. What most of them share is counted once:
the sums over all rows of every basis feature, and of the products of two sensors where many targets are offered the same ones. A
target's sums are these less the sums over the rows it was not read in, or its own rows' where those are fewer. Two sensors that are
looked at in the rows in which both were read leave out little more than one of them does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rcgnn.mapped import in_turn
from rcgnn.screen.features import EVERYTHING, Features, Offer, Tables, features_at, labels
from rcgnn.screen.gram import LEAST_SD, RIDGE, Beside, Dense, Gram, Less, Shelf
from rcgnn.series import BoolArray, FloatArray, IntArray

CHUNK = 4_000_000
"""Numbers that are laid out at a time."""
DENSE = 1_000
"""Up to this many features every target has a matrix of its own; beyond, rows of it are made as they are asked for."""
POOLED = 4_000
"""Features of the largest matrix that products of all targets may be part of."""
MOST_KEPT = 20_000_000
"""Numbers in sums over rows left out that are kept at most."""
ROUNDING = 1e-11
"""Share of a mean square that a variance taken from it may be by rounding alone."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over rows.

    Attributes:
        first: [S, P] of each feature, by draw.
        second: [P, P] of products, over all draws.
    """

    first: FloatArray
    second: FloatArray

    def at(self, columns: IntArray) -> Sums:
        """Of some columns."""
        return Sums(self.first[:, columns], self.second[np.ix_(columns, columns)])

    def less(self, other: Sums) -> Sums:
        """Without the rows of another."""
        return Sums(self.first - other.first, self.second - other.second)

    def plus(self, other: Sums) -> Sums:
        """With the rows of another."""
        return Sums(self.first + other.first, self.second + other.second)


class LeftOut(NamedTuple):
    """Sums over the rows that one target leaves out.

    Attributes:
        out: one bit a row, 1 for these: many of them are compared.
        rows: how many they are.
        place: [P] where each feature of `Moments.every` stands in the sums; -1 where it is not among them.
        sums: of the features of its offer.
    """

    out: NDArray[np.uint8]
    rows: int
    place: IntArray
    sums: Sums


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of one table over any of its rows.

    Attributes:
        tables: features.
        pool: products that are summed over all rows with the basis features; others are summed target by target.
        hidden: paths of hidden drivers, the same for every target; they stand last.
        every: sums over all rows.
        shelf: rows that were left out of the last targets' moments.
        left: sums over the rows that targets left out.
    """

    tables: Tables
    pool: tuple[tuple[int, int], ...]
    hidden: Sequence[FloatArray]
    every: Sums
    shelf: Shelf = field(default_factory=Shelf)
    left: list[LeftOut] = field(default_factory=list)

    @classmethod
    def of(cls, tables: Tables, offers: Sequence[Offer] = ()) -> Moments:
        """Of one table, with the products that targets will be offered, where it pays to count them once for all."""
        pool, hidden = _pooled(tables, offers), offers[0].hidden if offers else ()
        return cls(tables, pool, hidden, sums(tables, np.arange(len(tables.at)), Offer(pool, hidden=hidden)))

    def offering(self, offers: Sequence[Offer]) -> Moments:
        """The same with the products of some offers; itself where none are counted once for all."""
        return Moments.of(self.tables, offers) if _pooled(self.tables, offers) else self

    def features(self, keep: BoolArray, offer: Offer = EVERYTHING) -> Features:
        """Correlations of an offer's features over the rows in `keep` [rows], averaged over draws.

        Rows that do not count are those in which the target was never read: they would only echo the smoother.
        """
        count = max(int(keep.sum()), 1)
        lag, owner = labels(self.tables, offer)
        value = np.arange(self.tables.sensors)
        value = value if offer.columns is None else np.searchsorted(offer.columns, value)
        gram, scale = self._gram(keep, offer, len(lag))
        return Features(gram, lag, owner, value, count, scale)

    def _gram(self, keep: BoolArray, offer: Offer, size: int) -> tuple[Gram, FloatArray]:
        """Correlations [P, P], and [P] 1 / sd."""
        rows, out = np.flatnonzero(keep), np.flatnonzero(~keep)
        if len(rows) <= 1:
            return Dense(RIDGE * np.eye(size)), np.zeros(size)
        columns = self._columns(offer)
        if columns is None:
            return self._beside(keep, rows, offer)
        if len(out) >= len(rows):
            return _correlations(sums(self.tables, rows, offer), len(rows))
        if size <= DENSE:
            whole = self.every.at(columns)
            return _correlations(whole.less(self._left_out(~keep, offer, columns)) if len(out) else whole, len(rows))
        return self._lazily(out, offer, columns, len(rows))

    def _left_out(self, out: BoolArray, offer: Offer, columns: IntArray) -> Sums:
        """Sums over the rows in `out`: those of a target that left out the most of them and no other row, and of the rest."""
        kept = np.packbits(~out)
        fewer = [one for one in self.left if not (one.out & kept).any() and (one.place[columns] >= 0).all()]
        most = max(fewer, key=lambda one: one.rows, default=None)
        rest = out if most is None else out & (np.unpackbits(most.out, count=len(out)) == 0)
        found = sums(self.tables, np.flatnonzero(rest), offer)
        if most is not None:
            found = found.plus(most.sums.at(most.place[columns]))
        new = offer.columns is None and (most is None or bool(rest.any()))
        if new and sum(one.sums.second.size for one in self.left) + found.second.size <= MOST_KEPT:
            place = np.full(len(self.every.second), -1)
            place[columns] = np.arange(len(columns))
            self.left.append(LeftOut(np.packbits(out), int(out.sum()), place, found))
        return found

    def _columns(self, offer: Offer) -> IntArray | None:
        """[P] where an offer's features stand in `every`; None where its products do not."""
        if not set(offer.pairs) <= set(self.pool):
            return None
        plain, lags = self.tables.plain, self.tables.max_lag
        place = {pair: number for number, pair in enumerate(self.pool)}
        mine = np.array([place[pair] for pair in offer.pairs], np.int64)
        columns = np.concatenate([np.arange(plain), plain + (np.arange(lags)[:, None] * len(self.pool) + mine).ravel()])
        if offer.columns is not None:
            columns = columns[offer.columns]
        drivers = offer.hidden[0].shape[1] if offer.hidden else 0
        return np.concatenate([columns, plain + lags * len(self.pool) + np.arange(drivers)])

    def _beside(self, keep: BoolArray, rows: IntArray, offer: Offer) -> tuple[Beside, FloatArray]:
        """Basis features that all targets share, with products (and hidden drivers) that are this target's alone."""
        basis = np.arange(self.tables.plain) if offer.columns is None else offer.columns[offer.columns < self.tables.plain]
        shared, inner = self._gram(keep, Offer(columns=basis), len(basis))
        crossed, draws, count = _crossed(self.tables, rows, offer, len(basis)), len(self.tables.draws), len(rows)
        own, outer = _correlations(crossed.own, count)
        between = crossed.both / (draws * count) - (crossed.first / count).T @ (crossed.own.first / count) / draws
        return Beside(shared, between * inner[:, None] * outer, own.matrix), np.concatenate([inner, outer])

    def _lazily(self, out: IntArray, offer: Offer, columns: IntArray, count: int) -> tuple[Less, FloatArray]:
        draws = len(self.tables.draws)

        def read() -> FloatArray:
            return np.concatenate([features_at(self.tables, draw, out, offer) for draw in range(draws)])

        left = read()
        whole = len(columns) == len(self.every.second) and bool((np.diff(columns) == 1).all())
        total = self.every.second if whole else self.every.second[np.ix_(columns, columns)]
        first = self.every.first[:, columns] - left.reshape(draws, len(out), len(columns)).sum(axis=1)
        mean, inverse = _scale(first, np.diag(total) - np.einsum("ij,ij->j", left, left), count)
        return Less(total, read, self.shelf, inverse / np.sqrt(draws * count), mean * inverse / np.sqrt(draws)), inverse


def moments(tables: Tables, keep: BoolArray, offer: Offer = EVERYTHING) -> Features:
    """`Moments.features` for one target alone."""
    return Moments.of(tables, [offer]).features(keep, offer)


def _pooled(tables: Tables, offers: Sequence[Offer]) -> tuple[tuple[int, int], ...]:
    """The products that are counted once for all targets: all of them or none."""
    pool = sorted({pair for offer in offers for pair in offer.pairs})
    return tuple(pool) if _worth(len(pool), [len(offer.pairs) for offer in offers], tables) else ()


def _worth(pooled: int, offered: Sequence[int], tables: Tables) -> bool:
    """Do sums of all products cost less than those of each target's own?"""
    if tables.plain + pooled * tables.max_lag > POOLED:
        return False
    apart = sum(each * tables.max_lag * (tables.plain + each * tables.max_lag) for each in offered)
    return (tables.plain + pooled * tables.max_lag) ** 2 / 2 <= apart


def sums(tables: Tables, rows: IntArray, offer: Offer) -> Sums:
    """Sums of the features of an offer over some rows, a chunk of them at a time."""
    size, draws = len(labels(tables, offer)[0]), len(tables.draws)
    first, second = np.zeros((draws, size)), np.zeros((size, size))
    step = max(CHUNK // max(size, 1), 1)
    for draw in range(draws):
        for begin in in_turn(range(0, len(rows), step), tables.draws[draw]):
            x = features_at(tables, draw, rows[begin : begin + step], offer)
            first[draw] += x.sum(axis=0)
            second += x.T @ x
    return Sums(first, second)


@dataclass(frozen=True, eq=False)
class _Crossed:
    """Sums over rows where features of one target stand behind shared ones: `first` [S, P] of the shared ones, `both` [P, q] of products of
    the two kinds, and `own` of the others.
    """

    first: FloatArray
    both: FloatArray
    own: Sums


def _crossed(tables: Tables, rows: IntArray, offer: Offer, shared: int) -> _Crossed:
    size, draws = len(labels(tables, offer)[0]), len(tables.draws)
    own = Sums(np.zeros((draws, size - shared)), np.zeros((size - shared,) * 2))
    found = _Crossed(np.zeros((draws, shared)), np.zeros((shared, size - shared)), own)
    step = max(CHUNK // size, 1)
    for draw in range(draws):
        for begin in in_turn(range(0, len(rows), step), tables.draws[draw]):
            x = features_at(tables, draw, rows[begin : begin + step], offer)
            plain, behind = x[:, :shared], np.ascontiguousarray(x[:, shared:])
            found.first[draw] += plain.sum(axis=0)
            np.add(found.both, plain.T @ behind, out=found.both)
            own.first[draw] += behind.sum(axis=0)
            np.add(own.second, behind.T @ behind, out=own.second)
    return found


def _correlations(total: Sums, count: int) -> tuple[Dense, FloatArray]:
    """Correlations [P, P], and [P] 1 / sd."""
    draws = len(total.first)
    mean, inverse = _scale(total.first, np.diag(total.second), count)
    gram = (total.second / (draws * count) - mean.T @ mean / draws) * inverse[:, None] * inverse
    gram[np.diag_indices_from(gram)] = np.where(inverse > 0, 1.0 + RIDGE, RIDGE)
    return Dense(gram), inverse


def _scale(first: FloatArray, squares: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Means [S, P] of every draw, and [P] 1 / s; 0 where the variance is rounding of the mean square that it is taken from.

    Args:
        first: [S, P] sums of each feature.
        squares: [P] sums of its squares, over all draws.
        count: rows of every draw.
    """
    mean, power = first / count, squares / (len(first) * count)
    variance, least = power - np.square(mean).mean(axis=0), np.maximum(LEAST_SD**2, ROUNDING * power)
    return mean, np.where(variance > least, 1.0 / np.sqrt(np.maximum(variance, least)), 0.0)
