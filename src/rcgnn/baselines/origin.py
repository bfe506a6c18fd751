"""The origin's network as a baseline; torch loads when it is asked for."""

from __future__ import annotations

import numpy as np

from rcgnn.config import Config
from rcgnn.graph import UNDECIDED, CausalGraph
from rcgnn.series import Series

EPOCHS = 4
"""The origin's printed table has four; its graph does not get better with more, as no reading reaches it."""
LEAST_WINDOW = 2
BATCH = 8


def origin(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:  # noqa: ARG001 - one signature
    """The recipe `origin-after` for a few epochs. Its decoder does not read its graph, so this is the random start, penalised.

    The window shrinks where the table is shorter than the origin's 24 rows. The graph knows no lag: its links stand at lag 1.

    Args:
        series: readings; gaps are filled with 0 and masked, as the origin did.
        max_lag: K, the size of the answer.
        alpha: not used; the origin cuts at .5.
        seed: start of the network and of the batches.
    """
    from rcgnn.origin import fit_origin

    sensors = len(series.names)
    longest = max(s.stop - s.start for s in series.segments())
    window = min(24, longest - 1)
    if window < LEAST_WINDOW:
        verdict = np.where(np.eye(sensors, dtype=bool), 0, UNDECIDED) * np.ones((max_lag + 1, 1, 1), int)
        return CausalGraph.of(series.names, np.zeros(verdict.shape), verdict.astype(np.int8), conclusion="Undecidable: too few rows.")
    config = Config.parse({"recipe": "origin-after", "seed": seed, "data": {"window": window}, "train": {"epochs": EPOCHS, "batch": BATCH}})
    found = fit_origin(series, config).graph
    deeper = ((0, max_lag - found.max_lag), (0, 0), (0, 0))
    return CausalGraph.of(series.names, np.pad(found.score, deeper), np.pad(found.verdict, deeper), conclusion=found.conclusion)
