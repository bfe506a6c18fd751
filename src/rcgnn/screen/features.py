"""Features of every sensor and lag: what a sensor's model may be made of. Their second moments are in `moments`.

A sensor's value at one lag gives `basis` features: the value and, in the non-linear basis, the Hermite polynomials of
order 2 and 3 (Abramowitz & Stegun 22.2.15), which are uncorrelated for a Gaussian sensor. Products of two sensors at
one lag catch interactions. The features of a row at all lags are never laid beside each other for the whole table: they
are read from the rows before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcgnn.mapped import in_turn, spacious
from rcgnn.screen.gram import RIDGE, Dense, Gram
from rcgnn.series import BoolArray, FloatArray, IntArray, slabs, taken

CLIP = 4.0
"""Scaled values beyond this many sd enter the polynomials at this value."""
SPARSE = 8
"""Of more than so many times the columns, or rows, that are needed only those are read."""
HIDDEN = -1
"""Owner of a feature that is no sensor's: a hidden driver's path."""

BASES: dict[str, int] = {"linear": 1, "nonlinear": 3}
"""Features per sensor and lag."""


@dataclass(frozen=True, eq=False)
class Sample:
    """What the screen works on.

    Attributes:
        signal: [S, T, N] scaled signal draws.
        keep: [T, N] readings that count: a sensor is only ever a target where it was read.
        segments: runs of rows; no feature reaches across their ends.
        max_lag: K.
        rows: [T] which rows of the series these are; None: all of them.
    """

    signal: FloatArray
    keep: BoolArray
    segments: Sequence[slice]
    max_lag: int
    rows: IntArray | None = None

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """[T, ...] the rows of the sample, of something that has all rows of the series."""
        return values if self.rows is None else taken(values, self.rows) if values.ndim == 2 else values[self.rows]


@dataclass(frozen=True, eq=False)
class Features:
    """Second moments of all features of one table.

    Attributes:
        gram: correlations [P, P] of the features, averaged over draws.
        lag: [P] lag of each feature.
        owner: [P, 2] sensors that a feature is made of; for one sensor both entries are the same; `HIDDEN` for a hidden driver.
        value: [N] index of the feature "value of sensor j now", the target of sensor j.
        rows: number of rows behind the moments.
        scale: [P] 1 / sd of each feature over these rows and all draws; 0 for a constant, and where nobody asks for residuals.
        required: features that the target's model always has, free; see `known`.
        whole: the moments before what may not drive the target was hidden; None where nothing was.
    """

    gram: Gram
    lag: IntArray
    owner: IntArray
    value: IntArray
    rows: int
    scale: FloatArray
    required: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    whole: Gram | None = None

    @property
    def sensors(self) -> int:
        """N."""
        return len(self.value)

    def of(self, sensor: int) -> NDArray[np.bool_]:
        """[P] True for features that the sensor takes part in."""
        return (self.owner == sensor).any(axis=1)

    @cached_property
    def plain(self) -> IntArray:
        """[K+1, N] index of the feature "value of sensor i at lag k": the first of its own."""
        single = np.flatnonzero((self.owner[:, 0] == self.owner[:, 1]) & (self.owner[:, 0] != HIDDEN))
        label = self.lag[single] * self.sensors + self.owner[single, 0]
        _, first = np.unique(label, return_index=True)
        return single[first].reshape(-1, self.sensors)


@dataclass(frozen=True, eq=False)
class Tables:
    """Features of every draw, before moments are taken.

    Column p = (lag, order, sensor), the sensor fastest, stands in the table at (order, sensor), `lag` rows before the target's.

    Attributes:
        draws: S tables [T', width N]: the basis features of every row of the segments.
        at: [rows] row of these tables that each target stands in; it has a whole past.
        time: [rows] the same as row of the series.
        sensors: N.
        width: features per sensor and lag.
        max_lag: K.
    """

    draws: list[FloatArray]
    at: IntArray
    time: IntArray
    sensors: int
    width: int
    max_lag: int

    @property
    def plain(self) -> int:
        """Columns: basis features at lags 0..K."""
        return self.sensors * self.width * (self.max_lag + 1)

    def read(self, draw: int, rows: IntArray, columns: IntArray | None = None) -> FloatArray:
        """[m, columns] of one draw, for targets `rows` [m] of `at`; None: all columns."""
        table, at = self.draws[draw], self.at[rows]
        if columns is None:
            return np.concatenate([table[at - k] for k in range(self.max_lag + 1)], axis=1)
        lag, place = np.divmod(columns, table.shape[1])
        return np.asarray(table.ravel()[at[:, None] * table.shape[1] + (place - lag * table.shape[1])])


@dataclass(frozen=True, eq=False)
class Offer:
    """What one target may depend on.

    Attributes:
        pairs: sensors (a, b) whose products x_a(t-k) x_b(t-k), k = 1..K, follow the table's own columns.
        columns: only these of the table's columns and the products, rising, every sensor's value now among them; None: all.
        hidden: for each draw the paths [rows, k] of hidden drivers; they come last. Empty: none.
    """

    pairs: Sequence[tuple[int, int]] = ()
    columns: IntArray | None = None
    hidden: Sequence[FloatArray] = field(default=())

    def shown(self, tables: Tables) -> int:
        """Number of features before the hidden drivers."""
        return tables.plain + tables.max_lag * len(self.pairs) if self.columns is None else len(self.columns)

    def absolute(self, features: IntArray) -> IntArray:
        """Columns of the table and the products behind features of this offer; hidden drivers have none."""
        return features if self.columns is None else self.columns[features[features < len(self.columns)]]


EVERYTHING = Offer()


def linear_columns(tables: Tables) -> IntArray:
    """Columns that hold plain values."""
    every = np.arange(tables.plain)
    return every[every // tables.sensors % tables.width == 0]


def build(draws: FloatArray, segments: Sequence[slice], *, max_lag: int, basis: str) -> Tables:
    """Basis features of signal draws [S, T, N] within segments, at lags 0..K.

    Args:
        draws: [S, T, N] scaled signal draws.
        segments: runs of rows; no feature reaches across their ends.
        max_lag: K.
        basis: a name in `BASES`.
    """
    width = BASES[basis]
    runs = [np.arange(part.start, part.stop) for part in segments]
    every = np.concatenate([*runs, np.zeros(0, np.int64)])
    whole = np.concatenate([*(run - run[:1] >= max_lag for run in runs), np.zeros(0, bool)])
    at = np.flatnonzero(whole)
    return Tables([_expand(draw, width, every) for draw in draws], at, every[at], draws.shape[2], width, max_lag)


def labels(tables: Tables, offer: Offer) -> tuple[IntArray, IntArray]:
    """Lag [P] and owners [P, 2] of the features of an offer."""
    basis = np.arange(tables.plain)
    owner = np.stack([basis % tables.sensors] * 2, axis=1)
    lag = basis // (tables.sensors * tables.width)
    if offer.pairs:
        owner = np.concatenate([owner, np.tile(np.array(offer.pairs), (tables.max_lag, 1))])
        lag = np.concatenate([lag, np.repeat(np.arange(1, tables.max_lag + 1), len(offer.pairs))])
    if offer.columns is not None:
        lag, owner = lag[offer.columns], owner[offer.columns]
    drivers = offer.hidden[0].shape[1] if offer.hidden else 0
    return np.append(lag, np.zeros(drivers, np.int64)), np.concatenate([owner, np.full((drivers, 2), HIDDEN)])


def rows_of(tables: Tables, keep: BoolArray, offer: Offer = EVERYTHING) -> list[FloatArray]:
    """The features [kept rows, P] of every draw - table, products, hidden drivers: the columns that `moments` correlates."""
    rows = np.flatnonzero(keep)
    return [features_at(tables, draw, rows, offer) for draw in range(len(tables.draws))]


def columns_of(tables: Tables, rows: IntArray, offer: Offer, features: IntArray) -> list[FloatArray]:
    """[m, q] of every draw at targets `rows` [m]: some features of an offer, in the order given; nothing else is read."""
    return [_columns_at(tables, draw, rows, offer, features) for draw in range(len(tables.draws))]


def _columns_at(tables: Tables, draw: int, rows: IntArray, offer: Offer, features: IntArray) -> FloatArray:
    first = offer.shown(tables)
    shown = features[features < first]
    columns, place = np.unique(shown if offer.columns is None else offer.columns[shown], return_inverse=True)
    back = np.full(len(features), len(columns))
    back[features < first] = place
    back[features >= first] += features[features >= first] - first
    return features_at(tables, draw, rows, replace(offer, columns=columns))[:, back]


def in_slabs(tables: Tables, rows: IntArray, offer: Offer, features: IntArray) -> Iterator[tuple[slice, FloatArray]]:
    """`columns_of` some rows at a time: which of `rows`, and their features [S, m, q]."""
    for part in in_turn(slabs(len(rows), len(features)), *tables.draws):
        yield part, np.stack(columns_of(tables, rows[part], offer, features))


def stretches(tables: Tables, rows: IntArray) -> Iterator[slice]:
    """Which of `rows` [m], rising, lie in one stretch of the tables after the other."""
    table = tables.draws[0]
    at = tables.at[rows]
    for part in in_turn(slabs(*table.shape), *tables.draws):
        first, last = np.searchsorted(at, (part.start, part.stop))
        if first < last:
            yield slice(int(first), int(last))


def weighed(tables: Tables, draw: int, rows: IntArray, offer: Offer, features: IntArray, weight: FloatArray) -> FloatArray:
    """[m] the sum of some features of an offer, each once and times its weight [q], at targets `rows` [m], rising, of one stretch.

    Where most rows are asked for, none is laid out: a row of the table is multiplied by the weights of all lags at once, and what comes
    of it is read k rows later.
    """
    found = np.zeros(len(rows))
    if not len(rows):
        return found
    table, at = tables.draws[draw], tables.at[rows]
    first = int(at[0]) - tables.max_lag
    if SPARSE * len(rows) < at[-1] - first:
        return np.asarray(_columns_at(tables, draw, rows, offer, features) @ weight)
    block, at = table[first : at[-1] + 1], at - first
    shown = offer.shown(tables)
    inner = features < shown
    column, share = offer.absolute(features[inner]), weight[inner]
    basis = column < tables.plain
    lag, place = np.divmod(column[basis], table.shape[1])
    of_lags = _by_lag(block, lag, place, share[basis], tables.max_lag)
    if not basis.all():
        lag, pair = np.divmod(column[~basis] - tables.plain, len(offer.pairs))
        used, pair = np.unique(pair, return_inverse=True)
        a, b = np.array(offer.pairs)[used].T
        products = np.clip(block[:, a], -CLIP, CLIP) * np.clip(block[:, b], -CLIP, CLIP)
        of_lags += _by_lag(products, lag + 1, pair, share[~basis], tables.max_lag)
    for k in range(tables.max_lag + 1):
        found += of_lags[at - k, k]
    return found if inner.all() else found + offer.hidden[draw][rows][:, features[~inner] - shown] @ weight[~inner]


def _by_lag(block: FloatArray, lag: IntArray, column: IntArray, weight: FloatArray, max_lag: int) -> FloatArray:
    """[r, K+1] what each row of a block [r, columns] says at each lag, by the weights of some of its columns."""
    used, column = np.unique(column, return_inverse=True)
    by_lag = np.zeros((len(used), max_lag + 1))
    by_lag[column, lag] = weight
    if SPARSE * len(used) < block.shape[1]:
        return np.asarray(block[:, used] @ by_lag)
    whole = np.zeros((block.shape[1], max_lag + 1))
    whole[used] = by_lag
    return np.asarray(block @ whole)


def features_at(tables: Tables, draw: int, rows: IntArray, offer: Offer) -> FloatArray:
    """The features [m, P] of one draw at targets `rows` [m]."""
    if offer.columns is None:
        few, more = None, np.arange(len(offer.pairs) * tables.max_lag)
    else:
        few, more = offer.columns[offer.columns < tables.plain], offer.columns[offer.columns >= tables.plain] - tables.plain
    parts = [tables.read(draw, rows, few)]
    parts += [_products(tables, draw, rows, offer.pairs, more)] if len(more) else []
    parts += [offer.hidden[draw][rows]] if offer.hidden else []
    return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def _products(tables: Tables, draw: int, rows: IntArray, pairs: Sequence[tuple[int, int]], columns: IntArray) -> FloatArray:
    """Products by column: pair fastest, then lag."""
    a, b = np.array(pairs).T[:, columns % len(pairs)]
    first = (columns // len(pairs) + 1) * tables.sensors * tables.width
    values, place = np.unique(np.concatenate([first + a, first + b]), return_inverse=True)
    clipped = np.clip(tables.read(draw, rows, values), -CLIP, CLIP)
    one, other = np.split(place, 2)
    return np.asarray(clipped[:, one] * clipped[:, other])


def from_moment(moment: FloatArray, sensors: int, rows: int) -> Features:
    """Linear features whose moments [D, D], D = N (L + 1), are already known: the posterior's own."""
    scale = np.sqrt(np.maximum(np.diag(moment), 1e-12))
    index = np.arange(len(moment))
    gram = Dense(moment / np.outer(scale, scale) + RIDGE * np.eye(len(moment)))
    return Features(gram, index // sensors, np.stack([index % sensors] * 2, axis=1), np.arange(sensors), rows, 1.0 / scale)


def _expand(values: FloatArray, width: int, rows: IntArray) -> FloatArray:
    """[rows, width N]: standardised value, then He2 and He3 of it, clipped; standardised over the whole table."""
    sensors = values.shape[1]
    mean, spread = np.array([(x.mean(), x.std()) for x in in_turn(values.T, values)]).T
    found = spacious((len(rows), width * sensors), order="C")
    for part in in_turn(slabs(*found.shape), found, values):
        z = (values[rows[part]] - mean) / np.where(spread > 0, spread, 1.0)
        found[part, :sensors] = z
        if width > 1:
            c = np.clip(z, -CLIP, CLIP)
            found[part, sensors : 2 * sensors], found[part, 2 * sensors :] = c**2 - 1.0, c**3 - 3.0 * c
    return found
