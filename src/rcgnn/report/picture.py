"""SVG pictures of reports; matplotlib is an extra and loads only here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcgnn.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INSTALL = "pip install 'rcgnn[plots]'"
WIDTH = 8.0
"""Inches."""
STYLE: Any = {
    "svg.hashsalt": "rcgnn",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}
"""The salt: the same numbers give the same file."""


def available() -> bool:
    """Is matplotlib installed?"""
    import importlib.util

    return importlib.util.find_spec("matplotlib") is not None


@contextmanager
def picture(path: Path, size: tuple[float, float], panels: int = 1) -> Iterator[list[Axes]]:
    """Axes to draw on, three to a row; the SVG is written when the block is left.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        columns = min(panels, 3)
        yield [figure.add_subplot(-(-panels // columns), columns, panel + 1) for panel in range(panels)]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, metadata={"Date": None})
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror or error}).") from error
