"""cMLP: neural Granger causality, one small network per sensor whose inputs close in groups."""

from __future__ import annotations

import numpy as np

from rcgnn.baselines.lagged import Lagged
from rcgnn.graph import LINK, NONE, CausalGraph
from rcgnn.numerics import generator, one_thread
from rcgnn.series import Series

LEAST_ROWS = 20


def cmlp(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:  # noqa: ARG001 - one signature
    """Whose past does a network that foretells sensor j still read?

        x_j(t) = sum_h v_jh tanh(b_jh + sum_{k,i} W_kijh x_i(t-k)) + offset_j + error
        min  |x_j - f_j|^2 / 2n + ridge |v_j|^2 / 2 + lambda_j sum_i (a |W_.ij.| + (1-a) sum_k |W_kij.|)

    by proximal gradient descent (`component_mlp`). The penalty is the paper's mixed one (group sparse group lasso): it closes sensors, and
    single lags of the sensors that stay. Score: |W_kij.|, the norm over the hidden units, of standardised sensors; a group that
    is not exactly zero is a link. A norm has no sign, so strength stays 0. Nothing is asked about lag 0.

    Penalty: the last fifth of the rows is held out as one block. From a random open network lambda is raised by sqrt(2) until
    every group of every sensor is zero, each fit from the one before. A sensor's lambda is the largest whose held-out error is
    within one standard error of the least; the chosen networks are fitted once more to all rows. The way is up because the
    closed network is a trap: with W = 0 the slope of an even curve (x^2) is zero, and on the way down it stays closed.

    Source: Tank, Covert, Foti, Shojaie and Fox 2021, "Neural Granger causality", IEEE TPAMI, eq. 10 (2018 as
    arXiv:1802.05842). From an open network to a closed one: Lemhadri et al. 2021, "LassoNet", JMLR.

    Args:
        series: readings; gaps are filled linearly.
        max_lag: K.
        alpha: not used; the penalty decides.
        seed: start of the networks.

    Raises:
        ConfigError: max_lag below 1.

    Example:
        >>> from rcgnn.synth import simulate
        >>> s = simulate("linear", seed=1, rows=200, sensors=3)
        >>> cmlp(s.series, max_lag=2).score.shape
        (3, 3, 3)
    """
    table = Lagged.of(series, max_lag)
    rows, lags, sensors = table.shape
    if rows < LEAST_ROWS or sensors == 0:
        return table.undecidable()
    from rcgnn.baselines.component_mlp import fit  # here, because it loads torch

    order = np.lexsort(table.now[::-1])  # by the readings, so that the order of columns changes nothing
    with one_thread():
        found = fit(table.past[:, :, order].reshape(rows, -1), table.now[:, order], generator(seed, "cmlp"))
    back = np.argsort(order)
    score = np.zeros((lags + 1, sensors, sensors))
    score[1:] = found.size[:, back][:, :, back]
    return table.graph(score, np.where(score > 0, LINK, NONE).astype(np.int8))
