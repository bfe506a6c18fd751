"""Graph, records and readings -> `Sheet`. Pure functions; nothing is drawn here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rcgnn.drawing.layout import BLUE, GREEN, GREY, MOST_ARCS, ORANGE, VERMILLION, arcs, places
from rcgnn.errors import InputError, did_you_mean
from rcgnn.figures.spec import Line, Numbers, Panel, Sheet
from rcgnn.graph import LINK, CausalGraph
from rcgnn.health import HealthRecord
from rcgnn.series import Series

MOST_ROWS = 2000
"""Rows of the traces of a link; of a longer table the first ones are shown."""


def graph_sheet(graph: CausalGraph) -> Sheet:
    """Boxes from causes (left) to effects (right), arrows labelled with their lags, wide where strong, dashed where negative.

    Example:
        >>> graph_sheet(CausalGraph.empty(("pump", "flow"), 1)).panels[0].note
        'No link was found.'
    """
    drawn = tuple(arcs(graph.rows()))
    if not drawn:
        return Sheet(graph.conclusion, (Panel("", note="No link was found."),))
    at = tuple((name, float(x), y) for name, (x, y) in places(drawn).items())
    columns = [x for _, x, _ in at]
    tallest = max(columns.count(x) for x in set(columns))
    size = (max(4.0, 2.1 * (max(columns) + 1)), max(2.5, 0.55 * tallest + 1.0))
    pairs = int(graph.summary.sum())
    title = "numbers: rows until the effect; blue: rises with its cause, vermillion: falls"
    title = f"the {MOST_ARCS} strongest of {pairs} pairs; {title}" if pairs > MOST_ARCS else title
    return Sheet(graph.conclusion, (Panel(title, arcs=drawn, places=at),), size=size)


def health_sheet(records: Sequence[HealthRecord], why: str = "") -> Sheet:
    """Loss, gradient norm and share of clipped steps over the epochs.

    Args:
        records: one an epoch; attempts of a re-run follow each other.
        why: what is said where there is no record.

    Example:
        >>> health_sheet([], "not trained: switched off").panels[0].note
        'not trained: switched off'
    """
    if not records:
        return Sheet("Training", (Panel("", note=why or "No network was trained."),))
    x = list(range(1, len(records) + 1))
    loss = (
        Line("training", x, [r.loss.train for r in records], GREY),
        _judged("held out", [r.loss.val for r in records], BLUE),
        _judged("held out, own past only", [r.loss.self_baseline for r in records], ORANGE, "dash"),
    )
    norm = (
        Line("median", x, [r.grad.raw_median for r in records], BLUE),
        Line("largest", x, [r.grad.raw_max for r in records], VERMILLION, "dot"),
        Line("clip level", x, [r.grad.clip_level for r in records], GREY, "dash"),
    )
    clipped = (Line("", x, [100.0 * r.grad.clip_share for r in records], GREEN),)
    return Sheet(
        "Training",
        (
            Panel("loss", "epoch", "log forecast error" if records[0].loss.scale == "log" else "loss", loss, whole=True),
            Panel("gradient norm before clipping", "epoch", "", norm, log=True, whole=True),
            Panel("steps clipped", "epoch", "%", clipped, whole=True, span=(-3.0, 103.0)),
        ),
        size=(12.0, 3.6),
    )


def _judged(name: str, values: Numbers, colour: str, dash: str = "solid") -> Line:
    """A curve through the epochs that were evaluated."""
    seen = [(epoch, value) for epoch, value in enumerate(values, start=1) if value is not None]
    return Line(name, [epoch for epoch, _ in seen], [value for _, value in seen], colour, dash)


def link_sheet(graph: CausalGraph, cause: str, effect: str, series: Series | None = None) -> Sheet:
    """One pair of sensors: evidence and strength by lag, and the readings of both where the table is there.

    Args:
        graph: the links.
        cause: a sensor.
        effect: another one.
        series: the readings.

    Raises:
        InputError: an unknown sensor, or the same one twice.
    """
    for name in (cause, effect):
        if name not in graph.names:
            raise InputError(f"link: unknown sensor {name!r}.{did_you_mean(name, graph.names)}")
    if cause == effect:
        raise InputError(f"link: expected two sensors, got {cause!r} twice.")
    i, j = graph.names.index(cause), graph.names.index(effect)
    panels = [_score(graph, i, j), _strength(graph, i, j)]
    if series is not None and cause in series.names and effect in series.names:
        panels += [_trace(series, cause, BLUE), _trace(series, effect, VERMILLION)]
    return Sheet(f"{cause} -> {effect}", tuple(panels), down=True, size=(8.0, 1.0 + 1.8 * len(panels)))


def _score(graph: CausalGraph, i: int, j: int) -> Panel:
    """Evidence by lag: all lags, and those that are links."""
    lags = list(range(graph.max_lag + 1))
    score = graph.score[:, i, j].tolist()
    found = [k for k in lags if graph.verdict[k, i, j] == LINK]
    lines = (Line("", lags, score, GREY), Line("link", found, [score[k] for k in found], BLUE, points=True))
    return Panel("evidence", "lag (rows)", "score", lines if found else lines[:1], whole=True)


def _strength(graph: CausalGraph, i: int, j: int) -> Panel:
    """Strength with its 95 % interval at every lag that is a link."""
    found = [k for k in range(graph.max_lag + 1) if graph.verdict[k, i, j] == LINK]
    if not found:
        return Panel("strength", note="No lag of this pair is a decided link.")
    effects = [graph.effects.get((k, i, j)) for k in found]
    low, high = ([None if e is None else getattr(e, end) for e in effects] for end in ("low", "high"))
    size = graph.strength[found, i, j].tolist()
    lines = (Line("", [0, graph.max_lag], [0.0, 0.0], GREY, "dot"), Line("95 %", found, size, BLUE, points=True, low=low, high=high))
    return Panel("strength", "lag (rows)", "sd per sd", lines, whole=True)


def _trace(series: Series, name: str, colour: str) -> Panel:
    """Readings over time, broken where there is none and between segments."""
    column = series.values[:MOST_ROWS, series.names.index(name)]
    starts = {part.start for part in series.segments()} - {0}
    x: list[float | str] = []
    y: list[float | None] = []
    for row, value in enumerate(column):
        if row in starts:
            x, y = [*x, float(row) - 0.5], [*y, None]
        x.append(float(row))
        y.append(float(value) if np.isfinite(value) else None)
    more = f" (first {MOST_ROWS:,} of {series.shape[0]:,} rows)" if series.shape[0] > MOST_ROWS else ""
    return Panel(f"{name}{more}", "row", "", (Line("", x, y, colour),))
