"""Lagged cross-correlation: what a spreadsheet would do."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from rcgnn.baselines.lagged import Lagged
from rcgnn.graph import LINK, NONE, CausalGraph
from rcgnn.series import Series


def correlation(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:  # noqa: ARG001 - no chance in it
    """Is x_i(t-k) correlated with x_j(t)?

    Score: |r| of lags 1 ... K (lag 0 has no direction). Link: Fisher's |atanh r| sqrt(n - 3) beyond the normal quantile of
    alpha / 2 after Bonferroni over all pairs and lags. Memory and common causes are ignored, so almost everything is a link.

    Args:
        series: readings; gaps are filled linearly.
        max_lag: K.
        alpha: family-wise error level.
        seed: not used.

    Example:
        >>> from rcgnn.synth import simulate
        >>> s = simulate("linear", seed=1, rows=800, sensors=4)
        >>> correlation(s.series, max_lag=3).score.shape
        (4, 4, 4)
    """
    table = Lagged.of(series, max_lag)
    rows, lags, sensors = table.shape
    if rows <= 3:
        return table.undecidable()
    spread = np.linalg.norm(table.past, axis=0)[:, :, None] * np.linalg.norm(table.now, axis=0)
    product = np.einsum("nki,nj->kij", table.past, table.now)
    r = np.zeros((lags + 1, sensors, sensors))
    r[1:] = product / np.where(spread > 0, spread, np.inf)
    score = np.minimum(np.abs(r), 1.0)
    tests = max(1, lags * sensors * (sensors - 1))
    limit = np.tanh(-ndtri(alpha / (2 * tests)) / np.sqrt(rows - 3))
    return table.graph(score, np.where(score > limit, LINK, NONE).astype(np.int8), strength=r)
