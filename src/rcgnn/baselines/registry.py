"""`BASELINES`: every other way there is. A newcomer is one function and one row here; contract tests and benchmarks follow."""

from __future__ import annotations

from typing import Protocol

from rcgnn.baselines.cmlp import cmlp
from rcgnn.baselines.correlation import correlation
from rcgnn.baselines.dynotears import dynotears
from rcgnn.baselines.granger import granger, granger_clean
from rcgnn.baselines.lasso_var import lasso_var
from rcgnn.baselines.origin import origin
from rcgnn.baselines.peers import pcmci_plus, pcmci_plus_robust, varlingam
from rcgnn.baselines.sort_regress import r2_sort_regress, sort_regress
from rcgnn.baselines.trivial import empty, random
from rcgnn.graph import CausalGraph
from rcgnn.series import Series


class Baseline(Protocol):
    """A table in, a graph out; no truth, no global state, the table unchanged."""

    def __call__(self, series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:
        """The graph of a table.

        Args:
            series: readings in sensor units.
            max_lag: K, longest delay looked at, at least 1.
            alpha: error level of the link decision, where the method has one.
            seed: start of every random number, where the method has any.
        """
        ...


BASELINES: dict[str, Baseline] = {
    "granger": granger,
    "granger+clean": granger_clean,
    "lasso-var": lasso_var,
    "dynotears": dynotears,
    "cmlp": cmlp,
    "correlation": correlation,
    "sort-regress": sort_regress,
    "r2-sort-regress": r2_sort_regress,
    "empty": empty,
    "random": random,
    "origin": origin,
    "pcmci+": pcmci_plus,
    "pcmci+robust": pcmci_plus_robust,
    "varlingam": varlingam,
}
