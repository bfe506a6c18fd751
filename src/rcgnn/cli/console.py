"""Where the command line prints, and how text that came from a user is made safe to print."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from rcgnn.errors import visible

ENDLESS = 100_000
"""Columns of a pipe or a file: nothing is wrapped or cut there."""


def console(*, stderr: bool = False) -> Console:
    """Standard output (the answer) or standard error (progress, errors); markup in what is printed means nothing."""
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False, "stderr": stderr}
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(**plain) if terminal else Console(**plain, width=ENDLESS, height=25, soft_wrap=True)


def safe(text: object) -> str:
    """Text without anything a terminal obeys."""
    return visible(text)


def print_table(to: Console, columns: Sequence[str], rows: Iterable[Sequence[object]], *, text_columns: int = 1) -> None:
    """A table; the first columns hold text, the others numbers. Long names fold, they are never cut."""
    table = Table(box=box.SIMPLE_HEAD if to.is_terminal else None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="left" if number < text_columns else "right")
    for row in rows:
        table.add_row(*(safe(cell) for cell in row))
    if not to.is_terminal:
        to.print()
    to.print(table)
