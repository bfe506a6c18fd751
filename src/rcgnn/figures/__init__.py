"""`FIGURES`: pictures of a fit as objects of Plotly (notebooks) or matplotlib (papers); both draw the same `Sheet`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rcgnn.errors import InputError, did_you_mean
from rcgnn.figures.sheets import graph_sheet, health_sheet, link_sheet
from rcgnn.figures.spec import Sheet

__all__ = ["BACKENDS", "FIGURES", "Sheet", "draw"]

FIGURES: dict[str, Callable[..., Sheet]] = {"graph": graph_sheet, "health": health_sheet, "link": link_sheet}
"""What can be drawn, by name."""


def _plotly(sheet: Sheet) -> Any:
    from rcgnn.figures.interactive import render

    return render(sheet)


def _matplotlib(sheet: Sheet) -> Any:
    from rcgnn.figures.paper import render

    return render(sheet)


BACKENDS: dict[str, Callable[[Sheet], Any]] = {"plotly": _plotly, "matplotlib": _matplotlib}
"""What it can be drawn with, by name."""


def draw(sheet: Sheet, backend: str = "plotly") -> Any:
    """The sheet as a figure: `plotly.graph_objects.Figure` or a `matplotlib.figure.Figure` that saves equal files for equal sheets.

    Raises:
        InputError: no such backend, or its package is not installed.
    """
    if backend not in BACKENDS:
        raise InputError(f"figures: unknown backend {backend!r}.{did_you_mean(backend, list(BACKENDS))}")
    try:
        return BACKENDS[backend](sheet)
    except ImportError as error:
        other = next(name for name in BACKENDS if name != backend)
        raise InputError(f"figures: {backend} is not installed ({error}); pip install 'rcgnn[plots]', or backend={other!r}.") from error
