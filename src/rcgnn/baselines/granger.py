"""Granger's test on a vector autoregression, plain and behind a five-line front end: the bar that a network has to clear."""

from __future__ import annotations

import numpy as np
from scipy.stats import false_discovery_control

from rcgnn.baselines.lagged import Lagged, Regression, evidence, off_diagonal
from rcgnn.data.marks import unit_size
from rcgnn.data.quality_rules import MAD_TO_SD, nan_median
from rcgnn.data.rolling import rolling
from rcgnn.graph import LINK, NONE, CausalGraph
from rcgnn.series import Series

HAMPEL_WINDOW = 25
HAMPEL_MAD = 5.0
TREND_WINDOW = 101


def granger(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:  # noqa: ARG001 - no chance in it
    """Does the past of i help to foretell j beyond the past of all others?

    One regression of x_j(t) on the past of every sensor, t-1 ... t-K; F test of the K coefficients of i; Benjamini-Hochberg
    over all pairs. Score of a pair: -log10 p. A lag's score is its t test's -log10 p, scaled so that the pair's best lag has
    the pair's score. A found pair is a link at its best lag and at every lag whose t test stays below alpha / K.

    Source: Granger 1969, "Investigating causal relations by econometric models"; Benjamini and Hochberg 1995.

    Args:
        series: readings; gaps are filled linearly.
        max_lag: K.
        alpha: false-discovery rate.
        seed: not used.

    Example:
        >>> from rcgnn.synth import simulate
        >>> s = simulate("linear", seed=1, rows=800, sensors=4)
        >>> granger(s.series, max_lag=3).score.shape
        (4, 4, 4)
    """
    table = Lagged.of(series, max_lag)
    rows, lags, sensors = table.shape
    if rows <= lags * sensors + 1:
        return table.undecidable()
    fitted = Regression.of(table.regressors, table.now)
    pair = np.stack([evidence(fitted.f(np.arange(i, lags * sensors, sensors)), lags, fitted.free) for i in range(sensors)])
    single = evidence(fitted.t_squared(), 1, fitted.free).reshape(lags, sensors, sensors)
    best = single.max(axis=0)
    score = np.zeros((lags + 1, sensors, sensors))
    score[1:] = np.where(single == best, pair, single * pair / np.where(best > 0, best, 1.0))
    found = np.zeros((sensors, sensors), bool)
    off = off_diagonal(sensors)
    if off.any():
        found[off] = false_discovery_control(10.0 ** -pair[off]) < alpha
    verdict = np.full(score.shape, NONE, np.int8)
    verdict[1:][found & ((single == best) | (single > -np.log10(alpha / lags)))] = LINK
    strength = np.zeros(score.shape)
    strength[1:] = fitted.coefficient.reshape(lags, sensors, sensors)
    return table.graph(score, verdict, strength=strength)


def granger_clean(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:
    """`granger` behind `front_end`: what a network has to beat to have a reason to exist.

    Args:
        series: readings.
        max_lag: K.
        alpha: false-discovery rate.
        seed: not used.
    """
    return granger(front_end(series), max_lag=max_lag, alpha=alpha, seed=seed)


def front_end(series: Series) -> Series:
    """Spikes become missing, a centred rolling mean of 101 rows is taken off.

    A spike is further than 5 x 1.4826 MAD from the rolling median of 25 rows. Other than `data.cleaning` it judges nothing:
    the same five lines for every sensor.

    Example:
        >>> x = np.sin(np.arange(200.0) / 3)[:, None]; x[50] = 40
        >>> np.flatnonzero(~front_end(Series.of(x)).mask).tolist()
        [50]
    """
    x, unit = unit_size(series)
    residual = np.abs(x - rolling(x, series.segments(), HAMPEL_WINDOW, "median"))
    limit = HAMPEL_MAD * MAD_TO_SD * nan_median(residual)
    kept = series.mask & ~((residual > limit) & (limit > 0))
    x = np.where(kept, x, np.nan)
    x = x - rolling(x, series.segments(), TREND_WINDOW, "mean")
    return series.with_values(x * unit, kept)
