"""`sweep.csv` and `sweep.md`: one row a trial, and for two settings their grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rcgnn.markdown import NOTHING, number, table
from rcgnn.sweep.grid import Grid
from rcgnn.sweep.trial import FIGURES, STOPPED, Row

HEADS = {
    "verdict": "verdict",
    "links": "links",
    "network_links": "network",
    "held_out_loss": "held-out loss",
    "gain_over_self": "gain",
    "clip_share": "clipped",
    "raw_max": "largest norm",
    "seconds": "s",
    "reruns": "re-runs",
    "stopped_epoch": "stopped after epoch",
    "stopped_rung": "rung",
    "error": "error",
}
"""Heading of every figure."""
MAPS = {"links": "Links of the graph", "held_out_loss": "Held-out loss", "clip_share": "Clip share of the last epoch"}
"""Figures that are shown as a grid."""
GRID_OF = 2
"""Settings that make a grid."""
OTHER_ROWS = ("data.", "recipe")
"""Settings that change what the held-out loss is measured on, or its unit."""


@dataclass(frozen=True)
class Swept:
    """A finished sweep.

    Attributes:
        grid: what was asked.
        rows: one a trial, in the order of the grid.
        source: the table.
        command: how it was called.
        reused: trials that were there before.
    """

    grid: Grid
    rows: tuple[Row, ...]
    source: str
    command: str = ""
    reused: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Of `sweep.csv`."""
        return ("trial", *self.grid.swept, *FIGURES)

    @property
    def ranked(self) -> list[Row]:
        """Whole trials by held-out loss, the lowest first, and those without one; then those that were stopped, and those that failed."""
        return sorted(self.rows, key=_rank)

    @property
    def best(self) -> Row | None:
        """The whole trial with the lowest held-out loss; None where none was measured."""
        first = self.ranked[0]
        return None if first["held_out_loss"] is None or is_stopped(first) else first

    @property
    def shown(self) -> tuple[str, ...]:
        """Figures that are worth a column: not those that every trial lacks, of an early stop."""
        stops = any(is_stopped(row) for row in self.rows)
        return tuple(name for name in FIGURES if name != "error" and (stops or name not in STOPPED))


def is_stopped(row: Row) -> bool:
    """Was this trial stopped before its last epoch?"""
    return row["stopped_epoch"] is not None


def _rank(row: Row) -> tuple[bool, bool, bool, float]:
    return row["error"] is not None, is_stopped(row), row["held_out_loss"] is None, row["held_out_loss"] or 0.0


def cells(row: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """A row as text; numbers as short as they can be told apart."""
    return [cell(name, row[name]) for name in names]


def cell(name: str, value: Any) -> str:
    """One figure as text.

    Example:
        >>> cell("clip_share", 0.0072), cell("held_out_loss", 0.0104567), cell("links", 3), cell("gain_over_self", None)
        ('0.7%', '0.010457', '3', '-')
    """
    if isinstance(value, str):
        return value
    if name == "clip_share" and value is not None:
        return f"{value:.1%}"
    if name == "seconds":
        return number(value, 2)
    return f"{value:.5g}" if isinstance(value, float) else number(value)


def trial_line(done: int, total: int, row: Row) -> str:
    """One finished trial in one line."""
    if row["error"] is not None:
        return f"[{done}/{total}] {row['trial']}: FAILED: {row['error']}"
    if is_stopped(row):
        told = f"stopped after epoch {row['stopped_epoch']}, rung {row['stopped_rung']}"
        return f"[{done}/{total}] {row['trial']}: {told}: held-out loss {cell('held_out_loss', row['held_out_loss'])}"
    loss = f"held-out loss {cell('held_out_loss', row['held_out_loss'])}, " if row["held_out_loss"] is not None else ""
    return f"[{done}/{total}] {row['trial']}: {loss}{row['links']} links, {cell('seconds', row['seconds'])} s"


def verdict_line(done: Swept) -> str:
    """Which trial has the lowest held-out loss, and what that comparison is worth."""
    if done.best is None:
        return "No trial measured a held-out loss: no network was trained (select.refine=on trains one)."
    lowest = cell("held_out_loss", done.best["held_out_loss"])
    equal = [row["trial"] for row in done.ranked if row["held_out_loss"] == done.best["held_out_loss"] and not is_stopped(row)]
    line = f"Lowest held-out loss: {lowest} in {equal[0]}{f' and {len(equal) - 1} more' if len(equal) > 1 else ''}."
    if len(equal) == len(done.rows):
        line = f"Held-out loss: {lowest} in all {len(equal)} trials. It cannot choose between them: the settings do not move it."
    stopped = sum(is_stopped(row) for row in done.rows)
    if stopped:
        line += f" {stopped} of {len(done.rows)} trials were stopped early, each for a held-out loss that others beat after as many epochs."
    if any(name.startswith(OTHER_ROWS) for name in done.grid.swept):
        line += " These trials differ in their data or recipe, so their losses need not compare."
    return line


def heat_maps(done: Swept) -> dict[str, list[list[Any]]]:
    """[first setting][second setting] of every figure in `MAPS`; empty unless exactly two settings are swept, each value with each."""
    if len(done.grid.swept) != GRID_OF:
        return {}
    first, second = done.grid.values
    if len(first) * len(second) != len(done.rows):  # drawn, not crossed
        return {}
    at = {(row[done.grid.swept[0]], row[done.grid.swept[1]]): row for row in done.rows}
    return {name: [[at[a, b][name] for b in second] for a in first] for name in MAPS}


def page(done: Swept, picture: str | None = None) -> str:
    """The Markdown page.

    Args:
        done: the sweep.
        picture: file name of the picture beside it, where there is one.
    """
    failed, stopped = sum(row["error"] is not None for row in done.rows), sum(is_stopped(row) for row in done.rows)
    ends = f"{failed} failed" + (f", {stopped} stopped early" if stopped else "")
    lines = [f"# Sweep over {' and '.join(done.grid.swept)}", "", f"Table: {done.source}. {len(done.rows)} trials, {ends}."]
    lines += [f"Command: `{done.command}`", ""] if done.command else [""]
    lines += [verdict_line(done), "The choice is by held-out loss; no true graph is read.", "", "## Trials, by held-out loss", ""]
    shown = [*done.shown, *(["error"] if failed else [])]
    head = [*done.grid.swept, *(HEADS[name] for name in shown)]
    lines += table(head, (cells(row, [*done.grid.swept, *shown]) for row in done.ranked))
    for name, grid in heat_maps(done).items():
        first, second = done.grid.values
        lines += ["", f"## {MAPS[name]}", ""]
        body = [[f"**{a}**", *(cell(name, value) for value in row)] for a, row in zip(first, grid, strict=True)]
        lines += table([f"{done.grid.swept[0]} \\ {done.grid.swept[1]}", *second], body)
    lines += ["", f"![Links, held-out loss and clip share]({picture})"] if picture else []
    return "\n".join(lines) + f"\n\n{NOTHING}: not measured. The columns are explained in docs/sweep.md.\n"
