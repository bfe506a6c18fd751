"""Cleaning: suspect cells become missing, drift is removed; what was taken is recorded cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rcgnn.data.findings import finding
from rcgnn.data.marks import CODE_NAMES, KEPT, mark, unit_size
from rcgnn.data.quality import QualityReport
from rcgnn.data.quality_rules import nan_median
from rcgnn.data.rolling import TREND_WINDOW, rolling
from rcgnn.errors import ConfigError
from rcgnn.health import Finding
from rcgnn.mapped import in_turn, spacious
from rcgnn.series import BoolArray, FloatArray, IntArray, Series, frozen, nothing, sensor_blocks

Mode = Literal["auto", "on", "off"]


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A cleaned series and what was taken from it.

    Attributes:
        series: readings minus trend; suspect cells missing.
        trend: [T, N] in sensor units, finite everywhere, 0 where none was removed: kept reading = series + trend.
        removed: [T, N] int8: 0 kept, 1 stuck, 2 sentinel, 3 spike.
        findings: what was done, one per sensor and kind, `applied=True`.
    """

    series: Series
    trend: FloatArray
    removed: NDArray[np.int8]
    findings: tuple[Finding, ...]


def clean(series: Series, report: QualityReport, mode: Mode = "auto") -> Cleaned:
    """The series without stuck runs (all but the first cell), sentinels, spikes and drift; nothing reaches over a segment.

    `auto` does what the report found: marks cells where a rule spoke and the sensor is not like that by nature, and removes a
    centred rolling mean of 101 rows only from sensors that drift. `on` marks every cell the rules can mark and removes the
    rolling mean of every sensor. `off` returns the series as it came.

    Args:
        series: readings as they came; not changed.
        report: `quality.inspect` of the same series.
        mode: auto, on or off.

    Raises:
        ConfigError: another mode, or a report on other sensors.

    Example:
        >>> from rcgnn.data.quality import inspect
        >>> x = np.sin(np.arange(200.0) / 3)[:, None]; x[50] = 40
        >>> s = Series.of(x)
        >>> int(clean(s, inspect(s), "auto").removed[50, 0])
        3
    """
    if mode not in ("auto", "on", "off"):
        raise ConfigError(f"data.clean: must be auto, on or off, got {mode!r}.")
    if tuple(entry.name for entry in report.sensors) != series.names:
        raise ConfigError(f"{series.source}: the quality report is about other sensors; inspect this table first.")
    if mode == "off":
        return Cleaned(series, nothing(series.shape), nothing(series.shape, np.int8), ())
    marks = mark(series, everything=mode == "on") if mode == "on" or report.marks is None else report.marks
    kept = _kept(series, marks.codes) if marks.codes.any() else series.mask
    alive = np.array([entry.name not in report.quarantined for entry in report.sensors])
    drifting = alive & np.array([mode == "on" or entry.drift for entry in report.sensors])
    trend = _trend(series, kept, drifting)
    cleaned = series if kept is series.mask and not drifting.any() else _without(series, trend, kept)
    findings = (*_taken(series, marks.codes), *_detrended(series, trend, drifting))
    return Cleaned(cleaned, trend, marks.codes, findings)


def _kept(series: Series, codes: NDArray[np.int8]) -> BoolArray:
    kept = spacious(series.shape, bool)
    for b in in_turn(sensor_blocks(series.shape), kept, codes, series.mask):
        kept[:, b] = series.mask[:, b] & (codes[:, b] == KEPT)
    return kept


def _without(series: Series, trend: FloatArray, kept: BoolArray) -> Series:
    """The kept readings less their trend."""
    values = spacious(series.shape)
    for b in in_turn(sensor_blocks(series.shape), values, series.values, trend, kept):
        values[:, b] = np.where(kept[:, b], series.values[:, b] - trend[:, b], np.nan)
    return series.with_values(frozen(values), frozen(kept))


def _trend(series: Series, kept: BoolArray, sensors: BoolArray) -> FloatArray:
    """[T, N] centred rolling mean over kept cells of the same segment, bridged linearly where a window holds none."""
    if not sensors.any():
        return nothing(series.shape)
    trend, chosen = spacious(series.shape), np.flatnonzero(sensors)
    for b in in_turn(sensor_blocks((len(trend), len(chosen))), trend, series.values, kept):
        _add_trend(trend, series, kept, chosen[b])
    return trend


def _add_trend(trend: FloatArray, series: Series, kept: BoolArray, chosen: IntArray) -> None:
    """The trend of a few sensors, put in its place."""
    x, unit = unit_size(series.sensors(chosen.tolist()))
    x = np.where(kept[:, chosen], x, np.nan)
    level = np.nan_to_num(nan_median(x))
    mean = rolling(x - level, series.segments(), TREND_WINDOW, "mean")
    rows = np.arange(len(x))
    for place, j in enumerate(chosen):
        known = np.isfinite(mean[:, place])
        if known.any():
            trend[:, j] = (np.interp(rows, rows[known], mean[known, place]) + level[place]) * unit[place]


def _taken(series: Series, codes: NDArray[np.int8]) -> Iterator[Finding]:
    for code, kind in CODE_NAMES.items():
        count = np.array([(column == code).sum() for column in codes.T])
        for j in np.flatnonzero(count):
            share = float(count[j] / max(int(series.mask[:, j].sum()), 1))
            text = f"{series.names[j]}: {count[j]} cells ({share:.2%}) marked missing as {kind}."
            made = finding(kind, "info", series.names[j], (text, "Marked missing."), cells=int(count[j]), share=share)
            yield made.model_copy(update={"applied": True})


def _detrended(series: Series, trend: FloatArray, sensors: BoolArray) -> Iterator[Finding]:
    for j in np.flatnonzero(sensors):
        low, high = float(trend[:, j].min()), float(trend[:, j].max())
        text = f"{series.names[j]}: rolling mean of {TREND_WINDOW} rows removed; it moved between {low:g} and {high:g}."
        made = finding("detrended", "info", series.names[j], (text, "Removed."), low=low, high=high)
        yield made.model_copy(update={"applied": True})
