"""A `Sheet` as a matplotlib figure for papers: SVG and PDF with text as text, equal files for equal sheets."""

from __future__ import annotations

import io
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import MaxNLocator

from rcgnn.drawing.layout import shown
from rcgnn.figures.spec import Line, Panel, Sheet

STYLE: Any = {
    "svg.hashsalt": "rcgnn",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "text.usetex": False,
}
"""`fonttype`: text stays text, so that it can be searched and edited. The salt and no date: the same file every time."""
UNDATED: dict[str, dict[str, None]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "ps": {"CreationDate": None},
    "eps": {"CreationDate": None},
}
DASHES: dict[str, Any] = {"solid": "-", "dash": (0, (5, 3)), "dot": (0, (1, 2))}


class Paper(Figure):
    """A figure that is saved in the style that it was drawn in, without the time of day."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """As matplotlib's; `metadata` without a date unless one is given."""
        ending = str(options.get("format") or getattr(fname, "suffix", "") or str(fname).rpartition(".")[2]).lstrip(".").lower()
        if ending in UNDATED:
            options.setdefault("metadata", UNDATED[ending])
        with rc_context(STYLE):
            super().savefig(fname, **options)

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        text = io.StringIO()
        self.savefig(text, format="svg")
        return text.getvalue()


def render(sheet: Sheet) -> Paper:
    """The figure; names are shown as they are, never read as formulas."""
    count = len(sheet.panels)
    with rc_context(STYLE):
        figure = Paper(figsize=sheet.size, layout="constrained")
        if sheet.title:
            figure.suptitle(_plain(sheet.title), fontsize=10)
        for number, panel in enumerate(sheet.panels, start=1):
            axes = figure.add_subplot(count, 1, number) if sheet.down else figure.add_subplot(1, count, number)
            _draw(axes, panel)
    return figure


def _plain(text: str) -> str:
    """Text without formulas and without characters that have no picture."""
    return shown(text).replace("$", r"\$")


def _draw(axes: Any, panel: Panel) -> None:
    axes.set_title(_plain(panel.title), fontsize=9)
    if panel.places:
        _graph(axes, panel)
    if panel.note:
        axes.text(0.5, 0.5, _plain(panel.note), ha="center", va="center", transform=axes.transAxes)
    if panel.note or panel.places:
        axes.axis("off")
        return
    for line in panel.lines:
        _curve(axes, line)
    axes.set(xlabel=panel.x_label, ylabel=panel.y_label, yscale="log" if panel.log else "linear")
    axes.grid(alpha=0.3)
    if panel.span is not None:
        axes.set_ylim(panel.span)
    if panel.whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if any(line.name for line in panel.lines):
        axes.legend(fontsize=7)


def _curve(axes: Any, line: Line) -> None:
    y = [float("nan") if value is None else value for value in line.y]
    look = {"color": line.colour, "label": line.name or "_"}
    if any(end is not None for end in line.low):
        pairs = zip(line.low, line.high, y, strict=True)
        below, above = zip(*((0.0, 0.0) if a is None or b is None else (abs(m - a), abs(b - m)) for a, b, m in pairs), strict=True)
        axes.errorbar(line.x, y, yerr=[below, above], fmt="o", capsize=3, **look)
    elif line.points:
        axes.plot(line.x, y, "o", **look)
    else:
        axes.plot(line.x, y, linestyle=DASHES[line.dash], linewidth=1.4, **look)


def _graph(axes: Any, panel: Panel) -> None:
    """Boxes, and bent arrows from border to border with their lags."""
    at = {name: (x, -y) for name, x, y in panel.places}
    strongest = max(abs(arc.strength) for arc in panel.arcs) or 1.0
    node = {"boxstyle": "round,pad=0.35", "fc": "#EEF3F5", "ec": "#5B6B73"}
    boxes = {
        name: axes.text(*place, _plain(name), ha="center", va="center", bbox=node, zorder=3).get_bbox_patch() for name, place in at.items()
    }
    for arc, (x, y) in zip(panel.arcs, panel.tags(), strict=True):
        start, end = at[arc.cause], at[arc.effect]
        look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 11, "color": arc.colour, "zorder": 2}
        look |= {"lw": 1 + 1.5 * abs(arc.strength) / strongest, "linestyle": "--" if arc.strength < 0 else "-"}
        ends = {"patchA": boxes[arc.cause], "patchB": boxes[arc.effect], "connectionstyle": "arc3,rad=0.12"}
        axes.add_patch(FancyArrowPatch(start, end, **ends, **look))
        tag = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"}
        axes.text(x, -y, arc.label, color=arc.colour, fontsize=7, ha="center", va="center", bbox=tag, zorder=2.5)
    axes.set(xlim=(-0.5, max(x for x, _ in at.values()) + 0.5), ylim=(-1.05, 0.05))
