"""Cells and lines of a report, and what must stand under its title: hardware, software, command."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version

from rcgnn.bench.job import Job, Line, source_digest
from rcgnn.bench.rows import Row
from rcgnn.bench.statistics import COLUMNS, means
from rcgnn.markdown import NOTHING, number, table, today
from rcgnn.processors import processors

__all__ = ["MEANS", "NOTHING", "best_in_bold", "machine", "means_row", "number", "short", "table", "today"]


def best_in_bold(values: Sequence[float | None], digits: int = 3) -> list[str]:
    """Cells of a row, the largest in bold, ties by the digits that are shown."""
    shown = [None if value is None else round(value, digits) for value in values]
    best = max((value for value in shown if value is not None), default=None)
    return [f"**{number(value, digits)}**" if value is not None and value == best else number(value, digits) for value in shown]


MEANS = ("runs", "failed", *COLUMNS)
"""Headings of a row of means."""


def means_row(rows: Sequence[Row], columns: Sequence[str] = MEANS) -> list[str]:
    """Cells of a table row: the means of some runs."""
    found = means(rows)
    return [number(found[name], COLUMNS.get(name, ("", 0))[1]) for name in columns]


def machine() -> str:
    """Hardware, software, source code."""
    software = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "torch"))
    return f"{processors()} cores ({platform.machine()}), Python {platform.python_version()}, {software}; source {source_digest()}."


def short(done: int, total: int, job: Job, line: Line) -> str:
    """One finished run in one line."""
    case = job.case
    words = (f"[{done}/{total}]", job.block, case.system, case.cell, f"seed {case.seed}", job.label or job.method)
    where = " ".join(filter(None, words))
    if line["error"] is not None:
        return f"{where}: FAILED: {line['error']}"
    scores = line["scores"]["summary"]
    return f"{where}: AUPRC {number(scores['auprc'])}, F1 {number(scores['f1'])}, {line['seconds']:.2f} s"
