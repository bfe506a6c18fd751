"""The graph beside the truth, link by link: found, missed, false."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rcgnn.evaluate.truth import Truth
from rcgnn.graph import LINK, UNDECIDED, CausalGraph
from rcgnn.series import BoolArray

Outcome = Literal["found", "missed", "undecided", "false"]
OUTCOMES: tuple[Outcome, ...] = ("found", "missed", "undecided", "false")
"""`undecided`: a true link that the graph leaves open."""


class Match(NamedTuple):
    """One link of graph or truth; `lag` is None where the truth does not know lags."""

    outcome: Outcome
    cause: str
    effect: str
    lag: int | None


def compare(graph: CausalGraph, truth: Truth) -> list[Match]:
    """Every link of graph and truth, in the order of `OUTCOMES`; at its lag where the truth knows lags, else at any lag.

    Example:
        >>> verdict = np.zeros((2, 3, 3), np.int8); verdict[1, 0, 1] = verdict[1, 2, 0] = 1
        >>> links = np.zeros((2, 3, 3), bool); links[1, 0, 1] = links[0, 1, 2] = True
        >>> graph = CausalGraph.of(("a", "b", "c"), verdict * 1.0, verdict)
        >>> [(m.outcome, m.cause, m.effect, m.lag) for m in compare(graph, Truth.of(links))]
        [('found', 'a', 'b', 1), ('missed', 'b', 'c', 0), ('false', 'c', 'a', 1)]
    """
    if truth.window is None:
        true: BoolArray = truth.summary[None]
        verdict: NDArray = np.where(graph.summary, LINK, np.where((graph.verdict == UNDECIDED).any(axis=0), UNDECIDED, 0))[None]
    else:
        lags = max(len(truth.window), len(graph.verdict))
        true = np.pad(truth.window, ((0, lags - len(truth.window)), (0, 0), (0, 0)))
        verdict = np.pad(graph.verdict, ((0, lags - len(graph.verdict)), (0, 0), (0, 0)))
    outcomes = {
        "found": true & (verdict == LINK),
        "missed": true & (verdict == 0),
        "undecided": true & (verdict == UNDECIDED),
        "false": ~true & (verdict == LINK),
    }
    return [
        Match(outcome, graph.names[i], graph.names[j], None if truth.window is None else int(k))
        for outcome in OUTCOMES
        for k, i, j in np.argwhere(outcomes[outcome])
    ]
