"""Links as tables: one line a link, and one line a mode of what differs between operating modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from rcgnn.cli.console import print_table

NARROW = 100
"""Columns of a terminal below which a table keeps to what matters most."""


def print_links(to: Console, links: Sequence[Mapping[str, Any]]) -> None:
    """One line a link; interval and sensor units only where a link has them, and the latter not in a narrow terminal."""
    measured: tuple[str, ...] = ("95 %", "in units", "swing") if any(row["low"] is not None for row in links) else ()
    measured = measured[:1] if to.is_terminal and to.width < NARROW else measured
    columns = ("cause", "effect", "lag", "strength", *measured, "confidence")
    lines = []
    for r in links:
        more = ("-",) * 3 if r["low"] is None else (f"{r['low']:+.3f} .. {r['high']:+.3f}", f"{r['in_units']:.4g}", f"{r['swing']:.3f}")
        middle = more[: len(measured)]
        lines.append((r["cause"], r["effect"], r["lag"], f"{r['strength']:+.3f}", *middle, f"{r['confidence']:.2f}"))
    print_table(to, columns, lines, text_columns=2)


def print_regimes(to: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a mode of every link that differs between operating modes."""
    if not rows:
        return
    to.print("\nDiffer between operating modes:")
    lines = [
        (
            r["cause"],
            r["effect"],
            r["regime"],
            r["lag"],
            f"{r['strength']:+.3f}",
            "-" if r["low"] is None else f"{r['low']:+.3f} .. {r['high']:+.3f}",
        )
        for r in rows
    ]
    print_table(to, ("cause", "effect", "mode", "lag", "strength", "95 %"), lines, text_columns=3)
