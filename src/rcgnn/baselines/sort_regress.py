"""Sort and regress: whether a benchmark gives its causal order away by variances or by R2. Not a method, a warning."""

from __future__ import annotations

import numpy as np

from rcgnn.baselines.lagged import RIDGE, Lagged, Regression, evidence
from rcgnn.graph import LINK, NONE, CausalGraph
from rcgnn.series import FloatArray, Series


def sort_regress(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:  # noqa: ARG001 - no chance in it
    """Sensors with a smaller variance, in their own units, drive those with a larger one.

    Every sensor is regressed on its own past and on the sensors before it at lags 0 ... K. Score: |b| in standard deviations;
    link: t test below alpha after Bonferroni over everything that was asked. A change of units changes the answer.

    Source: Reisach, Seiler and Weichwald 2021, "Beware of the simulated DAG!".

    Args:
        series: readings; gaps are filled linearly.
        max_lag: K.
        alpha: family-wise error level.
        seed: not used.

    Example:
        >>> from rcgnn.synth import simulate
        >>> s = simulate("linear", seed=1, rows=800, sensors=4)
        >>> sort_regress(s.series, max_lag=3).score.shape
        (4, 4, 4)
    """
    table = Lagged.of(series, max_lag)
    return _regress(table, table.log_sd, alpha)


def r2_sort_regress(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:  # noqa: ARG001 - no chance in it
    """Sensors that the others explain less well drive those that they explain better; otherwise as `sort_regress`.

    Formula:
        R2_j = 1 - 1 / (C^-1)_jj, C the correlation matrix of one time step. Units do not matter.

    Source: Reisach et al. 2023, "A scale-invariant sorting criterion to find a causal order in additive noise models".

    Args:
        series: readings; gaps are filled linearly.
        max_lag: K.
        alpha: family-wise error level.
        seed: not used.
    """
    table = Lagged.of(series, max_lag)
    rows, _, sensors = table.shape
    if rows <= sensors:
        return table.undecidable()
    correlation = table.now.T @ table.now / rows + RIDGE * np.eye(sensors)
    explained = 1.0 - 1.0 / (np.diag(correlation) * np.diag(np.linalg.inv(correlation)))
    return _regress(table, explained, alpha)


def _regress(table: Lagged, key: FloatArray, alpha: float) -> CausalGraph:
    """Regress every sensor on those with a smaller key."""
    rows, lags, sensors = table.shape
    if rows <= (lags + 1) * sensors + 1:
        return table.undecidable()
    tests = max(1, (lags + 1) * sensors * (sensors - 1) // 2)
    effect = np.zeros((lags + 1, sensors, sensors))
    proof = np.zeros((lags + 1, sensors, sensors))
    window = np.concatenate([table.now[:, None], table.past], axis=1)
    for j in range(sensors):
        use = np.broadcast_to(key < key[j], (lags + 1, sensors)).copy()
        use[1:, j] = True
        fitted = Regression.of(window[:, use], table.now[:, [j]])
        effect[:, :, j][use] = fitted.coefficient[:, 0]
        proof[:, :, j][use] = evidence(fitted.t_squared()[:, 0], 1, fitted.free)
    verdict = np.where(proof > -np.log10(alpha / tests), LINK, NONE).astype(np.int8)
    return table.graph(np.abs(effect), verdict, strength=effect)
