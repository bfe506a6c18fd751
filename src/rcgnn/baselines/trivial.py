"""Graphs that look at no reading: the floor under every table of results."""

from __future__ import annotations

import numpy as np

from rcgnn.graph import LINK, NONE, CausalGraph
from rcgnn.numerics import rng
from rcgnn.series import Series


def empty(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:  # noqa: ARG001 - one signature
    """No link anywhere.

    Example:
        >>> empty(Series.of([[1.0, 2.0]]), max_lag=1).links()
        []
    """
    return CausalGraph.empty(series.names, max_lag)


def random(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:  # noqa: ARG001 - one signature
    """Scores by chance, each pair at one lag by chance; as many links as there are sensors.

    Example:
        >>> len(random(Series.of(np.zeros((2, 5))), max_lag=3, seed=0).links())
        5
    """
    sensors = len(series.names)
    draw = rng(seed, "random graph")
    pair = 1.0 - draw.random((sensors, sensors))
    np.fill_diagonal(pair, 0.0)
    at = draw.integers(0, max_lag + 1, (sensors, sensors)) == np.arange(max_lag + 1)[:, None, None]
    score = np.where(at, pair, 0.0)
    verdict = np.full(score.shape, NONE, np.int8)
    verdict.flat[np.argsort(-score, axis=None)[:sensors]] = LINK
    return CausalGraph.of(series.names, score, verdict)
