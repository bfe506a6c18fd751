"""Strength of each link, refitted without penalty on the chosen features."""

from __future__ import annotations

import numpy as np

from rcgnn.screen.features import HIDDEN
from rcgnn.screen.structural import Screened
from rcgnn.series import FloatArray


def strengths(screened: Screened) -> FloatArray:
    """Standardised effect of each link, signed.

        strength[k, i, j] = sign(cov(m, x_i(t-k))) sd(m) / sd(x_j),     m = sum over the features f of (i, k) of b_f f

    with b the least-squares coefficients of the final model of j. For one linear feature this is the standardised
    coefficient; for a curved response it is the size of the swing that i causes. A product of two sensors counts for both.

    Returns:
        [K+1, N, N]; 0 where the search chose nothing; the diagonal of k >= 1 holds the sensor's own memory.
    """
    if screened.strength is not None:
        return screened.strength
    sensors, max_lag = screened.tables.sensors, screened.tables.max_lag
    strength = np.zeros((max_lag + 1, sensors, sensors))
    for j, (features, local) in enumerate(zip(screened.features, screened.ordered.locals, strict=True)):
        used = np.concatenate([local.forced, local.chosen])
        b = local.given.coefficients
        for k in range(max_lag + 1):
            for i in np.setdiff1d(features.owner[used[features.lag[used] == k]], [HIDDEN]):
                mine = (features.lag[used] == k) & (features.owner[used] == i).any(axis=1)
                if i == j and k > 0:
                    mine &= (features.owner[used] == j).all(axis=1)
                picked, weight = used[mine], b[mine]
                rows = features.gram.rows(np.append(picked, features.plain[k, i]))[:, picked]
                swing, lean = weight @ rows[:-1] @ weight, weight @ rows[-1]
                strength[k, i, j] = np.sqrt(max(swing, 0.0)) * (1.0 if lean >= 0 else -1.0)
    return strength
