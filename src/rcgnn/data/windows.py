"""Held-out blocks, and windows that never cross a segment or the cut between training and validation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import DTypeLike, NDArray

from rcgnn.errors import InputError
from rcgnn.mapped import in_turn, spacious
from rcgnn.series import BoolArray, IntArray, Series, below, nothing, sensor_blocks

MIN_BLOCK = 12
"""A recording whose held-out share is shorter than this is held out as a whole or not at all."""
FLOAT32_SAFE = 1e15
"""Scaled readings beyond this are clipped in windows: their square must stay finite in single precision."""


def split_blocks(series: Series, valid_share: float, valid_blocks: int) -> BoolArray:
    """Rows held out for validation: contiguous blocks, spread over every recording; a single block is the last.

    A recording of n rows is cut into equal parts and the last `valid_share` of each part is held out. Recordings get parts in
    proportion to their length, at least one; among recordings too short for a block of `MIN_BLOCK` rows, every
    1/valid_share-th is held out whole (with one block: the last ones).

    Args:
        series: the table to be cut.
        valid_share: share of rows, in (0, 1).
        valid_blocks: number of blocks over the whole table.

    Returns:
        [T] True = held out.

    Example:
        >>> held = split_blocks(Series.of(np.zeros((100, 1))), 0.2, 1)
        >>> np.flatnonzero(held)[[0, -1]].tolist()
        [80, 99]
    """
    if not 0 < valid_share < 1 or valid_blocks < 1:
        raise InputError(f"split: valid_share must lie in (0, 1) and valid_blocks be at least 1, got {valid_share} and {valid_blocks}.")
    held = np.zeros(len(series.values), bool)
    edges = [0, *(np.flatnonzero(np.diff(series.recording)) + 1).tolist(), len(held)]
    spans = list(pairwise(edges))
    short = [span for span in spans if len(spans) > 1 and (span[1] - span[0]) * valid_share < MIN_BLOCK]
    for start, stop in [span for span in spans if span not in set(short)]:
        rows = stop - start
        parts = max(1, round(valid_blocks * rows / len(held)))
        parts = max(1, min(parts, int(rows * valid_share) // MIN_BLOCK))
        cuts = np.linspace(start, stop, parts + 1).round().astype(int).tolist()
        for first, last in pairwise(cuts):
            held[last - max(1, round((last - first) * valid_share)) if last - first > 1 else last : last] = True
    for start, stop in _chosen(short, valid_share, last=valid_blocks == 1):
        held[start:stop] = True
    return held


def _chosen(spans: list[tuple[int, int]], share: float, *, last: bool) -> list[tuple[int, int]]:
    count = round(len(spans) * share)
    if not count:
        return []
    return spans[-count:] if last else [spans[int((k + 1) * len(spans) / count) - 1] for k in range(count)]


@dataclass(frozen=True, eq=False)
class Windows:
    """W windows of L rows over N sensors.

    Attributes:
        values: [W, L, N] readings, 0 where not observed; a read-only view where windows are evenly spaced.
        mask: [W, L, N] True where observed and, in a window longer than its run of rows, where there is a row.
        regime: [W] operating mode.
        start: [W] row of the series in which the window starts.
        target: [W, L] True for rows whose prediction counts in this window; every row with `max_lag` rows before it counts in
            exactly one window (as long as stride <= length - max_lag).

    Example:
        >>> w = Windows.of(Series.of(np.arange(10.0)[:, None]), length=4, stride=None, max_lag=1, rows=np.ones(10, bool))
        >>> w.start.tolist(), int(w.target.sum())
        ([0, 3, 6], 9)
    """

    values: NDArray
    mask: BoolArray
    regime: IntArray
    start: IntArray
    target: BoolArray

    @classmethod
    def of(
        cls, series: Series, *, length: int, stride: int | None, max_lag: int, rows: BoolArray, dtype: DTypeLike = np.float32
    ) -> Windows:
        """Windows over the chosen rows.

        Args:
            series: scaled readings.
            length: L, rows in a window.
            stride: rows between windows; None: length - max_lag, so that every row is a target once.
            max_lag: rows at the start of a window that are context only.
            rows: [T] True for rows that may be used (one side of the cut).
            dtype: of the values.

        Raises:
            InputError: a window has no room for a target, or no run of rows is longer than `max_lag`.
        """
        if length <= max_lag or max_lag < 0 or (stride is not None and stride < 1):
            raise InputError(f"windows: length {length} must be above max_lag {max_lag} >= 0 and stride at least 1, got stride {stride}.")
        runs = [(a, b) for a, b in _runs(series, np.asarray(rows, bool)) if b - a > max_lag]
        if not runs:
            raise InputError(
                f"{series.source}: no run of neighbouring rows is longer than max_lag = {max_lag}; "
                "lower data.max_lag, or give longer recordings."
            )
        start = np.concatenate([_starts(a, b, length, stride or length - max_lag) for a, b in runs])
        stop = np.concatenate([np.full(len(_starts(a, b, length, stride or length - max_lag)), b) for a, b in runs])
        clipped = spacious(series.shape, dtype)
        for b in in_turn(sensor_blocks(series.shape), clipped, series.values, series.mask):
            clipped[:, b] = np.clip(np.where(series.mask[:, b], series.values[:, b], 0.0), -FLOAT32_SAFE, FLOAT32_SAFE)
        values, mask = _cut(clipped, start, length), _cut(series.mask, start, length)
        inside = start[:, None] + np.arange(length) < stop[:, None]
        if not inside.all():
            mask = mask & inside[:, :, None]
            values = np.where(mask, values, np.zeros((), values.dtype))
        target = inside & _first_time(start, np.minimum(start + length, stop), length, max_lag)
        return cls(values, mask, series.regime[start], start, target)

    def __len__(self) -> int:
        """W."""
        return len(self.start)


def long_enough(series: Series, held: BoolArray, used: BoolArray, max_lag: int) -> bool:
    """Do held-out rows [T] and the others, of those that are used [T], both hold a run with a target: longer than the longest lag?"""
    return all(any(b - a > max_lag + 1 for a, b in _runs(series, side & used)) for side in (held, ~held))


def _runs(series: Series, rows: BoolArray) -> list[tuple[int, int]]:
    """Stretches [a, b) of chosen rows within one segment."""
    if rows.shape != (len(series.values),):
        raise InputError(f"windows: {rows.size} row marks for {len(series.values)} rows; give one per row.")
    broken = np.zeros(len(rows) + 1, bool)
    broken[[0, -1]] = True
    broken[[segment.start for segment in series.segments()]] = True
    broken[1:-1] |= rows[1:] != rows[:-1]
    edges = np.flatnonzero(broken).tolist()
    return [(a, b) for a, b in pairwise(edges) if rows[a]]


def _starts(a: int, b: int, length: int, stride: int) -> IntArray:
    """Starts in the run [a, b): every stride, and one last window that ends with the run when rows would be left over."""
    last = max(a, b - length)
    starts = np.arange(a, last + 1, stride, dtype=np.int64)
    return starts if starts[-1] == last else np.append(starts, last)


def _cut(table: NDArray, start: IntArray, length: int) -> NDArray:
    """[W, L, N] from [T, N]: a view where starts are evenly spaced, otherwise a copy."""
    short = int(start.max()) + length - len(table)
    if short > 0:
        table = below([table, nothing((short, table.shape[1]), table.dtype)])
    every = np.moveaxis(sliding_window_view(table, length, axis=0), -1, 1)
    step = np.unique(np.diff(start))
    if step.size <= 1 and (step.size == 0 or step[0] > 0):
        return every[start[0] : start[-1] + 1 : int(step[0]) if step.size else 1]
    return every[start]


def _first_time(start: IntArray, stop: IntArray, length: int, max_lag: int) -> BoolArray:
    """[W, L] True from the first row that has its context and was no target of an earlier window."""
    row = start[:, None] + np.arange(length)
    covered = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(stop)[:-1]])
    return (np.arange(length) >= max_lag) & (row >= covered[:, None])
