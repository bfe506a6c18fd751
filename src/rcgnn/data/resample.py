"""Uneven steps: told, and evened out only when asked. Delays are counted in rows, so rows must be evenly spaced."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rcgnn.data.findings import finding
from rcgnn.delay import seconds
from rcgnn.errors import TableError
from rcgnn.health import Finding, Severity
from rcgnn.series import FloatArray, IntArray, Series

NEAR = 0.2
"""A step within this share of the median one is as long as the others."""
MANY = 0.05
"""Share of other steps from which it is told."""
BRIDGED = 24
"""Empty bins in a row that become rows without readings; longer runs stay a gap, which nothing reaches across."""
MOST_BINS = 2.0**50
"""Bins are counted from the zero of the time; beyond this their number is no longer exact."""
ROUNDING = 1e-9
"""A stamp this share of a bin below its edge belongs to the next one."""


def regular(series: Series, step: str | float | None) -> tuple[Series, list[Finding]]:
    """The table with even steps where that was asked for, and what is to be said about its steps.

    Args:
        series: the readings.
        step: length of a bin, `10min` or a number in the unit of the time; None leaves the table as it is.

    Raises:
        TableError: bins were asked for and the table has no time.

    Example:
        >>> s = Series(np.array([[1.0], [3.0], [5.0]]), np.ones((3, 1)), ("flow",), time=np.array([0.0, 20.0, 130.0]))
        >>> regular(s, "1min")[0].values.ravel().tolist()
        [2.0, nan, 5.0]
    """
    if step is None:
        return series, uneven(series)
    check(series, step)
    binned = resample(series, seconds(step))
    empty = 1.0 - float(binned.mask.any(axis=1).mean())
    text = (
        f"{series.source}: {series.shape[0]} rows averaged in bins of {step}: {binned.shape[0]} rows, {empty:.0%} without a reading.",
        "Delays count bins. What happens within a bin shows as a link within the row."
        + (" Longer bins leave fewer empty." * (empty > 0.5)),
    )
    severity: Severity = "warn" if empty > 0.5 else "info"
    facts = {"rows": series.shape[0], "bins": binned.shape[0], "empty": empty}
    return binned, [finding("resampled", severity, None, text, step=str(step), **facts)]


def check(series: Series, step: str | float | None) -> None:
    """Can the table be put in bins, where that was asked for?

    Raises:
        TableError: it has no time.
    """
    if step is not None and series.time is None:
        raise TableError(
            f"{series.source}: data.resample={step} needs a time for every row, and the table has none; name its column (time)."
        )


def uneven(series: Series) -> list[Finding]:
    """A warning where more than `MANY` of the steps differ by more than `NEAR` from the median step."""
    if series.time is None or len(series.time) < 3:
        return []
    step = np.diff(series.time)[np.diff(series.recording) == 0]
    if not step.size:
        return []
    usual = float(np.median(step))
    share = float((np.abs(step - usual) > NEAR * usual).mean())
    if share <= MANY:
        return []
    low, high = (float(x) for x in np.quantile(step, [0.05, 0.95]))
    text = (
        f"{series.source}: {share:.0%} of the time steps differ from the usual {usual:g}; most lie between {low:g} and {high:g}.",
        "Rows were taken as they are; delays count rows. For even steps: data.resample, for example 10min.",
    )
    return [finding("uneven_steps", "warn", None, text, share=share, median=usual, low=low, high=high)]


def resample(series: Series, step: float) -> Series:
    """Mean of the readings of every sensor in bins of `step`, aligned to its multiples; the stamp of a row is where its bin begins.

    A bin without a reading of a sensor is missing. Up to `BRIDGED` empty bins in a row become rows without readings; a longer run
    stays a gap. A bin never mixes recordings; its operating mode is that of its first row, an empty one's that of the row before.

    Raises:
        TableError: the table has no time, or the bins are too short for its stamps.
    """
    if series.time is None:
        raise TableError(f"{series.source}: cannot be resampled without a time.")
    if np.abs(series.time).max() > MOST_BINS * step:
        raise TableError(
            f"{series.source}: bins of {step:g} are too short for stamps up to {np.abs(series.time).max():g}; choose longer ones."
        )
    number = np.floor(series.time / step + ROUNDING).astype(np.int64)
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(number) != 0) | (np.diff(series.recording) != 0)]))
    values = _means(series.values, starts)
    place = _places(number[starts], series.recording[starts])
    rows = int(place[-1]) + 1
    room = np.diff([*place.tolist(), rows])
    first, offset = np.repeat(starts, room), np.arange(rows) - np.repeat(place, room)
    table = np.full((rows, series.shape[1]), np.nan)
    table[place] = values
    stamps = np.asarray((number[first] + offset) * step, np.float64)
    regime, recording = series.regime[first], series.recording[first]
    return replace(series, values=table, mask=np.isfinite(table), time=stamps, regime=regime, recording=recording)


def _means(values: FloatArray, starts: IntArray) -> FloatArray:
    """[B, N] mean of what was read in each run of rows; NaN where nothing was."""
    seen = np.isfinite(values)
    count = np.add.reduceat(seen.astype(np.float64), starts, axis=0)
    largest = np.maximum(np.max(np.abs(np.where(seen, values, 0.0)), axis=0), 1.0)
    scale = np.exp2(np.floor(np.log2(largest)))  # a power of two costs no digit, and sums of huge readings stay finite
    total = np.add.reduceat(np.where(seen, values / scale, 0.0), starts, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1.0) * scale, np.nan)


def _places(number: IntArray, recording: IntArray) -> IntArray:
    """[B] row of every bin that was read, room left for the empty bins between them where they are few."""
    between = np.diff(number) - 1
    room = np.where((np.diff(recording) == 0) & (between <= BRIDGED), between, 0)
    return np.concatenate([[0], np.cumsum(room + 1)]).astype(np.int64)
