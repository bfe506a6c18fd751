"""Lasso on a vector autoregression, the penalty chosen by BIC along the path."""

from __future__ import annotations

import warnings

import numpy as np

from rcgnn.baselines.lagged import LEAST_RSS, Lagged
from rcgnn.graph import LINK, NONE, CausalGraph
from rcgnn.series import FloatArray, Series

MOST_FEATURES = 0.5
"""At most this many coefficients per row, so that BIC is never asked about a perfect fit."""


def lasso_var(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:  # noqa: ARG001 - one signature
    """Which sensors' past does the lasso keep?

    For every sensor j: min_b |y - X b|^2 / 2n + lambda |b|_1 over the past of all sensors, t-1 ... t-K, the whole path by
    least-angle regression; lambda is where n ln(RSS / n) + df ln n is smallest (df: coefficients that are not zero).
    Score: |b| in standard deviations; a coefficient that is kept is a link.

    Source: Efron et al. 2004, "Least angle regression"; Zou, Hastie and Tibshirani 2007, degrees of freedom of the lasso.

    Args:
        series: readings; gaps are filled linearly.
        max_lag: K.
        alpha: not used; BIC decides.
        seed: not used.

    Example:
        >>> from rcgnn.synth import simulate
        >>> s = simulate("linear", seed=1, rows=800, sensors=4)
        >>> lasso_var(s.series, max_lag=3).score.shape
        (4, 4, 4)
    """
    table = Lagged.of(series, max_lag)
    rows, lags, sensors = table.shape
    if rows * MOST_FEATURES < 1 or sensors == 0:
        return table.undecidable()
    gram, cross = table.regressors.T @ table.regressors, table.regressors.T @ table.now
    power = (table.now**2).sum(axis=0)
    chosen = np.stack([_by_bic(gram, cross[:, j], float(power[j]), rows) for j in range(sensors)], axis=1)
    strength = np.zeros((lags + 1, sensors, sensors))
    strength[1:] = chosen.reshape(lags, sensors, sensors)
    return table.graph(np.abs(strength), np.where(strength != 0, LINK, NONE).astype(np.int8), strength=strength)


def _by_bic(gram: FloatArray, cross: FloatArray, power: float, rows: int) -> FloatArray:
    """[p] coefficients at the knot of the path with the smallest BIC."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import lars_path_gram

    steps = max(1, min(len(gram), int(MOST_FEATURES * rows)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # copies: the path ends early, as it should
        _, _, path = lars_path_gram(cross, gram, n_samples=rows, method="lasso", max_iter=steps, copy_Gram=True)
    rss = power - 2 * cross @ path + np.einsum("pk,pq,qk->k", path, gram, path)
    bic = rows * np.log(np.maximum(rss, LEAST_RSS * rows) / rows) + np.log(rows) * (path != 0).sum(axis=0)
    return np.asarray(path[:, np.argmin(bic)])
