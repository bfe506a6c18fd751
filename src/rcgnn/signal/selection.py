"""Readings that vanish because of their own value: a probit selection model, and what a missing cell then says.

    P(cell of sensor j is missing | x) = Phi(slope_j x - offset_j)          a smooth threshold at c = offset / slope

slope > 0: high values vanish; slope < 0: low ones; width of the threshold s = 1 / |slope|. Given the threshold, a missing cell
is evidence: its signal tends to lie beyond c. The evidence is no Gaussian; expectation propagation puts a Gaussian
pseudo-reading (y*, R*) in its place that moves mean and variance as the exact update would, so that smoother and draws stay
as they are. Offset and slope are learnt by EM: a probit regression of missing on the signal, averaged over its posterior.

Assumed: values vanish by themselves, through one threshold a sensor. What vanishes because of something else that moves with
the sensor looks the same. Cells in long gaps say nothing: they are taken for outages.

Sources: Heckman 1979 (selection); Rasmussen & Williams 2006, eqs. 3.85-3.87 (probit moments); Minka 2001 (expectation
propagation); Little & Rubin 2002, ch. 15 (missing not at random).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_ndtr

from rcgnn.data.process_rules import gaps
from rcgnn.series import BoolArray, FloatArray
from rcgnn.signal.statespace import Posterior, Readings, Selection

LONGEST_GAP = 20
"""Longer gaps are outages: their cells are no evidence."""
MOST_SLOPE = 5.0
"""No threshold is sharper than a fifth of a sensor's sd: it would be read off a handful of cells."""
SLOPE_PRIOR = 0.25
"""Precision of the slope's prior around 0: worth less than one cell."""
LEAST_Z = 3.0
"""Missing must depend on the smoothed signal by so many standard errors, or a sensor has no selection model."""
LEAST_PRECISION = 1e-4
"""Weaker pseudo-readings are left out; a reading's own precision is about 100."""
NEAR = 0.25
"""A threshold lies among a sensor's readings, or not further outside than this many sd; or it is not believed."""
NEWTON = 8
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@dataclass(frozen=True, eq=False)
class Hidden:
    """What the missing cells say at this point of the inference.

    Attributes:
        selection: how readings vanish.
        cells: [T, N] missing cells that may be evidence.
        precision: [T, N] 1 / R* of the pseudo-readings; 0 where there is none.
        shift: [T, N] y* / R*.
    """

    selection: Selection
    cells: BoolArray
    precision: FloatArray
    shift: FloatArray


def tilted(mean: FloatArray, variance: FloatArray, slope: FloatArray, offset: FloatArray) -> tuple[FloatArray, FloatArray]:
    """First two derivatives g, -w of ln Z(m), Z = int N(x; m, v) Phi(slope x - offset) dx = Phi(u).

        u = (slope m - offset) / d,   d^2 = 1 + slope^2 v,   h = phi(u) / Phi(u),   g = slope h / d,   w = slope^2 h (u + h) / d^2

    The cell's signal then has mean m + v g and variance v - v^2 w. Source: Rasmussen & Williams 2006, eqs. 3.85-3.87.

    Args:
        mean: m, any shape.
        variance: v, at least 0.
        slope: of the probit.
        offset: of the probit.

    Example:
        >>> g, w = tilted(np.array([0.0]), np.array([1.0]), np.array([1e6]), np.array([0.0]))  # x > 0: half a normal
        >>> bool(abs(g[0] - (2 / np.pi) ** 0.5) < 1e-6), bool(abs(1 - w[0] - (1 - 2 / np.pi)) < 1e-6)
        (True, True)
    """
    deep = np.sqrt(1 + slope**2 * variance)
    u = (slope * mean - offset) / deep
    hazard = _hazard(u)
    return slope * hazard / deep, slope**2 * np.clip(hazard * (u + hazard), 0.0, 1.0) / deep**2


def pseudo_reading(mean: FloatArray, variance: FloatArray, slope: FloatArray, offset: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(1 / R*, y* / R*) of the Gaussian reading that updates N(mean, variance) to the tilted moments: y* = m + g / w, R* = 1 / w - v."""
    g, w = tilted(mean, variance, slope, offset)
    left = 1 - variance * w
    usable = left > 1e-9
    left = np.where(usable, left, 1.0)
    return np.where(usable, w / left, 0.0), np.where(usable, (w * mean + g) / left, 0.0)


def begin(readings: Readings, selection: Selection | None = None) -> Hidden | None:
    """Nothing inferred yet; None where no cell is under suspicion. `selection`: how readings vanish, where that is known."""
    if readings.suspects is None:
        return None
    zero, nothing = np.zeros(readings.mask.shape[1]), np.zeros(readings.mask.shape)
    cells = readings.suspects & _short_gaps(readings)
    if selection is None:
        return Hidden(Selection(zero, zero, zero), cells, nothing, nothing)
    return Hidden(selection, cells & selection.used, nothing, nothing)


def doubtful(selection: Selection, readings: Readings) -> BoolArray:
    """[N] sensors whose readings end more than `NEAR` before the threshold: it is extrapolated, and nothing shows it."""
    used = selection.used
    size = np.where(used, selection.slope, 1.0)
    threshold = selection.offset / size
    low = np.where(readings.mask, readings.values, np.inf).min(axis=0)
    high = np.where(readings.mask, readings.values, -np.inf).max(axis=0)
    return np.asarray(used & ((threshold < low - NEAR) | (threshold > high + NEAR)))


def completed(readings: Readings, hidden: Hidden | None) -> Readings:
    """Readings around their level, pseudo-readings where cells are hidden; the same object where nothing is."""
    if hidden is None:
        return readings
    there = hidden.precision >= LEAST_PRECISION
    size = np.where(there, hidden.precision, 1.0)
    values = np.where(there, hidden.shift / size, readings.values) - hidden.selection.level
    return replace(readings, values=values, mask=readings.mask | there, spread=np.where(there, 1 / size, np.nan))


def renewed(readings: Readings, hidden: Hidden | None, posterior: Posterior, *, learn: bool = True) -> Hidden | None:
    """Pseudo-readings after one more round; with `learn` also the selection model.

    A pseudo-reading is taken out of the posterior of its cell, and what the missing cell says is put in again.

    Args:
        readings: the data, without pseudo-readings.
        hidden: the state that `posterior` was inferred with.
        posterior: of `completed(readings, hidden)`.
        learn: one M-step of offset, slope and level before.
    """
    if hidden is None:
        return None
    mean, variance = posterior.mean + hidden.selection.level, np.maximum(posterior.variance, 1e-9)
    selection = _learnt(readings, hidden, mean, variance) if learn else hidden.selection
    used = hidden.precision >= LEAST_PRECISION
    own = np.where(used, hidden.precision, 0.0)
    left = np.maximum(1 / variance - own, 1e-3)
    outside = (mean / variance - np.where(used, hidden.shift, 0.0)) / left
    precision, shift = pseudo_reading(outside, 1 / left, selection.slope, selection.offset)
    cells = hidden.cells & selection.used
    return Hidden(selection, cells, np.where(cells, precision, 0.0), np.where(cells, shift, 0.0))


def _learnt(readings: Readings, hidden: Hidden, mean: FloatArray, variance: FloatArray) -> Selection:
    """One M-step: offset, slope and level given the posterior of the last round [T, N]."""
    old = hidden.selection
    slope, offset, level = np.zeros((3, len(old.slope)))
    first = not old.used.any()
    for j in np.flatnonzero(hidden.cells.any(axis=0)):
        here = hidden.cells[:, j]
        known = readings.mask[:, j]
        unsure = mean[here, j, None] + np.sqrt(variance[here, j, None]) * NODES
        x = np.concatenate([readings.values[known, j], unsure.ravel()])
        weight = np.concatenate([np.ones(known.sum()), np.tile(WEIGHTS, here.sum())])
        side = np.where(np.arange(len(x)) < known.sum(), -1.0, 1.0)
        found = probit(x, side, weight, (float(old.slope[j]), float(old.offset[j])))
        if not first or abs(found[2]) >= LEAST_Z:
            slope[j], offset[j], level[j] = found[0], found[1], mean[:, j].mean()
    return Selection(slope, offset, level)


def probit(x: FloatArray, side: FloatArray, weight: FloatArray, start: tuple[float, float]) -> tuple[float, float, float]:
    """Slope, offset and z of the slope of `P(side = 1 | x) = Phi(slope x - offset)`, by weighted maximum likelihood.

    Args:
        x: [n] signal.
        side: [n] 1 missing, -1 read.
        weight: [n] of each case.
        start: slope and offset to begin with.
    """
    design = np.stack([x, -np.ones(len(x))])
    beta = np.array(start, float)
    if not beta.any():
        beta[1] = -1.0 if weight[side > 0].sum() > weight[side < 0].sum() else 1.0
    penalty = np.array([SLOPE_PRIOR, 1e-3])
    for _ in range(NEWTON):
        u = side * (beta @ design)
        hazard = _hazard(u)
        pull = design @ (weight * side * hazard) - penalty * beta
        curve = (design * (weight * np.clip(hazard * (u + hazard), 1e-9, 1.0))) @ design.T + np.diag(penalty)
        step = np.linalg.solve(curve, pull)
        beta = beta + step / max(1.0, np.abs(step).max())
        if abs(beta[0]) > MOST_SLOPE:
            beta *= MOST_SLOPE / abs(beta[0])
    error = np.sqrt(np.linalg.inv(curve)[0, 0])
    return float(beta[0]), float(beta[1]), float(beta[0] / error)


def _hazard(u: FloatArray) -> FloatArray:
    """phi(u) / Phi(u), finite everywhere."""
    return np.asarray(np.exp(-0.5 * u**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(u)))


def _short_gaps(readings: Readings) -> BoolArray:
    """[T, N] missing cells of gaps of at most `LONGEST_GAP` rows."""
    out = np.zeros(readings.mask.shape, bool)
    for part in readings.segments:
        for j, seen in enumerate(readings.mask[part].T):
            for start, stop in gaps(~seen).tolist():
                if stop - start <= LONGEST_GAP:
                    out[part.start + start : part.start + stop, j] = True
    return out
