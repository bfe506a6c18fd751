"""The graph unrolled in time: one node a sensor and row. Without cycles, so that tools for acyclic graphs take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rcgnn.errors import InputError
from rcgnn.graph import CausalGraph

if TYPE_CHECKING:
    import networkx as nx


class Moment(NamedTuple):
    """Sensor `name`, `back` rows before now.

    Example:
        >>> str(Moment("pump", 2)), str(Moment("pump", 0))
        ('pump(t-2)', 'pump(t)')
    """

    name: str
    back: int

    def __str__(self) -> str:
        """As tools that want text are given it."""
        return f"{self.name}(t-{self.back})" if self.back else f"{self.name}(t)"


def unrolled(graph: CausalGraph, depth: int | None = None, *, memory: bool = True) -> nx.DiGraph:
    """The graph over the rows t - depth .. t; nodes are `Moment`s, edges carry `lag` and `strength`.

    Args:
        graph: the links.
        depth: rows before now; K where none is given. To estimate what one sensor does k rows later by adjustment, take K + k: then
            every cause of the cause is there.
        memory: a sensor's own past, at every lag up to K, drives it too.

    Raises:
        InputError: links within the step form a cycle, or the depth is below 0.

    Example:
        >>> import numpy as np
        >>> v = np.zeros((2, 2, 2), np.int8); v[1, 0, 1] = 1
        >>> graph = CausalGraph.of(("pump", "flow"), v.astype(float), v)
        >>> [(str(a), str(b)) for a, b in unrolled(graph, memory=False).edges]
        [('pump(t-1)', 'flow(t)')]
    """
    import networkx as nx

    K, rows = graph.max_lag, graph.max_lag if depth is None else depth
    if rows < 0:
        raise InputError(f"unrolled: depth must be 0 or more rows, got {rows}.")
    own = [(k, i, i) for k in range(1, K + 1) for i in range(len(graph.names))] if memory else []
    found = nx.DiGraph()
    found.add_nodes_from(Moment(name, back) for back in range(rows, -1, -1) for name in graph.names)
    for k, i, j in [*sorted(graph.links()), *own]:
        for back in range(rows - k, -1, -1):
            found.add_edge(Moment(graph.names[i], back + k), Moment(graph.names[j], back), lag=k, strength=float(graph.strength[k, i, j]))
    if not nx.is_directed_acyclic_graph(found):
        ring = " -> ".join(str(start) for start, _ in nx.find_cycle(found))
        raise InputError(f"unrolled: links within the step form a cycle ({ring}); an acyclic graph cannot hold it.")
    return found
