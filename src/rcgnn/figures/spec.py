"""What a figure shows, in plain values: every backend draws the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rcgnn.drawing.layout import BLUE, Arc

TAGS = (0.55, 0.42, 0.68)
"""Shares of the way from cause to effect."""
Numbers = Sequence[float | None]


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        name: for the legend; empty: not in it.
        x: numbers, or moments as text.
        y: numbers; None leaves a gap.
        colour: of line and points.
        dash: `solid`, `dash` or `dot`.
        points: markers and no line.
        low: lower ends of error bars; None where a point has none, empty for no bars.
        high: upper ends.
    """

    name: str
    x: Sequence[float | str]
    y: Numbers
    colour: str = BLUE
    dash: str = "solid"
    points: bool = False
    low: Numbers = ()
    high: Numbers = ()


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title, x_label, y_label: texts.
        lines: curves.
        arcs: arrows of a graph; such a panel has no axes.
        places: column and height (0 is the top) of every box of a graph.
        log: logarithmic y axis.
        whole: ticks of the x axis at whole numbers.
        span: lowest and highest y; None: as the curves need.
        note: text in the middle, where there is nothing to draw.
    """

    title: str
    x_label: str = ""
    y_label: str = ""
    lines: tuple[Line, ...] = ()
    arcs: tuple[Arc, ...] = ()
    places: tuple[tuple[str, float, float], ...] = ()
    log: bool = False
    whole: bool = False
    span: tuple[float, float] | None = None
    note: str = ""

    def tags(self) -> list[tuple[float, float]]:
        """Where the lags of each arrow stand, at three shares of the way in turn: arrows that cross hide no lag of each other."""
        at = {name: (x, y) for name, x, y in self.places}
        ends = [(at[arc.cause], at[arc.effect], TAGS[number % len(TAGS)]) for number, arc in enumerate(self.arcs)]
        return [((1 - s) * a[0] + s * b[0], (1 - s) * a[1] + s * b[1]) for a, b, s in ends]


@dataclass(frozen=True)
class Sheet:
    """Panels side by side, or one below the other.

    Attributes:
        title: of the whole figure; may be empty.
        panels: at least one.
        down: one below the other.
        size: inches, width and height; 100 pixels an inch on a screen.
    """

    title: str
    panels: tuple[Panel, ...]
    down: bool = False
    size: tuple[float, float] = (8.0, 4.0)
