"""What the regression baselines share: gaps filled linearly, sensors standardised, present and past side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, hyp2f1

from rcgnn.data.marks import unit_size
from rcgnn.errors import ConfigError
from rcgnn.graph import LINK, NONE, UNDECIDED, CausalGraph
from rcgnn.series import FloatArray, IntArray, Series
from rcgnn.signal.interpolate import interpolate

TOO_FEW_ROWS = "too few rows for a test"
DOES_NOT_VARY = "its readings do not vary"
RIDGE = 1e-9
"""Share of a sensor's variance added to the Gram matrix, so that copies share an effect instead of ending the run."""
LEAST_RSS = 1e-12
"""Smallest share of a sensor's variance that counts as unexplained."""


@dataclass(frozen=True, eq=False)
class Lagged:
    """A table made ready for regressions, over the m sensors that vary.

    Attributes:
        series: where it came from.
        active: [m] the sensors, as columns of the series.
        now: [n, m] x(t), centred.
        past: [n, K, m] x(t-1) ... x(t-K), centred; no row reaches over the start of a segment.
        log_sd: [m] log of the standard deviation in sensor units.
    """

    series: Series
    active: IntArray
    now: FloatArray
    past: FloatArray
    log_sd: FloatArray

    @classmethod
    def of(cls, series: Series, max_lag: int) -> Lagged:
        """Interpolate, standardise, cut.

        Raises:
            ConfigError: max_lag below 1.

        Example:
            >>> table = Lagged.of(Series.of([[0.0, 5.0], [1.0, 5.0], [float("nan"), 5.0], [3.0, 5.0]]), max_lag=1)
            >>> table.active.tolist(), table.now.shape, table.past.shape
            ([0], (3, 1), (3, 1, 1))
        """
        if max_lag < 1:
            raise ConfigError(f"baseline: max_lag must be at least 1, got {max_lag}.")
        x, unit = unit_size(series)
        count = np.maximum(series.mask.sum(axis=0), 1)
        x = x - np.where(series.mask, x, 0.0).sum(axis=0) / count
        segments = series.segments()
        filled = interpolate(x, series.mask, segments)
        active = np.flatnonzero(np.ptp(filled, axis=0) > 8 * np.finfo(np.float64).eps)
        filled = filled[:, active]
        sd = filled.std(axis=0)
        filled = filled / sd
        rows = np.concatenate([np.arange(min(s.start + max_lag, s.stop), s.stop) for s in segments])
        now = filled[rows]
        past = np.stack([filled[rows - k] for k in range(1, max_lag + 1)], axis=1)
        if len(rows):
            now, past = now - now.mean(axis=0), past - past.mean(axis=0)
        return cls(series, active, now, past, np.log(sd) + np.log(unit[active]))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, K, m)."""
        rows, lags, sensors = self.past.shape
        return rows, lags, sensors

    @property
    def regressors(self) -> FloatArray:
        """[n, K m] the past in one row: column (k-1) m + i is x_i(t-k)."""
        return self.past.reshape(len(self.past), -1)

    def graph(
        self, score: FloatArray, verdict: NDArray[np.int8], *, strength: FloatArray | None = None, conclusion: str = ""
    ) -> CausalGraph:
        """The graph over all sensors of the series, from arrays [K+1, m, m] over the active ones."""
        size = (len(score), len(self.series.names), len(self.series.names))
        place = np.ix_(np.arange(size[0]), self.active, self.active)
        wide_score, wide_strength, wide_verdict = np.zeros(size), np.zeros(size), np.zeros(size, np.int8)
        wide_score[place], wide_verdict[place] = score, verdict
        if strength is not None:
            wide_strength[place] = np.where((verdict == LINK) & off_diagonal(len(self.active)), strength, 0.0)
        still = set(range(size[1])) - set(self.active.tolist())
        return CausalGraph.of(
            self.series.names,
            wide_score,
            wide_verdict,
            strength=wide_strength,
            quarantined={self.series.names[j]: DOES_NOT_VARY for j in sorted(still)},
            conclusion=conclusion,
        )

    def undecidable(self) -> CausalGraph:
        """The graph when there are not enough rows: every pair of active sensors is open, at every lag."""
        lags, sensors = self.past.shape[1:]
        verdict = np.full((lags + 1, sensors, sensors), UNDECIDED, np.int8)
        verdict[:, np.eye(sensors, dtype=bool)] = NONE
        return self.graph(np.zeros(verdict.shape), verdict, conclusion=f"Undecidable: {TOO_FEW_ROWS}.")


@dataclass(frozen=True, eq=False)
class Regression:
    """Ordinary least squares of several targets on the same regressors.

    Attributes:
        coefficient: [p, m] b = (X'X)^-1 X'y.
        cofactor: [p, p] (X'X)^-1.
        variance: [m] RSS / free.
        free: n - 1 - p degrees of freedom.
    """

    coefficient: FloatArray
    cofactor: FloatArray
    variance: FloatArray
    free: int

    @classmethod
    def of(cls, regressors: FloatArray, targets: FloatArray) -> Regression:
        """Regress centred targets [n, m] on centred regressors [n, p]; needs n > p + 1."""
        rows, width = regressors.shape
        cofactor = np.linalg.inv(regressors.T @ regressors + RIDGE * rows * np.eye(width))
        coefficient = cofactor @ (regressors.T @ targets)
        rss = np.maximum(((targets - regressors @ coefficient) ** 2).sum(axis=0), LEAST_RSS * rows)
        return cls(coefficient, cofactor, rss / (rows - 1 - width), rows - 1 - width)

    def f(self, group: IntArray) -> FloatArray:
        """[m] F statistic of the regressors in `group`, q of them, together: b' C^-1 b / (q s^2), the RSS test written as Wald's."""
        b = self.coefficient[group]
        weight = np.linalg.inv(self.cofactor[np.ix_(group, group)])
        return np.asarray(np.maximum(np.einsum("pm,pq,qm->m", b, weight, b), 0.0) / (len(group) * self.variance))

    def t_squared(self) -> FloatArray:
        """[p, m] squared t statistic of every coefficient."""
        return np.asarray(self.coefficient**2 / (np.diag(self.cofactor)[:, None] * self.variance))


def evidence(f: FloatArray, within: int, free: int) -> FloatArray:
    """-log10 of the F distribution's upper tail, finite however far out.

        P(F > f) = I_x(a, b),  a = free/2, b = within/2, x = free / (free + within f)

    and, where that underflows, its logarithm from x^a (1-x)^b 2F1(a+b, 1; a+1; x) / (a B(a, b)).

    Args:
        f: statistics, >= 0.
        within: numerator degrees of freedom.
        free: denominator degrees of freedom.

    Source: NIST Digital Library of Mathematical Functions, 8.17.8.

    Example:
        >>> evidence(np.array([0.0, 3.84, 1e6]), 1, 10_000).round(2).tolist()
        [0.0, 1.3, 10023.7]
    """
    a, b = free / 2.0, within / 2.0
    x = np.maximum(free / (free + within * f), np.finfo(np.float64).tiny)
    tail = np.asarray(betainc(a, b, x))
    far = tail < 1e-250
    near = np.where(far, 1.0, tail)
    series = hyp2f1(a + b, 1.0, a + 1.0, np.where(far, x, 0.0))
    log_far = a * np.log(x) + b * np.log1p(-np.where(far, x, 0.0)) - np.log(a) - betaln(a, b) + np.log(series)
    return np.asarray(0.0 - np.where(far, log_far, np.log(near)) / np.log(10.0))


def off_diagonal(sensors: int) -> NDArray[np.bool_]:
    """[m, m] True for pairs of two different sensors."""
    return ~np.eye(sensors, dtype=bool)
