"""The data-quality report: what every sensor is like, what is wrong with it, and which sensors cannot take part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from rcgnn.data import process_rules as process
from rcgnn.data.dependence import computed
from rcgnn.data.findings import common_finding, computed_finding, gap_findings, range_finding, sensor_findings, table_findings
from rcgnn.data.marks import SENTINEL, Marks, block_by_block, segment_number, unit_size
from rcgnn.data.process_rules import Missing
from rcgnn.data.quality_rules import MAD_TO_SD, nan_median
from rcgnn.data.scaling import ranges
from rcgnn.health import Finding
from rcgnn.mapped import in_turn, let_go, spacious
from rcgnn.series import BoolArray, FloatArray, IntArray, Series, sensor_blocks


@dataclass(frozen=True)
class SensorQuality:
    """What one sensor is like. Shares are of its observed cells, except `observed_share` (of all rows).

    Attributes:
        low, high: raw range in sensor units; None when nothing was observed.
        constant: all readings are equal.
        stuck_share: share of readings in stuck runs; 0 where the sensor repeats by nature.
        sentinel: value that stands for `missing`, or None.
        quantised_step: resolution in sensor units, or None.
        outlier_share: share of spikes without a flank (faults, not events).
        outlier_bursts: share of those spikes that stand beside another one.
        drift_score, drift: variance of block means / what its own memory explains; above 7 is drift.
        unit_root: cannot be told from a random walk.
        noise_share: share of white measurement noise in [0, 1]; 0 when not estimable.
        gain_change: sd of the log amplitude over ten blocks.
        missing_rate, missing_pattern: share of rows without reading; none, mcar, blocks or mnar.
        missing_ratio, missing_z: gap length against single cells lost; readings beside gaps against shifted gaps.
        event_like: spiky, zero-inflated or bursty by nature: its spikes are signal.
    """

    name: str
    observed: int
    observed_share: float
    low: float | None
    high: float | None
    constant: bool
    stuck_share: float
    sentinel: float | None
    quantised_step: float | None
    outlier_share: float
    outlier_bursts: float
    drift_score: float
    drift: bool
    unit_root: bool
    noise_share: float
    gain_change: float
    missing_pattern: Missing
    missing_rate: float
    missing_ratio: float
    missing_z: float
    event_like: bool


@dataclass(frozen=True)
class QualityReport:
    """The report on one table.

    Attributes:
        sensors: one entry per sensor, in the order of the table.
        quarantined: sensors that cannot take part, with the reason.
        aliases: near-copies, and the sensor that stands for each.
        findings: what a user should know, gravest first; code INPUT with `evidence["kind"]`.
        observed_share: share of all cells that were observed.
        common_mode: 0 (independent innovations) .. 1 (one common disturbance).
        computed: groups of sensors each of which follows from the others of its group within the row, see `dependence`.
        marks: the suspect cells behind it, so that cleaning need not look for them again; no part of `to_dict`.
    """

    sensors: tuple[SensorQuality, ...]
    quarantined: Mapping[str, str]
    aliases: Mapping[str, str]
    findings: tuple[Finding, ...]
    observed_share: float
    common_mode: float
    computed: tuple[tuple[str, ...], ...] = ()
    marks: Marks | None = field(default=None, repr=False, compare=False)

    def sensor(self, name: str) -> SensorQuality:
        """The entry of one sensor."""
        return next(entry for entry in self.sensors if entry.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "observed_share": self.observed_share,
            "common_mode": self.common_mode,
            "sensors": [asdict(entry) for entry in self.sensors],
            "quarantined": dict(self.quarantined),
            "aliases": dict(self.aliases),
            "computed": [list(group) for group in self.computed],
            "findings": [finding.model_dump() for finding in self.findings],
        }


def inspect(series: Series, *, min_observed: int = 30) -> QualityReport:
    """The quality report of a series in sensor units; the series is not changed.

    Rules and their measured hit and false-alarm rates: `quality_rules` (values), `process_rules` (gaps, drift, noise).

    Args:
        series: readings as they came.
        min_observed: a sensor with fewer readings is quarantined.

    Example:
        >>> s = Series.of([[1.0, 7.0], [2.0, 7.0], [1.5, 7.0]], names=["flow", "lamp"])
        >>> inspect(s, min_observed=3).quarantined
        {'lamp': 'constant at 7'}
    """
    segment = segment_number(series)
    x, codes = spacious(series.shape), spacious(series.shape, np.int8)
    sensors, parts = list[SensorQuality](), list[Marks]()
    for b, part, marks in block_by_block(series, codes):
        x[:, b] = _working(part, marks)
        sensors += _described(part, x[:, b], marks, segment)
        parts.append(marks)
        let_go(x)
    return _report(series, x, tuple(sensors), min_observed, Marks.joined(parts, codes))


def _described(series: Series, x: FloatArray, marks: Marks, segment: IntArray) -> list[SensorQuality]:
    """What each sensor of a block is like; x [T, n] are its readings as `_working` has them."""
    drift = process.drift_score(x, segment)
    noise = process.noise_share(x, segment)
    gain = process.gain_change(x, segment)
    root = process.unit_root(x, segment)
    sensors = []
    for j, (name, low, high) in enumerate(ranges(series)):
        observed = int(series.mask[:, j].sum())
        pattern, ratio, z = process.missing_pattern(np.where(marks.codes[:, j] == SENTINEL, np.nan, _column(series, x, j)), segment)
        sensors.append(
            SensorQuality(
                name=name,
                observed=observed,
                observed_share=observed / len(x),
                low=low if observed else None,
                high=high if observed else None,
                constant=bool(observed and high - low <= 4 * np.finfo(float).eps * max(abs(high), abs(low))),
                stuck_share=float(marks.stuck_share[j]),
                sentinel=marks.sentinels[j],
                quantised_step=marks.steps[j],
                outlier_share=float(marks.outlier_share[j]),
                outlier_bursts=float(marks.outlier_bursts[j]),
                drift_score=float(drift[j]),
                drift=bool(drift[j] > process.DRIFT),
                unit_root=bool(root[j]),
                noise_share=float(noise[j]),
                gain_change=float(gain[j]),
                missing_pattern=pattern,
                missing_rate=1 - observed / len(x),
                missing_ratio=ratio,
                missing_z=z,
                event_like=bool(marks.event_like[j]),
            )
        )
    return sensors


def _working(series: Series, marks: Marks) -> FloatArray:
    """Readings around their median in robust units, suspect cells taken out."""
    x = marks.cleaned(unit_size(series)[0])
    x = x - np.nan_to_num(nan_median(x))
    size = np.nan_to_num(MAD_TO_SD * nan_median(np.abs(x)))
    spread = np.sqrt(np.where(np.isfinite(x), x**2, 0.0).sum(axis=0) / np.maximum(np.isfinite(x).sum(axis=0), 1))
    size = np.where(size > 0, size, spread)
    return np.asarray(x / np.where(size > 0, size, 1.0))


def _column(series: Series, x: FloatArray, j: int) -> FloatArray:
    """One column for the gap rule: a cell taken out as stuck or spike is no gap, so it holds the median."""
    return np.where(series.mask[:, j], np.nan_to_num(x[:, j]), np.nan)


def _report(series: Series, x: FloatArray, sensors: tuple[SensorQuality, ...], min_observed: int, marks: Marks) -> QualityReport:
    """The report from its sensors; x is used up."""
    quarantined = {entry.name: reason for entry in sensors if (reason := _cannot_take_part(entry, min_observed))}
    active = np.array([entry.name not in quarantined for entry in sensors])
    aliases = _aliases(series.names, x, active, min_observed)
    own = active & np.array([name not in aliases for name in series.names])
    groups = tuple(tuple(series.names[j] for j in group) for group in computed(x, own, min_observed))
    common = _common(x, own, segment_number(series)) if own.sum() >= process.COMMON_LEAST else 0.0
    findings = [
        *table_findings(series.source, x.shape, float(series.mask.mean()), quarantined, aliases),
        *gap_findings(series),
        *(finding for entry in sensors if entry.name not in quarantined for finding in sensor_findings(entry)),
        *(computed_finding(group) for group in groups),
        *([common_finding(common)] if common > process.COMMON else []),
        range_finding(sensors),
    ]
    order = {"stop": 0, "act": 1, "warn": 2, "info": 3}
    findings.sort(key=lambda finding: order[finding.severity])
    return QualityReport(sensors, quarantined, aliases, tuple(findings), float(series.mask.mean()), common, groups, marks)


def _common(x: FloatArray, own: BoolArray, segment: IntArray) -> float:
    """`process.common_mode` of some sensors; x is overwritten by what their past does not explain."""
    for b in in_turn(sensor_blocks(x.shape), x):
        x[:, b] = process.innovations(x[:, b], segment)
    return process.common_mode(x, own)


def _cannot_take_part(entry: SensorQuality, min_observed: int) -> str:
    if not entry.observed:
        return "no observed value"
    if entry.constant:
        return f"constant at {entry.low:g}"
    if entry.observed < min_observed:
        return f"only {entry.observed} readings, at least {min_observed} are needed"
    return ""


def _aliases(names: tuple[str, ...], x: FloatArray, active: BoolArray, min_observed: int) -> dict[str, str]:
    """Near-copies by name of the representative: abs correlation above .999 over at least `min_observed` joint rows."""
    correlation, joint = process.correlations(x)
    copies = (np.abs(correlation) > process.ALIAS) & (joint >= max(3, min_observed))
    readings = np.array([np.isfinite(column).sum() for column in in_turn(x.T, x)])
    standing: list[int] = []
    found: dict[str, str] = {}
    for j in sorted(np.flatnonzero(active).tolist(), key=lambda j: (-int(readings[j]), j)):
        twin = next((i for i in standing if copies[i, j]), None)
        if twin is None:
            standing.append(j)
        else:
            found[names[j]] = names[twin]
    return found
