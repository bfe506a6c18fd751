"""Where the sensors of a picture stand, and which arrows lie between them: causes on the left, effects on the right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SWEEPS = 8
"""Passes in which the sensors of a column are put beside their causes and effects."""
MOST_ARCS = 80
"""Arrows of a picture; the strongest are drawn."""
BLUE, ORANGE, VERMILLION, GREEN, SKY, PURPLE, GREY = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#56B4E9", "#CC79A7", "#7F7F7F"
"""Colours that differ for colour-blind eyes too (Okabe and Ito, 2008), and a grey."""


@dataclass(frozen=True)
class Arc:
    """One arrow of a picture: all decided links from one sensor to another.

    Attributes:
        cause: a sensor.
        effect: another one.
        lags: rows until the effect, rising.
        strength: of the strongest of these links, with its sign.
    """

    cause: str
    effect: str
    lags: tuple[int, ...]
    strength: float

    @property
    def label(self) -> str:
        """The lags as text; `now` is within the row."""
        return ", ".join("now" if lag == 0 else str(lag) for lag in self.lags)

    @property
    def colour(self) -> str:
        """Blue where more of the cause gives more of the effect, vermillion where it gives less."""
        return VERMILLION if self.strength < 0 else BLUE


def shown(raw: str) -> str:
    r"""Text with every character that has no picture shown as an escape.

    Example:
        >>> shown("pump\x00")
        'pump\\x00'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in raw)


def arcs(rows: Iterable[Mapping[str, Any]], most: int = MOST_ARCS) -> list[Arc]:
    """The arrows of `CausalGraph.rows()`, strongest first; undecided rows make none.

    Example:
        >>> row = {"cause": "pump", "effect": "flow", "verdict": "link"}
        >>> arcs([row | {"lag": 2, "strength": -0.5}, row | {"lag": 0, "strength": 0.1}])[0].label
        'now, 2'
    """
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row in rows:
        if row["verdict"] == "link":
            found.setdefault((row["cause"], row["effect"]), []).append((row["lag"], row["strength"]))
    every = [
        Arc(cause, effect, tuple(sorted(lag for lag, _ in links)), max((strength for _, strength in links), key=abs))
        for (cause, effect), links in found.items()
    ]
    return sorted(every, key=lambda arc: (-abs(arc.strength), arc.cause, arc.effect))[:most]


def places(drawn: Sequence[Arc]) -> dict[str, tuple[int, float]]:
    """Column 0, 1, ... and height 0 .. 1 (0 is the top) of every sensor that has an arrow.

    Sensors of a cycle share a column; each column is ordered so that few arrows cross.

    Example:
        >>> places([Arc("pump", "flow", (1,), 0.5)])
        {'pump': (0, 0.5), 'flow': (1, 0.5)}
    """
    import networkx as nx

    links = nx.DiGraph()
    links.add_edges_from((arc.cause, arc.effect) for arc in sorted(drawn, key=lambda arc: (arc.cause, arc.effect)))
    acyclic, near = nx.condensation(links), links.to_undirected()
    columns = [[name for part in layer for name in sorted(acyclic.nodes[part]["members"])] for layer in nx.topological_generations(acyclic)]
    height: dict[str, float] = {}
    for column in columns * SWEEPS:
        column.sort(key=lambda name: (sum(height.get(other, 0.5) for other in near[name]) / len(near[name]), name))
        height |= {name: (row + 0.5) / len(column) for row, name in enumerate(column)}
    return {name: (x, height[name]) for x, column in enumerate(columns) for name in column}
