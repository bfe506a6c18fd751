"""From decided links to equations: least squares on each sensor's decided parents, intervals by moving blocks of rows.

The equation of sensor j has its own K lags and its decided links, and nothing else. On the rows in which j was read,

    b = (sum over draws s and rows t of x_st x_st')^-1 (sum of x_st y_st),     y = z_j(t), x = (1, z_i(t-k) for every term)

Intervals: blocks of l = 4 q rows, q = rows^(1/3) / 4 rounded up, begin anywhere on a grid of q rows; as many as cover the table
are drawn with replacement and their sums of x x' and x y are added up (Kuensch 1989, eq. 2.3; nothing is fitted to raw rows
again). Every resample takes one posterior draw at random, so that what the missing readings may have been is part of the
spread (the between-imputation variance of Rubin 1987). All sensors share the blocks. The interval is

    b +- t_{.975, B-1} sd(b*),     B = rows / l blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from rcgnn.data.cleaning import Cleaned
from rcgnn.data.scaling import Scaler
from rcgnn.graph import CausalGraph
from rcgnn.mapped import in_turn, spacious
from rcgnn.mechanism.equations import Mechanism, Sensors
from rcgnn.mechanism.forecast import ahead
from rcgnn.series import SLAB, BoolArray, FloatArray, IntArray, Series, columns, frozen
from rcgnn.signal.draws import Signal

RESAMPLES = 200
PARTS = 4
"""Pieces of one block: blocks begin on a grid of one piece."""
LEAST_BLOCKS = 8
ROWS_PER_TERM = 2
"""Fewer rows for each coefficient, or fewer blocks than above: no interval."""
RIDGE = 1e-10
MOST_RESIDUALS = 1000
ERROR_CELLS, ERROR_ROWS, PIECES = 10_000_000, 10_000, 10
"""Errors stand for those of a larger table: so many cells, but no fewer rows; their 2.5 % point is then known within 3 % of an sd."""
COVERED = (0.025, 0.975)


@dataclass(frozen=True, eq=False)
class Material:
    """What the equations are fitted to, as the pipeline has it.

    Attributes:
        table: [T, n] readings that counted, in sensor units, drift and all; NaN elsewhere.
        draws: [S, T, n] signal draws, z.
        mean: [T, n] posterior mean, z.
        keep: [T, n] readings that count: a row counts for a target that was read in it.
        offset: [n] sensor units of z = 0.
        unit: [n] sensor units of one z.
        trend: [T, n] drift that was removed, in sensor units.
    """

    table: Series
    draws: FloatArray
    mean: FloatArray
    keep: BoolArray
    offset: FloatArray
    unit: FloatArray
    trend: FloatArray

    @classmethod
    def of(cls, cleaned: Cleaned, scaled: Series, scaler: Scaler, signal: Signal) -> Material:
        """From the stages' results: `z = ((x - trend - center) / scale - mean) / sd`, mean and sd over the scaled readings."""
        known = {name: j for j, name in enumerate(cleaned.series.names)}
        place = [known[name] for name in scaled.names]
        readings = in_turn(zip(scaled.values.T, scaled.mask.T, strict=True), scaled.values, scaled.mask)
        mean, sd = np.array([_moments(x, seen) for x, seen in readings]).T
        keep = scaled.mask & ~signal.gated if signal.gated.any() else scaled.mask
        trend = cleaned.trend if len(place) == cleaned.trend.shape[1] else columns(cleaned.trend, place)
        largest = np.finfo(np.float64).max
        with np.errstate(over="ignore"):
            table = _read(cleaned.series.sensors(place), trend, keep)
            unit = np.minimum(scaler.scale * np.where(sd > 0, sd, 1.0), largest)
            offset = np.clip(scaler.center + scaler.scale * mean, -largest, largest)
        return cls(table, signal.draws, signal.mean, keep, offset, unit, trend)


def _moments(x: FloatArray, seen: BoolArray) -> tuple[float, float]:
    """Mean and standard deviation of the readings of one sensor."""
    count = max(int(seen.sum()), 1)
    zeroed = np.where(seen, x, 0.0)
    mean = zeroed.sum() / count
    return float(mean), float(np.sqrt((np.where(seen, zeroed - mean, 0.0) ** 2).sum() / count))


def _read(table: Series, trend: FloatArray, keep: BoolArray) -> Series:
    """The readings that counted, drift and all; the same table where there is no drift and every reading counted."""
    drifts = moved(trend)
    if not drifts.any() and (keep is table.mask or np.array_equal(keep, table.mask)):
        return table
    values = spacious(table.shape)
    for j, drift in in_turn(enumerate(drifts), values, table.values, keep, trend):
        values[:, j] = np.where(keep[:, j], table.values[:, j], np.nan)
        if drift:
            values[:, j] += trend[:, j]
    return table.with_values(frozen(values), keep)


def moved(trend: FloatArray) -> BoolArray:
    """[n] sensors with a drift that was removed."""
    return np.array([column.any() for column in in_turn(trend.T, trend)])


def learn(graph: CausalGraph, material: Material, curved: Sequence[bool], rng: np.random.Generator, *, clean: bool = True) -> Mechanism:
    """The equations behind a decided graph.

    Args:
        graph: the answer; its decided links are the parents.
        material: signal draws and units.
        curved: [n] for each sensor that takes part, whether the screen preferred a curved equation.
        rng: for the blocks.
        clean: see `Mechanism`.
    """
    active = np.array([graph.names.index(name) for name in material.table.names])
    terms = _terms(graph.adjacency[:, active][:, :, active])
    fitted = refit(material, terms, graph.max_lag, rng)
    left_out = dict(graph.quarantined) | {copy: f"a near-copy of {name}" for copy, name in graph.aliases.items()}
    open_ = (graph.verdict == -1).any(axis=0)[np.ix_(active, active)].sum(axis=1)
    sensors = replace(fitted.sensors, curved=np.asarray(curved, bool), undecided=open_, left_out=left_out)
    made = replace(fitted, sensors=sensors, clean=clean)
    return replace(made, error=_errors(made, material.table))


def _terms(links: BoolArray) -> IntArray:
    """[P, 3] own memory and decided links, sorted by target, then own lags first."""
    lags, n = links.shape[0] - 1, links.shape[1]
    rows = [(k, j, j) for j in range(n) for k in range(1, lags + 1)] + [(int(k), int(i), int(j)) for k, i, j in np.argwhere(links)]
    return np.array(sorted(rows, key=lambda term: (term[2], term[1] != term[2], term)), np.int64)


def refit(material: Material, terms: IntArray, max_lag: int, rng: np.random.Generator) -> Mechanism:
    """Least squares for every sensor, and again on `RESAMPLES` draws of blocks.

    Args:
        material: signal draws and units.
        terms: [P, 3] (k, i, j), what each sensor j depends on.
        max_lag: K.
        rng: for the blocks and the draw that each resample takes.
    """
    draws, n = material.draws, material.draws.shape[2]
    time = np.concatenate([np.arange(s.start + max_lag, s.stop) for s in material.table.segments()] or [np.zeros(0, np.int64)])
    blocks = Blocks.of(len(time), len(draws), rng)
    coefficient, intercept = np.zeros(len(terms)), np.zeros(n)
    resampled, resampled_intercept = np.zeros((RESAMPLES, len(terms))), np.zeros((RESAMPLES, n))
    rows, degrees = np.zeros(n, np.int64), np.zeros(n, np.int64)
    kept = np.unique(np.linspace(0, max(len(time) - 1, 0), min(len(time), MOST_RESIDUALS)).round().astype(int))
    residual = np.zeros((len(kept), n))
    for j in range(n):
        at = np.flatnonzero(terms[:, 2] == j)
        rows_of = Regression(material, time, terms[at], j)
        once, again = blocks.moments(rows_of)
        b, spread = solve(once[None])[0], solve(again)
        intercept[j], coefficient[at] = b[0], b[1:]
        resampled_intercept[:, j], resampled[:, at] = spread[:, 0], spread[:, 1:]
        rows[j] = rows_of.counts(slice(None)).sum()
        enough = rows[j] >= max(ROWS_PER_TERM * len(b), LEAST_BLOCKS * blocks.length)
        degrees[j] = max(rows[j] // blocks.length - 1, 0) if enough else 0
        x, y = rows_of.read(kept)
        residual[:, j] = y[0] - x[0] @ b
    return Mechanism(
        _sensors(material),
        terms,
        coefficient,
        intercept,
        resampled,
        resampled_intercept,
        rows,
        degrees,
        residual,
        np.zeros((2, n)),
        np.concatenate([np.zeros((max_lag, n)), material.mean[-max_lag:]])[-max_lag:],
    )


def _sensors(material: Material) -> Sensors:
    n = material.draws.shape[2]
    values, mask = material.table.values, material.table.mask
    read = []
    for column, seen, offset in in_turn(zip(values.T, mask.T, material.offset, strict=True), values, mask):
        one = column[seen] if seen.any() else offset[None]
        read.append((one.min(), one.max()))
    lowest, highest = np.array(read).T
    spread = [np.mean([draw[:, j].var() for draw in material.draws]) for j in in_turn(range(n), material.draws)]
    return Sensors(
        material.table.names,
        material.offset,
        material.unit,
        material.trend[-1],
        moved(material.trend),
        lowest,
        highest,
        np.sqrt(spread),
        np.zeros(n, bool),
        np.zeros(n, np.int64),
        {},
    )


@dataclass(frozen=True, eq=False)
class Regression:
    """The regression of one sensor, row by row, read as it is asked for.

    Attributes:
        material: signal draws and units.
        time: [rows] rows of the table with a whole past.
        terms: [p, 3] (k, i, j) what the sensor depends on, beside a constant.
        target: j.
    """

    material: Material
    time: IntArray
    terms: IntArray
    target: int

    def read(self, rows: IntArray | slice) -> tuple[FloatArray, FloatArray]:
        """Features [S, m, 1 + p], the constant first, and target [S, m] of some rows."""
        draws, at = self.material.draws, self.time[rows]
        x = draws[:, at[:, None] - self.terms[:, 0], self.terms[:, 1]]
        return np.concatenate([np.ones((len(draws), len(at), 1)), x], axis=2), draws[:, at, self.target]

    def counts(self, rows: IntArray | slice) -> BoolArray:
        """[m] rows in which the target was read."""
        return self.material.keep[self.time[rows], self.target]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Which rows each resample counts how often.

    Attributes:
        piece: q, rows of one piece.
        weight: [R, G] how often each piece counts in each resample.
        draw: [R] the posterior draw of each resample.
    """

    piece: int
    weight: FloatArray
    draw: IntArray

    @property
    def length(self) -> int:
        """Rows of one block."""
        return PARTS * self.piece

    @classmethod
    def of(cls, rows: int, draws: int, rng: np.random.Generator) -> Blocks:
        """Blocks of about rows^(1/3) rows, drawn with replacement until they cover the table.

        Example:
            >>> one = Blocks.of(1000, 1, np.random.default_rng(0))
            >>> one.length, one.weight.shape, float(one.weight[0].sum()) * one.piece
            (12, (200, 334), 1008.0)
        """
        piece = max(int(np.ceil(rows ** (1 / 3) / PARTS)), 1)
        pieces = max(-(-rows // piece), PARTS)
        first = rng.integers(0, pieces - PARTS + 1, (RESAMPLES, -(-pieces // PARTS)))
        inside = (first[:, :, None] + np.arange(PARTS)).reshape(RESAMPLES, -1)
        weight = np.zeros((RESAMPLES, pieces))
        np.add.at(weight, (np.arange(RESAMPLES)[:, None], inside), 1.0)
        return cls(piece, weight, rng.integers(0, draws, RESAMPLES))

    def moments(self, of: Regression) -> tuple[FloatArray, FloatArray]:
        """Sums of squares and products [p+1, p+1] of features and target, the target last, and [R, p+1, p+1] on the resamples."""
        draws, pieces, width = of.material.draws, self.weight.shape[1], len(of.terms) + 2
        once, again = np.zeros((width, width)), np.zeros((len(self.draw), width * width))
        each = max(SLAB // self.piece, 1)
        for first in in_turn(range(0, pieces, each), draws, of.material.keep):
            last = min(first + each, pieces)
            part = slice(first * self.piece, last * self.piece)
            x, y = of.read(part)
            full = np.concatenate([x, y[:, :, None]], axis=2) * of.counts(part)[:, None]
            cut = np.zeros((len(draws), (last - first) * self.piece, width))
            cut[:, : full.shape[1]] = full
            cut = cut.reshape(len(draws), -1, self.piece, width)
            gram = np.matmul(cut.transpose(0, 1, 3, 2), cut)
            once += gram.mean(axis=0).sum(axis=0)
            for s, one in enumerate(gram.reshape(len(draws), -1, width * width)):
                again[self.draw == s] += self.weight[self.draw == s, first:last] @ one
        return once, again.reshape(-1, width, width)


def solve(gram: FloatArray) -> FloatArray:
    """[R, p] least squares from the second moments [R, p+1, p+1] of features and target, the target last."""
    inner, cross = gram[:, :-1, :-1], gram[:, :-1, -1]
    scale = np.sqrt(np.maximum(np.einsum("rpp->rp", inner), np.finfo(float).tiny))
    correlation = inner / (scale[:, :, None] * scale[:, None, :]) + RIDGE * np.eye(inner.shape[1])
    return np.asarray(np.linalg.solve(correlation, (cross / scale)[:, :, None])[:, :, 0] / scale)


def _errors(made: Mechanism, table: Series) -> FloatArray:
    """[2, n] quantiles of the one-step errors on the table, in z; where nothing could be forecast, of a standard normal.

    Of a large table some rows, in pieces spread over it.
    """
    rows, most = len(table.values), max(ERROR_CELLS // made.size, ERROR_ROWS)
    pieces = [table]
    if rows > most:
        length = most // PIECES
        pieces = [table.rows(slice(first, first + length)) for first in np.linspace(0, rows - length, PIECES).astype(int)]
    missed = np.concatenate([_missed(made, piece) for piece in pieces])
    error = np.tile(np.array(norm.ppf(COVERED))[:, None], made.size)
    for j, column in enumerate(missed.T):
        known = column[np.isfinite(column)]
        if known.size:
            error[:, j] = np.quantile(known, COVERED)
    return error


def _missed(made: Mechanism, table: Series) -> FloatArray:
    """[T, n] reading less forecast, in z."""
    guess, level = ahead(made, table)
    return made.to_z(table.values, level) - guess
