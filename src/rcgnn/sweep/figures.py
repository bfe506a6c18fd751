"""The grid of two settings as a picture; matplotlib is an extra and loads only here."""

from __future__ import annotations

import importlib.util
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from rcgnn.sweep.page import MAPS, Swept, cell, heat_maps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLE: Any = {"svg.hashsalt": "rcgnn", "font.size": 9}
"""The salt: the same numbers give the same file."""
PANEL = (3.4, 3.0)
"""Inches of one heat map."""


def draw(done: Swept) -> bytes | None:
    """Links, held-out loss and clip share over the two settings, as SVG; None without matplotlib or with other than two."""
    maps = heat_maps(done)
    if not maps or importlib.util.find_spec("matplotlib") is None:
        return None
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(PANEL[0] * len(maps), PANEL[1]), layout="constrained")
        for number, (name, grid) in enumerate(maps.items(), start=1):
            _panel(figure.add_subplot(1, len(maps), number), name, grid, done)
        content = io.BytesIO()
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def _panel(axes: Axes, name: str, grid: list[list[Any]], done: Swept) -> None:
    values = np.array([[np.nan if value is None else value for value in row] for row in grid], float)
    first, second = done.grid.values
    axes.imshow(np.ma.masked_invalid(values), cmap="Blues", aspect="auto", alpha=0.6)
    for (i, j), value in np.ndenumerate(values):
        axes.text(j, i, cell(name, None if np.isnan(value) else grid[i][j]), ha="center", va="center")
    axes.set_xticks(range(len(second)), second)
    axes.set_yticks(range(len(first)), first)
    axes.set(title=MAPS[name], xlabel=done.grid.swept[1], ylabel=done.grid.swept[0])
