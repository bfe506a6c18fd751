"""Readings that were given before: recordings and long runs of rows that repeat others cell by cell.

The same rows twice are no new evidence, but count as if they were: statistics of linked and of unlinked pairs double alike. What
repeats is left out, the earlier rows stay, and rows on both sides of what was left out are no neighbours.

    recording    every cell and every mode as in an earlier recording, at least 20 different rows
    run of rows  at least 100 rows in a row, half of them different, each as the row so many rows before it

Readings that stand still, or that are missing, differ too little to be told from a copy: they are left as they are.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rcgnn.data.findings import finding
from rcgnn.health import Finding
from rcgnn.series import BoolArray, IntArray, Series, frozen

LEAST_DIFFERENT = 20
"""Different rows of a recording that repeats another: a few rows of a few levels can be alike without being copied."""
LEAST_RUN, DIFFERENT = 100, 0.5
"""Rows of a run that repeats another, and the share of them that must be different."""
TOLD = 3
"""Copies that the message names one by one."""
_ODD = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_NOTHING = 0x9E3779B97F4A7C15

Codes = NDArray[np.uint64]


class Copy(NamedTuple):
    """Rows [first, last) repeat those from `source` on."""

    first: int
    last: int
    source: int


def distinct(series: Series) -> tuple[Series, tuple[Finding, ...]]:
    """The series without what repeats earlier rows, and what was left out; the same series where nothing repeats.

    Args:
        series: readings as they came; not changed.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((50, 2))
        >>> both = Series(np.tile(x, (2, 1)), np.ones((100, 2), bool), ("flow", "level"), recording=np.repeat([0, 1], 50))
        >>> once, found = distinct(both)
        >>> once.shape, found[0].message
        ((50, 2), 'table: recording 2 repeats recording 1, reading for reading: left out.')
    """
    codes = _codes(series)
    if len(np.unique(codes)) > len(codes) - LEAST_DIFFERENT:
        return series, ()
    edges = [0, *(np.flatnonzero(np.diff(series.recording)) + 1).tolist(), len(codes)]
    whole = _recordings(series, codes, edges)
    keep = np.ones(len(codes), bool)
    for copy in whole:
        keep[copy.first : copy.last] = False
    runs = _runs(series, codes, np.flatnonzero(keep))
    for copy in runs:
        keep[copy.first : copy.last] = False
    if keep.all():
        return series, ()
    return _without(series, keep), (_told(series, whole, runs, edges),)


def _codes(series: Series) -> Codes:
    """[T] a number for each row that equal rows share and others hardly ever: every cell's bits, mixed (splitmix64), and the mode."""
    code = series.regime.astype(np.uint64)
    with np.errstate(over="ignore"):
        for x, seen in series.by_sensor():
            bits = np.where(seen, x + 0.0, 0.0).view(np.uint64)  # + 0.0: there is one zero
            code = (code ^ np.where(seen, bits, np.uint64(_NOTHING))) + np.uint64(_NOTHING)
            for shift, odd in zip((30, 27), _ODD, strict=True):
                code = (code ^ (code >> np.uint64(shift))) * np.uint64(odd)
            code ^= code >> np.uint64(31)
    return code


def _recordings(series: Series, codes: Codes, edges: list[int]) -> list[Copy]:
    """Recordings that are the same as an earlier one."""
    first: dict[bytes, int] = {}
    found = []
    for a, b in pairwise(edges):
        source = first.setdefault(codes[a:b].tobytes(), a)
        if source != a and len(np.unique(codes[a:b])) >= LEAST_DIFFERENT and _same(series, Copy(a, b, source)):
            found.append(Copy(a, b, source))
    return found


def _runs(series: Series, codes: Codes, rows: IntArray) -> list[Copy]:
    """Runs among some rows, in which every row is as the row so many rows before it; none reaches beyond its recording."""
    order = rows[np.argsort(codes[rows], kind="stable")]
    again = np.flatnonzero(codes[order][1:] == codes[order][:-1])
    back = np.zeros(len(codes), np.int64)
    back[order[again + 1]] = order[again + 1] - order[again]
    ends = (np.diff(back) != 0) | (np.diff(series.recording) != 0)
    found = []
    for a, b in pairwise([0, *(np.flatnonzero(ends) + 1).tolist(), len(codes)]):
        copy = Copy(a, b, a - int(back[a]))
        if copy.source < a and b - a >= LEAST_RUN and len(np.unique(codes[a:b])) >= DIFFERENT * (b - a) and _same(series, copy):
            found.append(copy)
    return found


def _same(series: Series, copy: Copy) -> bool:
    """Whether it is a copy indeed: equal codes alone are no proof."""
    here, there = slice(copy.first, copy.last), slice(copy.source, copy.source + copy.last - copy.first)
    cells = np.array_equal(series.values[here], series.values[there], equal_nan=True)
    return bool(cells and np.array_equal(series.regime[here], series.regime[there]))


def _without(series: Series, keep: BoolArray) -> Series:
    """The rows that stay; rows on both sides of a gap that this makes belong to recordings of their own."""
    rows = np.flatnonzero(keep)
    parted = (np.diff(rows) > 1) | (np.diff(series.recording[rows]) != 0)
    return replace(series.rows(rows), recording=frozen(np.concatenate([[0], np.cumsum(parted)]).astype(np.int64)))


def _told(series: Series, whole: list[Copy], runs: list[Copy], edges: list[int]) -> Finding:
    number = {start: place for place, start in enumerate(edges, start=1)}
    told = [f"recording {number[copy.first]} repeats recording {number[copy.source]}" for copy in whole]
    told += [f"rows {a + 1} to {b} repeat rows {source + 1} to {source + b - a}" for a, b, source in runs]
    more = f" and {len(told) - TOLD} more alike" if len(told) > TOLD else ""
    rows = sum(copy.last - copy.first for copy in (*whole, *runs))
    text = (
        f"{series.source}: {', '.join(told[:TOLD])}{more}, reading for reading: left out.",
        "The same rows twice are no new evidence. Give each recording once; or data.clean=off, if these were measured anew.",
    )
    recordings = [[number[copy.first], number[copy.source]] for copy in whole]
    made = finding("repeated", "act", None, text, rows=rows, recordings=recordings, runs=[[a + 1, b, source + 1] for a, b, source in runs])
    return made.model_copy(update={"applied": True})
