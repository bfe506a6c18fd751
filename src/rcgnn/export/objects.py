"""The graph as an object of another library: tigramite, DoWhy, causal-learn. The last two are extras and load only here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rcgnn.errors import InputError, did_you_mean
from rcgnn.export.unroll import Moment, unrolled
from rcgnn.graph import CausalGraph, FloatArray
from rcgnn.series import Series
from rcgnn.verdict import DIRECTION

if TYPE_CHECKING:
    import pandas as pd

INSTALL = "pip install 'rcgnn[tools]', best into an environment of its own"


class Marks(NamedTuple):
    """What tigramite's `plot_graph`, `CausalEffects` and `PCMCI` results call by these names.

    Attributes:
        graph: [N, N, K+1] text, `graph[i, j, tau]`: `-->` i at t-tau drives j at t; at tau 0 the other entry holds `<--`; `o-o` where
            a link within the step has no direction; `` where there is none.
        val_matrix: [N, N, K+1] strength, both ways at tau 0; the diagonal holds own memory.
        var_names: N names.
    """

    graph: NDArray[np.str_]
    val_matrix: FloatArray
    var_names: list[str]


def undirected(graph: CausalGraph) -> list[tuple[int, int]]:
    """Pairs i < j that are linked within the step, but which way is open."""
    open_both = {(i, j) for (k, i, j), why in graph.reasons.items() if k == 0 and why == DIRECTION}
    return sorted((i, j) for i, j in open_both if i < j and (j, i) in open_both)


def to_tigramite(graph: CausalGraph) -> Marks:
    """The graph in tigramite's arrays; tigramite need not be installed.

    Example:
        >>> v = np.zeros((3, 2, 2), np.int8); v[2, 0, 1] = 1
        >>> str(to_tigramite(CausalGraph.of(("pump", "flow"), v.astype(float), v)).graph[0, 1, 2])
        '-->'
    """
    marks = np.full((*graph.summary.shape, graph.max_lag + 1), "", dtype="<U3")
    size = np.array(np.moveaxis(graph.strength, 0, 2))
    for k, i, j in graph.links():
        marks[i, j, k] = "-->"
        if k == 0:
            marks[j, i, 0], size[j, i, 0] = "<--", size[i, j, 0]
    for i, j in undirected(graph):
        marks[i, j, 0] = marks[j, i, 0] = "o-o"
    return Marks(marks, size, list(graph.names))


def to_causallearn(graph: CausalGraph) -> Any:
    """causal-learn's `GeneralGraph` over the rows t-K .. t, nodes called `pump(t-2)`; links without a direction are o-o.

    Raises:
        InputError: causal-learn is not installed, or links within the step form a cycle.
    """
    try:
        from causallearn.graph.Edge import Edge
        from causallearn.graph.Endpoint import Endpoint
        from causallearn.graph.GeneralGraph import GeneralGraph
        from causallearn.graph.GraphNode import GraphNode
    except ImportError as error:
        raise InputError(f"to_causallearn: needs causal-learn ({error}); {INSTALL}.") from error
    flat = unrolled(graph)
    nodes = {moment: GraphNode(str(moment)) for moment in flat.nodes}
    found = GeneralGraph(list(nodes.values()))
    for cause, effect in flat.edges:
        found.add_edge(Edge(nodes[cause], nodes[effect], Endpoint.TAIL, Endpoint.ARROW))
    for i, j in undirected(graph):
        for back in range(graph.max_lag + 1):
            ends = (nodes[Moment(graph.names[place], back)] for place in (i, j))
            found.add_edge(Edge(*ends, Endpoint.CIRCLE, Endpoint.CIRCLE))
    return found


def to_dowhy(graph: CausalGraph, series: Series, cause: str, effect: str, lag: int) -> Any:
    """DoWhy's `CausalModel` of one question: what does `cause` do to `effect` `lag` rows later?

    The graph is unrolled over K + lag rows, so that all causes of the cause are in it, and cut down to what lies before either end.
    The data are the readings of rows that have all of those; a pair without a decided link may be asked for too.

    Args:
        graph: the links.
        series: readings, for example `to_series(frame)`; with the sensors of the graph.
        cause: a sensor.
        effect: another sensor.
        lag: rows, 0 or more.

    Raises:
        InputError: DoWhy is not installed, an unknown sensor, no row with all the readings, or a cycle within the step.

    Example:
        >>> to_dowhy(CausalGraph.empty(("pump", "flow"), 1), Series.of([[1.0, 2.0]], names=["pump", "flow"]), "pumpe", "flow", 1)
        Traceback (most recent call last):
        rcgnn.errors.InputError: to_dowhy: unknown sensor 'pumpe'. Did you mean 'pump'?
    """
    for name in (cause, effect):
        if name not in graph.names or name not in series.names:
            known = [other for other in graph.names if other in series.names]
            raise InputError(f"to_dowhy: unknown sensor {name!r}.{did_you_mean(name, known)}")
    if lag < 0 or cause == effect:
        raise InputError(f"to_dowhy: expected two sensors and a lag of 0 or more, got {cause!r}, {effect!r} and {lag}.")
    import networkx as nx

    flat = unrolled(graph, graph.max_lag + lag)
    ends = Moment(cause, lag), Moment(effect, 0)
    before = set(ends).union(*(nx.ancestors(flat, end) for end in ends))
    cut = flat.subgraph([moment for moment in flat.nodes if moment in before])
    frame = _rows(series, list(cut.nodes))
    try:
        from dowhy import CausalModel
    except ImportError as error:
        raise InputError(f"to_dowhy: needs dowhy ({error}); {INSTALL}.") from error
    named = nx.DiGraph()
    named.add_nodes_from(frame.columns)
    named.add_edges_from((str(a), str(b)) for a, b in cut.edges)
    return CausalModel(data=frame, treatment=[str(ends[0])], outcome=[str(ends[1])], graph=named)


def _rows(series: Series, moments: list[Moment]) -> pd.DataFrame:
    """One column a moment, one row for every t at which all of them were read within one segment."""
    import pandas as pd

    depth = max(moment.back for moment in moments)
    place = {name: column for column, name in enumerate(series.names)}
    blocks = []
    for part in series.segments():
        rows, length = series.values[part], part.stop - part.start - depth
        if length > 0:
            blocks.append(np.column_stack([rows[depth - m.back : depth - m.back + length, place[m.name]] for m in moments]))
    whole = np.concatenate(blocks) if blocks else np.empty((0, len(moments)))
    whole = whole[np.isfinite(whole).all(axis=1)]
    if not len(whole):
        raise InputError(
            f"{series.source}: no stretch of {depth + 1} rows has a reading of all {len({m.name for m in moments})} sensors that are "
            "needed; fill the gaps first, or ask about a shorter lag."
        )
    return pd.DataFrame(whole, columns=[str(moment) for moment in moments])
