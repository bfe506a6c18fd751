"""From decided links to equations: least squares on each sensor's decided parents, intervals by moving blocks of rows.

The equation of sensor j has its own K lags and its decided links, and nothing else. On the rows in which j was read,

    b = (sum over draws s and rows t of x_st x_st')^-1 (sum of x_st y_st),     y = z_j(t), x = (1, z_i(t-k) for every term)

Where the state space ran, the draws come twice: as they are, and with every reading that counts put back as it was read. The first
takes for measurement noise what the quality report took for it, the second takes none; a table hardly ever tells which is right.

Intervals: moving blocks of rows, see `blocks`. Every resample takes one of the draws, and all sensors share the blocks. What the
missing readings may have been, and whose the noise is, are part of the spread. The interval is

    b +- t_{.975, B-1} sd(b*),     B = rows / l blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from rcgnn.data.cleaning import Cleaned
from rcgnn.data.scaling import Scaler
from rcgnn.graph import CausalGraph
from rcgnn.mapped import in_turn, let_go, spacious
from rcgnn.mechanism.blocks import RESAMPLES, Blocks, Read
from rcgnn.mechanism.equations import Mechanism, Sensors
from rcgnn.mechanism.forecast import ahead
from rcgnn.series import BoolArray, FloatArray, IntArray, Series, columns, frozen
from rcgnn.signal.draws import Signal

LEAST_BLOCKS = 8
ROWS_PER_TERM = 2
"""Fewer rows for each coefficient, or fewer blocks than above: no interval."""
MOST_RESIDUALS = 1000
ERROR_CELLS, ERROR_ROWS, PIECES = 4_000_000, 10_000, 10
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
        read: [T, n] readings, z, where the draws are those of the state space, which may differ from them; None: they are the draws.
    """

    table: Series
    draws: FloatArray
    mean: FloatArray
    keep: BoolArray
    offset: FloatArray
    unit: FloatArray
    trend: FloatArray
    read: FloatArray | None = None

    @classmethod
    def of(cls, cleaned: Cleaned, scaled: Series, scaler: Scaler, signal: Signal) -> Material:
        """From the stages' results: `z = ((x - trend - center) / scale - mean) / sd`, mean and sd over the scaled readings."""
        known = {name: j for j, name in enumerate(cleaned.series.names)}
        place = [known[name] for name in scaled.names]
        mean, sd = np.array([_moments(x, seen) for x, seen in scaled.by_sensor()]).T
        keep = scaled.mask & ~signal.gated if signal.gated.any() else scaled.mask
        trend = cleaned.trend if len(place) == cleaned.trend.shape[1] else columns(cleaned.trend, place)
        largest = np.finfo(np.float64).max
        with np.errstate(over="ignore"):
            table = _read(cleaned.series.sensors(place), trend, keep)
            unit = np.minimum(scaler.scale * np.where(sd > 0, sd, 1.0), largest)
            offset = np.clip(scaler.center + scaler.scale * mean, -largest, largest)
        read = _standard(scaled.values, mean, sd) if signal.smoothed else None
        return cls(table, signal.draws, signal.mean, keep, offset, unit, trend, read)

    @property
    def families(self) -> int:
        """How often the draws come: with the noise taken off, and with the readings as they came."""
        return 1 if self.read is None else 2

    def cells(self, rows: IntArray, sensors: IntArray | int) -> FloatArray:
        """[F S, ...] some cells in every draw of every family, z."""
        drawn = self.draws[:, rows, sensors]
        if self.read is None:
            return drawn
        return np.concatenate([drawn, np.where(self.keep[rows, sensors], self.read[rows, sensors], drawn)])


def _moments(x: FloatArray, seen: BoolArray) -> tuple[float, float]:
    """Mean and standard deviation of the readings of one sensor."""
    count = max(int(seen.sum()), 1)
    zeroed = np.where(seen, x, 0.0)
    mean = zeroed.sum() / count
    return float(mean), float(np.sqrt((np.where(seen, zeroed - mean, 0.0) ** 2).sum() / count))


def _standard(values: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    """[T, n] readings in z."""
    found = spacious(values.shape)
    for j in in_turn(range(len(mean)), found, values):
        found[:, j] = (values[:, j] - mean[j]) / (sd[j] if sd[j] > 0 else 1.0)
    return frozen(found)


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
        rng: for the blocks.
    """
    n = material.draws.shape[2]
    time = np.concatenate([np.arange(s.start + max_lag, s.stop) for s in material.table.segments()] or [np.zeros(0, np.int64)])
    blocks = Blocks.of(len(time), material.families * len(material.draws), rng)
    coefficient, intercept = np.zeros(len(terms)), np.zeros(n)
    resampled, resampled_intercept = np.zeros((RESAMPLES, len(terms))), np.zeros((RESAMPLES, n))
    rows, degrees = np.zeros(n, np.int64), np.zeros(n, np.int64)
    kept = np.unique(np.linspace(0, max(len(time) - 1, 0), min(len(time), MOST_RESIDUALS)).round().astype(int))
    residual = np.zeros((len(kept), n))
    for j in range(n):
        at = np.flatnonzero(terms[:, 2] == j)
        read = regression(material, time, terms[at], j)
        b, spread = blocks.fit(read, material.families)
        intercept[j], coefficient[at] = b[0], b[1:]
        resampled_intercept[:, j], resampled[:, at] = spread[:, 0], spread[:, 1:]
        rows[j] = material.keep[time, j].sum()
        enough = rows[j] >= max(ROWS_PER_TERM * len(b), LEAST_BLOCKS * blocks.length)
        degrees[j] = max(rows[j] // blocks.length - 1, 0) if enough else 0
        x, y, _ = read(kept)
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
    read = []
    for (column, seen), offset in zip(material.table.by_sensor(), material.offset, strict=True):
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


def regression(material: Material, time: IntArray, terms: IntArray, target: int) -> Read:
    """The regression of one sensor, read some rows at a time.

    Args:
        material: signal draws and units.
        time: [rows] rows of the table with a whole past.
        terms: [p, 3] (k, i, j) what the sensor depends on, beside a constant.
        target: j.
    """

    def read(rows: IntArray | slice) -> tuple[FloatArray, FloatArray, BoolArray]:
        at = time[rows]
        past = material.cells(at[:, None] - terms[:, 0], terms[:, 1])
        found = np.concatenate([np.ones((*past.shape[:2], 1)), past], axis=2), material.cells(at, target), material.keep[at, target]
        let_go(material.draws, material.keep, *([] if material.read is None else [material.read]))
        return found

    return read


def _errors(made: Mechanism, table: Series) -> FloatArray:
    """[2, n] quantiles of the one-step errors on the table, in z; where nothing could be forecast, of a standard normal.

    Of a large table some rows, in pieces spread over it.
    """
    rows, most = len(table.values), max(ERROR_CELLS // made.size, ERROR_ROWS)
    pieces = [slice(0, rows)]
    if rows > most:
        length = most // PIECES
        pieces = [slice(first, first + length) for first in np.linspace(0, rows - length, PIECES).astype(int).tolist()]
    missed = np.concatenate([_missed(made, table.rows(piece)) for piece in in_turn(pieces, table.values, table.mask)])
    error = np.tile(np.array(ndtri(COVERED))[:, None], made.size)
    for j, column in enumerate(missed.T):
        known = column[np.isfinite(column)]
        if known.size:
            error[:, j] = np.quantile(known, COVERED)
    return error


def _missed(made: Mechanism, table: Series) -> FloatArray:
    """[T, n] reading less forecast, in z."""
    guess, level = ahead(made, table)
    return made.to_z(table.values, level) - guess
