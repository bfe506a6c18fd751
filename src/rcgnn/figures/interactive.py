"""A `Sheet` as a Plotly figure; Plotly is an extra and loads only here."""

from __future__ import annotations

from html import escape
from typing import Any

from rcgnn.drawing.layout import shown
from rcgnn.figures.spec import Line, Panel, Sheet

GRID = "rgba(127,127,127,0.25)"


def render(sheet: Sheet) -> Any:
    """The figure; names are shown as they are, never read as HTML."""
    from plotly.subplots import make_subplots

    count = len(sheet.panels)
    titles = [_plain(panel.title) for panel in sheet.panels]
    figure = make_subplots(rows=count if sheet.down else 1, cols=1 if sheet.down else count, subplot_titles=titles)
    for number, panel in enumerate(sheet.panels):
        where = {"row": number + 1 if sheet.down else 1, "col": 1 if sheet.down else number + 1}
        _draw(figure, panel, number, where)
    width, height = sheet.size
    figure.update_layout(
        title={"text": _plain(sheet.title)},
        width=100 * width,
        height=100 * height + 60,
        template="plotly_white",
        margin={"l": 60, "r": 20, "t": 80, "b": 50},
    )
    return figure


def _draw(figure: Any, panel: Panel, number: int, where: dict[str, int]) -> None:
    axes = {"x": f"x{number + 1 if number else ''}", "y": f"y{number + 1 if number else ''}"}
    for line in panel.lines:
        figure.add_trace(_curve(line), **where)
    if panel.places:
        _graph(figure, panel, axes, where)
    if panel.note:
        middle = {"x": 0.5, "y": 0.5, "xref": f"{axes['x']} domain", "yref": f"{axes['y']} domain"}
        figure.add_annotation(text=_plain(panel.note), showarrow=False, **middle)
    if panel.note or panel.places:
        figure.update_xaxes(visible=False, **where)
        figure.update_yaxes(visible=False, **where)
        return
    ticks = {"tickmode": "array", "tickvals": _whole(panel)} if panel.whole else {}
    figure.update_xaxes(title_text=_plain(panel.x_label), gridcolor=GRID, **ticks, **where)
    figure.update_yaxes(title_text=_plain(panel.y_label), gridcolor=GRID, type="log" if panel.log else "linear", range=panel.span, **where)


def _plain(text: str) -> str:
    """Text that Plotly shows as it is."""
    return escape(shown(text))


def _whole(panel: Panel) -> list[int]:
    """At most a dozen whole numbers for the ticks of the x axis."""
    numbers = [int(x) for line in panel.lines for x in line.x]
    first, last = min(numbers), max(numbers)
    return list(range(first, last + 1, -(-(last - first + 1) // 12)))


def _curve(line: Line) -> Any:
    from plotly import graph_objects as go

    bars = None
    if any(end is not None for end in line.low):
        above, below = (
            [0.0 if e is None or y is None else abs(e - y) for e, y in zip(ends, line.y, strict=True)] for ends in (line.high, line.low)
        )
        bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    return go.Scatter(
        x=list(line.x),
        y=list(line.y),
        name=_plain(line.name),
        showlegend=bool(line.name),
        mode="markers" if line.points else "lines",
        line={"color": line.colour, "dash": line.dash},
        marker={"color": line.colour, "size": 9},
        error_y=bars,
        connectgaps=False,
    )


def _graph(figure: Any, panel: Panel, axes: dict[str, str], where: dict[str, int]) -> None:
    """Annotations: arrows from box to box, then their lags, then the boxes. An empty trace makes Plotly draw the axes they stand on."""
    from plotly import graph_objects as go

    figure.add_trace(go.Scatter(x=[0.0], y=[0.0], mode="markers", marker={"opacity": 0}, hoverinfo="skip", showlegend=False), **where)
    at = {name: (x, -y) for name, x, y in panel.places}
    strongest = max(abs(arc.strength) for arc in panel.arcs) or 1.0
    for arc in panel.arcs:
        (x0, y0), (x1, y1) = at[arc.cause], at[arc.effect]
        ends = {"x": x1, "y": y1, "ax": x0, "ay": y0, "xref": axes["x"], "yref": axes["y"], "axref": axes["x"], "ayref": axes["y"]}
        look = {"arrowhead": 2, "arrowwidth": 1 + 2 * abs(arc.strength) / strongest, "arrowcolor": arc.colour, "standoff": 18}
        figure.add_annotation(text="", showarrow=True, **ends, **look)
    here = {"xref": axes["x"], "yref": axes["y"], "showarrow": False}
    for arc, (x, y) in zip(panel.arcs, panel.tags(), strict=True):
        about = _plain(f"{arc.cause} drives {arc.effect}, lag {arc.label}, strength {arc.strength:+.3f}")
        tag = {"text": arc.label, "hovertext": about, "bgcolor": "white", "borderpad": 0, "font": {"color": arc.colour}}
        figure.add_annotation(x=x, y=-y, **tag, **here)
    for name, (x, y) in at.items():
        box = {"bgcolor": "#EEF3F5", "bordercolor": "#5B6B73", "borderpad": 4, "font": {"color": "#222222"}}
        figure.add_annotation(x=x, y=y, text=_plain(name), **box, **here)
    widest = max(x for x, _ in at.values())
    figure.update_xaxes(range=[-0.5, widest + 0.5], **where)
    figure.update_yaxes(range=[-1.05, 0.05], **where)
