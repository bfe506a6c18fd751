"""Do the links differ between operating modes? One equation a mode, a test for each link, and strengths by mode where it is needed.

In mode r the equation of sensor j is refitted on the rows of that mode alone, intercept and own past included: a mode may have another
level and another memory without any link having changed.

    z_j(t) = c_rj + sum_k a_rkj z_j(t-k) + sum over links (k, i) of b_rkij z_i(t-k) + e(t)

H0 of a link: b_r is the same in all modes. With W_r the inverse of the covariance of b_r from blocks of rows drawn inside the mode,
W = sum W_r and b the mean of b_r weighted by W_r, the statistic sum_r (b_r - b)' W_r (b_r - b) is compared with an F distribution
whose second degrees of freedom know that each W_r was estimated from few blocks (Welch 1951 for one number, Johansen 1980 for
several). Holm (1979) over the links of the table decides. A link that is not rejected keeps its one strength; those of a sensor that
are rejected get one for each mode, from a fit in which the other links are common to all modes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import fdtrc, stdtrit

from rcgnn.mechanism.blocks import Blocks, solve
from rcgnn.mechanism.refit import LEAST_BLOCKS, Material, regression
from rcgnn.series import BoolArray, FloatArray, IntArray

ROWS_PER_COEFFICIENT = 5
"""A mode with fewer rows for each coefficient, or with fewer blocks than an interval needs, says nothing about a sensor."""
STILL = 0.01
"""A sensor whose sd within a mode is below this share of its sd in the table is held there: it shows no slope."""
LEAST_DEGREES = 3


@dataclass(frozen=True, eq=False)
class Modes:
    """What was found, link by link. R modes, L links, n sensors.

    Attributes:
        names: R modes that occur in the table.
        links: [L, 3] (k, i, j).
        p: [L] p-value of "the same in all modes"; NaN where fewer than two modes could say anything.
        differs: [L] rejected after Holm.
        sensor_p: [n] p-value of "no link into this sensor differs"; NaN where nothing could be tested.
        coefficient: [L, R] b of the links that differ, in z; NaN elsewhere, and in modes that say nothing.
        margin: [L, R] half the width of its 95 % interval.
    """

    names: tuple[str, ...]
    links: IntArray
    p: FloatArray
    differs: BoolArray
    sensor_p: FloatArray
    coefficient: FloatArray
    margin: FloatArray


def compare(material: Material, links: IntArray, max_lag: int, rng: np.random.Generator, alpha: float) -> Modes | None:
    """Test every link for a difference between modes, and refit those that differ.

    Args:
        material: signal draws and units; the modes are those of its table.
        links: [L, 3] (k, i, j), without own memory.
        max_lag: K.
        rng: for the blocks.
        alpha: family-wise error level over the links.

    Returns:
        None where the table has one mode.
    """
    present = np.unique(material.table.regime)
    if len(present) < 2:
        return None
    parts = _parts(material, present, max_lag, rng)
    n = material.draws.shape[2]
    p, sensor_p = np.full(len(links), np.nan), np.full(n, np.nan)
    equations = {}
    for j in np.unique(links[:, 2]).tolist():
        at = np.flatnonzero(links[:, 2] == j)
        equations[j] = [_Equation.of(material, part, links[at], max_lag) for part in parts]
        p[at] = [_tested(equations[j], np.array([which])) for which in range(len(at))]
        sensor_p[j] = _tested(equations[j], np.arange(len(at)))
    differs = holm(p, alpha)
    coefficient, margin = np.full((len(links), len(parts)), np.nan), np.full((len(links), len(parts)), np.nan)
    for j, modes in equations.items():
        at = np.flatnonzero(links[:, 2] == j)
        coefficient[at], margin[at] = _by_mode(modes, differs[at], max_lag)
    names = tuple(material.table.regime_names[r] for r in present)
    return Modes(names, links, p, differs, sensor_p, coefficient, margin)


def equal(b: FloatArray, covariance: FloatArray, degrees: FloatArray) -> float:
    """p-value of H0 "the R vectors have one mean" under unequal, estimated covariances.

        T = sum_r (b_r - b)' W_r (b_r - b),    A = 1/2 sum_r [tr (I - W^-1 W_r)^2 + (tr (I - W^-1 W_r))^2] / nu_r
        T / c ~ F(f, f (f + 2) / (3 A)),       c = f + 2 A - 6 A / (f + 2),    f = d (R - 1)

    Args:
        b: [R, d] estimates.
        covariance: [R, d, d] their covariances.
        degrees: [R] nu, degrees of freedom behind each covariance.

    Source: Johansen 1980, "The Welch-James approximation", Biometrika 67; for d = 1 it is Welch 1951, eq. 3.

    Example:
        >>> one = np.ones((2, 1, 1))
        >>> round(equal(np.array([[0.0], [2.0]]), one, np.array([20.0, 20.0])), 3)  # Welch's t = 1.414 with 40 degrees
        0.165
    """
    weight = np.linalg.pinv(covariance, hermitian=True)
    inverse = np.linalg.pinv(weight.sum(axis=0), hermitian=True)
    off = b - np.einsum("ab,rbc,rc->a", inverse, weight, b)
    statistic = float(np.einsum("ra,rab,rb->", off, weight, off))
    rest = np.eye(b.shape[1]) - inverse @ weight
    trace = np.trace(rest, axis1=1, axis2=2)
    a = float(0.5 * ((np.trace(rest @ rest, axis1=1, axis2=2) + trace**2) / degrees).sum())
    free = float(b.shape[1] * (len(b) - 1))
    scale = free + 2.0 * a - 6.0 * a / (free + 2.0)
    return float(fdtrc(free, free * (free + 2.0) / (3.0 * a), max(statistic / scale, 0.0)))


def holm(p: FloatArray, alpha: float) -> BoolArray:
    """[L] rejected by Holm's step-down at family-wise level alpha; NaN is no test and never rejected.

    Example:
        >>> holm(np.array([0.02, 0.5, 0.001, np.nan]), 0.05).tolist()
        [True, False, True, False]
    """
    rejected = np.zeros(len(p), bool)
    order = [int(i) for i in np.argsort(p, kind="stable") if np.isfinite(p[i])]
    for rank, i in enumerate(order):
        if p[i] > alpha / (len(order) - rank):
            break
        rejected[i] = True
    return rejected


@dataclass(frozen=True, eq=False)
class _Part:
    """The rows of one mode whose whole past is in it, and blocks of them."""

    time: IntArray
    blocks: Blocks


def _parts(material: Material, present: IntArray, max_lag: int, rng: np.random.Generator) -> list[_Part]:
    runs = [np.arange(s.start + max_lag, s.stop) for s in material.table.segments()]
    time = np.concatenate([*runs, np.zeros(0, np.int64)]).astype(np.int64)
    mode = material.table.regime[time]
    draws = len(material.draws)
    return [_Part(time[mode == r], Blocks.of(int((mode == r).sum()), draws, rng)) for r in present.tolist()]


@dataclass(frozen=True, eq=False)
class _Equation:
    """One sensor in one mode: columns are intercept, K own lags, L links, and the target last.

    Attributes:
        once: [w, w] sums of squares and products.
        again: [B, w, w] the same on resampled blocks.
        moves: [L] links whose cause moves in this mode.
        degrees: blocks less one; 0 where the mode says nothing about this sensor.
        inflate: n / (n - p), for what least squares takes off the residuals (MacKinnon & White 1985).
    """

    once: FloatArray
    again: FloatArray
    moves: BoolArray
    degrees: int
    inflate: float

    @classmethod
    def of(cls, material: Material, part: _Part, links: IntArray, max_lag: int) -> _Equation:
        draws, j = material.draws, int(links[0, 2])
        lag = np.concatenate([np.arange(1, max_lag + 1), links[:, 0]])
        source = np.concatenate([np.full(max_lag, j), links[:, 1]])
        terms = np.stack([lag, source, np.full(len(lag), j)], axis=1)
        each, again = part.blocks.moments(regression(replace(material, read=None), part.time, terms, j))
        once = each.mean(axis=0)
        rows = float(once[0, 0])
        spread = draws.var(axis=(0, 1))[np.append(source, j)]
        variance = once.diagonal()[1:] / max(rows, 1.0) - (once[0, 1:] / max(rows, 1.0)) ** 2
        moves = variance > STILL**2 * spread
        width = len(once) - 1
        enough = rows >= max(ROWS_PER_COEFFICIENT * width, LEAST_BLOCKS * part.blocks.length) and bool(moves[-1])
        degrees = int(rows) // part.blocks.length - 1 if enough else 0
        return cls(once, again, moves[max_lag:-1], degrees, rows / (rows - width) if enough else 1.0)

    def fit(self) -> tuple[FloatArray, FloatArray]:
        """[L] coefficients of the links and [B, L] on the resamples; 0 where the cause does not move."""
        width = len(self.once) - 1
        own = width - len(self.moves)
        use = np.append(np.flatnonzero(np.append(np.ones(own, bool), self.moves)), width)
        picked = np.concatenate([self.once[None], self.again])[:, use[:, None], use]
        b = np.zeros((len(picked), len(self.moves)))
        b[:, self.moves] = solve(picked)[:, own:]
        return b[0], b[1:]


def _tested(equations: Sequence[_Equation], which: IntArray) -> float:
    """p-value of "these links are the same in all modes"; a mode in which one of their causes is held is left out."""
    known = [e for e in equations if e.degrees >= LEAST_DEGREES + len(which) and e.moves[which].all()]
    if len(known) < 2:
        return float("nan")
    found = [e.fit() for e in known]
    covariance = [np.atleast_2d(np.cov(again[:, which].T)) * e.inflate for e, (_, again) in zip(known, found, strict=True)]
    return equal(np.array([b[which] for b, _ in found]), np.array(covariance), np.array([float(e.degrees) for e in known]))


def _by_mode(equations: Sequence[_Equation], differs: BoolArray, max_lag: int) -> tuple[FloatArray, FloatArray]:
    """[L, R] coefficients of the links that differ and half their intervals, all other links common to the modes; NaN elsewhere."""
    coefficient, margin = np.full((2, len(differs), len(equations)), np.nan)
    if not differs.any():
        return coefficient, margin
    own, common = 1 + max_lag, np.flatnonzero(~differs)
    place: list[tuple[IntArray, IntArray]] = []
    width = len(common)
    for e in equations:
        mine = np.concatenate([np.arange(own), own + np.flatnonzero(differs & e.moves)]) if e.degrees else np.zeros(0, np.int64)
        place.append((mine, width + np.arange(len(mine))))
        width += len(mine)
    total = np.zeros((1 + len(equations[0].again), width + 1, width + 1))
    for e, (mine, to) in zip(equations, place, strict=True):
        if e.degrees:
            here, there = np.concatenate([own + common, mine, [-1]]), np.concatenate([np.arange(len(common)), to, [width]])
            total[:, there[:, None], there] += np.concatenate([e.once[None], e.again])[:, here[:, None], here]
    b = solve(total)
    half = b[1:].std(axis=0, ddof=1)
    for r, (e, (mine, to)) in enumerate(zip(equations, place, strict=True)):
        links, columns = mine[own:] - own, to[own:]
        coefficient[links, r] = b[0, columns]
        margin[links, r] = stdtrit(max(e.degrees, 1), 0.975) * half[columns] * np.sqrt(e.inflate)
    return coefficient, margin
