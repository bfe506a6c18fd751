"""A graph as a small piece of HTML, as notebooks show it: verdict, picture, table. No script, no style sheet, nothing to fetch.

Colours of text are those of the page, so that it is readable on dark ones too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from rcgnn.drawing.layout import Arc, arcs, places, shown

MOST_ROWS = 40
SHOWN = 20
"""Characters of a name in the picture; the whole name is its tooltip."""
COLUMN, ROW, BOX = 190.0, 42.0, (140.0, 24.0)
"""Pixels between columns and rows of the picture, and size of a box."""
BEND = 0.12
"""How far an arrow leaves the straight line, as a share of its length: two arrows between two sensors do not hide each other."""

Point = tuple[float, float]


def card(conclusion: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """The HTML.

    Args:
        conclusion: the answer in one sentence.
        names: all sensors.
        rows: `CausalGraph.rows()`.

    Example:
        >>> card("No link among 2 sensors.", ("a", "<b>"), [])
        '<div ...><p ...><b>No link among 2 sensors.</b></p></div>'
    """
    drawn = arcs(rows)
    links = sorted((row for row in rows if row["verdict"] == "link"), key=lambda row: -abs(row["strength"]))
    said = conclusion or f"{len(links)} links among {len(names)} sensors."
    parts = [f'<p style="margin:.3em 0"><b>{text(said)}</b></p>']
    if drawn:
        parts += [picture(drawn), _table(links)]
    undecided = len(rows) - len(links)
    if undecided:
        parts.append(f'<p style="margin:.3em 0">{undecided} more entries are undecided.</p>')
    return f'<div style="font-family:sans-serif;font-size:13px;max-width:100%;overflow-x:auto">{"".join(parts)}</div>'


def text(raw: str) -> str:
    r"""Text that HTML shows as it is; characters without a picture are shown as escapes.

    Example:
        >>> text("<b>\x00")
        '&lt;b&gt;\\x00'
    """
    return escape(shown(raw), quote=True)


def picture(drawn: Sequence[Arc]) -> str:
    """An SVG: boxes for sensors, arrows for links with their lags; dashed where more of the cause gives less of the effect."""
    at = places(drawn)
    columns = [x for x, _ in at.values()]
    tallest = max(columns.count(x) for x in set(columns))
    width, height = (max(columns) + 1) * COLUMN, max(tallest, 2) * ROW
    centre = {name: ((x + 0.5) * COLUMN, y * height) for name, (x, y) in at.items()}
    strongest = max(abs(arc.strength) for arc in drawn) or 1.0
    parts = [_arrow(arc, centre[arc.cause], centre[arc.effect], 1.0 + 2.0 * abs(arc.strength) / strongest) for arc in drawn]
    parts += [_box(name, middle) for name, middle in centre.items()]
    head = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {head} style="max-width:none">{"".join(parts)}</svg>'


def _box(name: str, middle: Point) -> str:
    (x, y), (w, h) = middle, BOX
    short = name if len(name) <= SHOWN else name[: SHOWN - 1] + "…"
    return (
        f'<g><title>{text(name)}</title><rect x="{x - w / 2:.1f}" y="{y - h / 2:.1f}" width="{w:.0f}" height="{h:.0f}" rx="5" '
        f'fill="#7F7F7F" fill-opacity=".15" stroke="currentColor" stroke-opacity=".5"/><text x="{x:.1f}" y="{y + 4:.1f}" '
        f'text-anchor="middle" font-size="12" fill="currentColor">{text(short)}</text></g>'
    )


def _arrow(arc: Arc, start: Point, end: Point, thick: float) -> str:
    """A bent line from the border of one box to that of the other, its head and its lags."""
    (x0, y0), (x1, y1) = start, end
    bend = ((x0 + x1) / 2 - BEND * (y1 - y0), (y0 + y1) / 2 + BEND * (x1 - x0))
    tail, tip = _border(start, bend), _border(end, bend)
    angle = math.atan2(tip[1] - bend[1], tip[0] - bend[0])
    wings = " ".join(f"{tip[0] - 9 * math.cos(angle + turn):.1f},{tip[1] - 9 * math.sin(angle + turn):.1f}" for turn in (0.4, -0.4))
    label = (0.25 * tail[0] + 0.5 * bend[0] + 0.25 * tip[0], 0.25 * tail[1] + 0.5 * bend[1] + 0.25 * tip[1])
    dashed = ' stroke-dasharray="5 3"' if arc.strength < 0 else ""
    about = f"{arc.cause} drives {arc.effect}, lag {arc.label}, strength {arc.strength:+.3f}"
    return (
        f'<g><title>{text(about)}</title><path d="M{tail[0]:.1f} {tail[1]:.1f} Q{bend[0]:.1f} {bend[1]:.1f} {tip[0]:.1f} {tip[1]:.1f}" '
        f'fill="none" stroke="{arc.colour}" stroke-width="{thick:.1f}"{dashed}/>'
        f'<polygon points="{tip[0]:.1f},{tip[1]:.1f} {wings}" fill="{arc.colour}"/>'
        f'<text x="{label[0]:.1f}" y="{label[1] - 3:.1f}" text-anchor="middle" font-size="11" fill="{arc.colour}">{arc.label}</text></g>'
    )


def _border(middle: Point, towards: Point) -> Point:
    """Where the line from the middle of a box leaves it."""
    dx, dy = towards[0] - middle[0], towards[1] - middle[1]
    out = max(abs(dx) / (BOX[0] / 2), abs(dy) / (BOX[1] / 2))
    return (middle[0] + dx / out, middle[1] + dy / out) if out > 0 else middle


def _table(links: Sequence[Mapping[str, Any]]) -> str:
    """The strongest links, one line each."""
    head = "".join(f'<th style="text-align:{side};padding:1px 8px">{name}</th>' for name, side in _COLUMNS)
    lines = []
    for row in links[:MOST_ROWS]:
        interval = "" if row.get("low") is None else f"{row['low']:+.3f} .. {row['high']:+.3f}"
        cells = (row["cause"], row["effect"], str(row["lag"]), f"{row['strength']:+.3f}", interval, f"{row['confidence']:.2f}")
        lines.append(
            "".join(f'<td style="text-align:{s};padding:1px 8px">{text(c)}</td>' for c, (_, s) in zip(cells, _COLUMNS, strict=True))
        )
    more = f'<p style="margin:.3em 0">... and {len(links) - MOST_ROWS} more links.</p>' if len(links) > MOST_ROWS else ""
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<table style="font-size:13px;border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}'


_COLUMNS = (("cause", "left"), ("effect", "left"), ("lag", "right"), ("strength", "right"), ("95 %", "right"), ("confidence", "right"))
