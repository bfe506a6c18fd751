"""Features of every sensor and lag, and their second moments averaged over posterior draws.

A sensor's value at one lag gives `basis` features: the value and, in the non-linear basis, the Hermite polynomials of
order 2 and 3 (Abramowitz & Stegun 22.2.15), which are uncorrelated for a Gaussian sensor. Products of two sensors at
one lag catch interactions. Every feature is centred and scaled to unit variance, so the moment matrix is a correlation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rcgnn.series import BoolArray, FloatArray, IntArray

CLIP = 4.0
"""Scaled values beyond this many sd enter the polynomials at this value."""
RIDGE = 1e-6
TINY = 1e-9
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
    """

    signal: FloatArray
    keep: BoolArray
    segments: Sequence[slice]
    max_lag: int


@dataclass(frozen=True, eq=False)
class Features:
    """Second moments of all features of one table.

    Attributes:
        gram: [P, P] correlation of the features, averaged over draws, with a ridge on the diagonal.
        lag: [P] lag of each feature.
        owner: [P, 2] sensors that a feature is made of; for one sensor both entries are the same; `HIDDEN` for a hidden driver.
        value: [N] index of the feature "value of sensor j now", the target of sensor j.
        rows: number of rows behind the moments.
        required: features that the target's model always has, free; see `known`.
        whole: the moments before what may not drive the target was hidden; None where nothing was.
    """

    gram: FloatArray
    lag: IntArray
    owner: IntArray
    value: IntArray
    rows: int
    required: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    whole: FloatArray | None = None

    @property
    def sensors(self) -> int:
        """N."""
        return len(self.value)

    def of(self, sensor: int) -> NDArray[np.bool_]:
        """[P] True for features that the sensor takes part in."""
        return (self.owner == sensor).any(axis=1)

    def plain(self, sensor: int, lag: int) -> int:
        """Index of the feature "value of the sensor at that lag": the first of its own."""
        return int(np.flatnonzero((self.owner == sensor).all(axis=1) & (self.lag == lag))[0])


@dataclass(frozen=True, eq=False)
class Tables:
    """Features of every draw, before moments are taken.

    Attributes:
        draws: S tables [rows, P] of basis features at lags 0..K, feature p = (lag, order, sensor) with the sensor fastest.
        time: [rows] row of the series that each row's target stands in.
        sensors: N.
        width: features per sensor and lag.
        max_lag: K.
    """

    draws: list[FloatArray]
    time: IntArray
    sensors: int
    width: int
    max_lag: int


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

    def absolute(self, features: IntArray) -> IntArray:
        """Columns of the table and the products behind features of this offer; hidden drivers have none."""
        return features if self.columns is None else self.columns[features[features < len(self.columns)]]


EVERYTHING = Offer()


def linear_columns(tables: Tables) -> IntArray:
    """Columns that hold plain values."""
    every = np.arange(tables.draws[0].shape[1])
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
    tables = [_lagged(_expand(draw, width), segments, max_lag) for draw in draws]
    time = np.concatenate([np.arange(s.start + max_lag, s.stop) for s in segments] or [np.zeros(0, np.int64)])
    return Tables(tables, time, draws.shape[2], width, max_lag)


def moments(tables: Tables, keep: BoolArray, offer: Offer = EVERYTHING) -> Features:
    """Correlations of the features over the rows in `keep`, averaged over draws.

    Args:
        tables: the features.
        keep: [rows] rows that count; those of a target that was never read there would only echo the smoother.
        offer: products, hidden drivers, and which columns.
    """
    selected = rows_of(tables, keep, offer)
    count = max(len(selected[0]), 1)
    second = np.mean([np.cov(one, rowvar=False, bias=True) if count > 1 else np.zeros((one.shape[1],) * 2) for one in selected], axis=0)
    scale = np.sqrt(np.diag(second))
    inverse = np.where(scale > TINY, 1.0 / np.maximum(scale, TINY), 0.0)
    gram = second * inverse[:, None] * inverse
    gram[np.diag_indices_from(gram)] = np.where(scale > TINY, 1.0 + RIDGE, RIDGE)
    lag, owner = _labels(tables, offer)
    value = np.arange(tables.sensors)
    return Features(gram, lag, owner, value if offer.columns is None else np.searchsorted(offer.columns, value), count)


def _labels(tables: Tables, offer: Offer) -> tuple[IntArray, IntArray]:
    basis = np.arange(tables.draws[0].shape[1])
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
    plain = tables.draws[0].shape[1]
    columns = offer.columns
    if columns is None:
        columns = np.arange(plain + len(offer.pairs) * tables.max_lag)
    few, more = columns[columns < plain], columns[columns >= plain] - plain
    found = []
    for number, draw in enumerate(tables.draws):
        plain_rows = draw[keep] if len(few) == plain else draw[:, few][keep]
        parts = [plain_rows, _products(draw, keep, tables, offer.pairs, more)]
        parts += [offer.hidden[number][keep]] if offer.hidden else []
        found.append(np.concatenate(parts, axis=1))
    return found


def _products(draw: FloatArray, keep: BoolArray, tables: Tables, pairs: Sequence[tuple[int, int]], columns: IntArray) -> FloatArray:
    """Products by column: pair fastest, then lag."""
    if not len(columns):
        return np.zeros((int(keep.sum()), 0))
    a, b = np.array(pairs).T[:, columns % len(pairs)]
    first = (columns // len(pairs) + 1) * tables.sensors * tables.width
    one, other = (np.clip(draw[:, first + side][keep], -CLIP, CLIP) for side in (a, b))
    return np.asarray(one * other)


def from_moment(moment: FloatArray, sensors: int, rows: int) -> Features:
    """Linear features whose moments [D, D], D = N (L + 1), are already known: the posterior's own."""
    scale = np.sqrt(np.maximum(np.diag(moment), 1e-12))
    index = np.arange(len(moment))
    gram = moment / np.outer(scale, scale) + RIDGE * np.eye(len(moment))
    return Features(gram, index // sensors, np.stack([index % sensors] * 2, axis=1), np.arange(sensors), rows)


def _expand(values: FloatArray, width: int) -> FloatArray:
    """[T, width N]: standardised value, then He2 and He3 of it, clipped."""
    spread = values.std(axis=0)
    z = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    if width == 1:
        return z
    c = np.clip(z, -CLIP, CLIP)
    return np.concatenate([z, c**2 - 1.0, c**3 - 3.0 * c], axis=1)


def _lagged(expanded: FloatArray, segments: Sequence[slice], max_lag: int) -> FloatArray:
    parts = []
    for part in segments:
        run = expanded[part]
        rows = len(run) - max_lag
        if rows > 0:
            parts.append(np.concatenate([run[max_lag - k : max_lag - k + rows] for k in range(max_lag + 1)], axis=1))
    return np.concatenate(parts) if parts else np.zeros((1, expanded.shape[1] * (max_lag + 1)))
