"""`FORMATS`: the files that other tools read. Every one holds the same decided links, and equal graphs give equal bytes.

Names are the user's own text: each format quotes them by its own rules, and sensors are told apart by number where a format
cannot hold every character. CSV is guarded against spreadsheets, see `encode.guarded`.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from rcgnn.encode import as_json, as_npz, guarded, utf8
from rcgnn.errors import InputError, did_you_mean
from rcgnn.export.objects import to_tigramite
from rcgnn.graph import EFFECT_COLUMNS, CausalGraph

POSITIVE, NEGATIVE = "#0072B2", "#D55E00"
"""Colours of a link by the sign of its strength; they differ for colour-blind eyes too."""
NUMBERS = ("lag", "strength", "confidence", "score", *EFFECT_COLUMNS)


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        write: the graph as the bytes of a file.
        about: what it is, and what reads it.
        ending: of the file's name.
        text: can be printed.
    """

    write: Callable[[CausalGraph], bytes]
    about: str
    ending: str
    text: bool = True


def dot(graph: CausalGraph) -> bytes:
    r"""Graphviz: nodes s0, s1, ... labelled with their names, one edge a link labelled with its lag.

    Example:
        >>> print(dot(CausalGraph.empty(('a "quoted" name',), 1)).decode())
        digraph rcgnn {
          rankdir=LR;
          node [shape=box];
          s0 [label="a \"quoted\" name"];
        }
    """
    lines = ["digraph rcgnn {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f"  s{place} [label={_quoted(name)}];" for place, name in enumerate(graph.names)]
    for k, i, j in graph.links():
        strength = float(graph.strength[k, i, j])
        look = f'color="{NEGATIVE}", style=dashed' if strength < 0 else f'color="{POSITIVE}"'
        lines.append(f'  s{i} -> s{j} [label="{k}", lag={k}, strength={strength!r}, {look}];')
    return utf8("\n".join([*lines, "}", ""]))


def _quoted(text: str) -> str:
    """A label of DOT: a backslash stands for itself, a line break is written as one, control characters are shown."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
    return '"' + "".join(escapes.get(c, _shown(c).replace("\\", "\\\\") if _control(c) else c) for c in text) + '"'


def graphml(graph: CausalGraph) -> bytes:
    """GraphML: yEd, Gephi, Cytoscape, igraph, networkx. Nodes are called by their names, edges e0, e1, ... carry lag and strength."""
    import networkx as nx

    names = xml_names(graph.names)
    drawn = nx.MultiDiGraph()
    drawn.add_nodes_from((shown, {"name": shown, "place": place}) for place, shown in enumerate(names))
    for number, row in enumerate(_links(graph)):
        cause, effect = (names[graph.names.index(row[end])] for end in ("cause", "effect"))
        drawn.add_edge(cause, effect, key=f"e{number}", **{name: row[name] for name in NUMBERS if row[name] is not None})
    return utf8("\n".join(nx.generate_graphml(drawn)) + "\n")


def xml_names(names: tuple[str, ...]) -> list[str]:
    r"""Names that XML can hold: what it cannot hold is shown as an escape, and two names never become one.

    Example:
        >>> xml_names(("pump\x00", "pump\\x00", "<flow>"))
        ['pump\\x00', 'pump\\x00 (2)', '<flow>']
    """
    found: list[str] = []
    for name in names:
        shown = "".join(_shown(c) if _control(c) or c in "\ufffe\uffff" else c for c in name)
        again = next(n for n in range(1, len(names) + 1) if (shown if n == 1 else f"{shown} ({n})") not in found)
        found.append(shown if again == 1 else f"{shown} ({again})")
    return found


def _control(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs"}


def _shown(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def node_link(graph: CausalGraph) -> bytes:
    """JSON as networkx reads it (`node_link_graph`): nodes, and edges with key = lag. `graph.json` of a run holds more."""
    nodes = [{"id": name, "place": place} for place, name in enumerate(graph.names)]
    links = [
        {"source": row["cause"], "target": row["effect"], "key": row["lag"]} | {n: row[n] for n in NUMBERS if row[n] is not None}
        for row in _links(graph)
    ]
    about = {"conclusion": graph.conclusion, "max_lag": graph.max_lag}
    return as_json({"directed": True, "multigraph": True, "graph": about, "nodes": nodes, "edges": links})


def summary_csv(graph: CausalGraph) -> bytes:
    """Adjacency of the summary graph: row = cause, column = effect, 1 where there is a link at any lag."""
    rows = ([name, *map(int, row)] for name, row in zip(graph.names, graph.summary, strict=True))
    return _csv([["", *graph.names], *rows])


def lagged_csv(graph: CausalGraph) -> bytes:
    """Adjacency of the window graph: one block of rows a lag, row = lag and cause, column = effect."""
    rows: list[list[object]] = [["lag", "cause", *graph.names]]
    rows += [[k, graph.names[i], *map(int, row)] for k, block in enumerate(graph.adjacency) for i, row in enumerate(block)]
    return _csv(rows)


def tigramite_npz(graph: CausalGraph) -> bytes:
    """`to_tigramite` as arrays: `graph`, `val_matrix`, `var_names`."""
    import numpy as np

    marks = to_tigramite(graph)
    return as_npz({"graph": marks.graph, "val_matrix": marks.val_matrix, "var_names": np.array(marks.var_names, dtype=np.str_)})


def _csv(rows: list[list[object]]) -> bytes:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    table.writerows([guarded(cell) for cell in row] for row in rows)
    return utf8(text.getvalue())


def _links(graph: CausalGraph) -> list[dict[str, object]]:
    return [row for row in graph.rows() if row["verdict"] == "link"]


FORMATS: dict[str, Format] = {
    "dot": Format(dot, "Graphviz text", ".dot"),
    "graphml": Format(graphml, "GraphML: yEd, Gephi, Cytoscape, igraph", ".graphml"),
    "json": Format(node_link, "nodes and edges, as networkx reads them", ".json"),
    "csv": Format(summary_csv, "adjacency matrix [N, N], row = cause", ".csv"),
    "csv-lags": Format(lagged_csv, "adjacency by lag, row = lag and cause", ".csv"),
    "tigramite": Format(tigramite_npz, "arrays graph[i, j, tau] and val_matrix of tigramite", ".npz", text=False),
}
"""Formats by name."""


def written(graph: CausalGraph, name: str) -> bytes:
    """The graph in one of `FORMATS`.

    Raises:
        InputError: there is no such format.
    """
    if name not in FORMATS:
        raise InputError(f"export: unknown format {name!r}.{did_you_mean(name, list(FORMATS))}")
    return FORMATS[name].write(graph)
