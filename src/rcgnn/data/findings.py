"""What the quality report says in words: one `Finding` per thing worth knowing, with its number and what is done about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rcgnn.data import process_rules as process
from rcgnn.data import quality_rules as rule
from rcgnn.health import Finding, Severity
from rcgnn.series import GAP_FACTOR, Series

if TYPE_CHECKING:
    from rcgnn.data.quality import SensorQuality

OUTLIERS = 0.002
BURSTS = 0.15


def finding(kind: str, severity: Severity, sensor: str | None, text: tuple[str, str], **evidence: Any) -> Finding:
    """An INPUT finding; `text` is (message, remedy)."""
    return Finding(code="INPUT", severity=severity, sensor=sensor, message=text[0], remedy=text[1], evidence={"kind": kind, **evidence})


def sensor_findings(q: SensorQuality) -> Iterator[Finding]:
    """Everything worth saying about one sensor that takes part."""
    yield from _value_findings(q)
    yield from _process_findings(q)


def _value_findings(q: SensorQuality) -> Iterator[Finding]:
    if q.sentinel is not None:
        text = f"{q.name}: the value {q.sentinel:g} stands for `missing`.", f"Treated as missing by cleaning; or say --na {q.sentinel:g}."
        yield finding("sentinel", "act", q.name, text, value=q.sentinel)
    if q.stuck_share > rule.STUCK_SHARE:
        text = (
            f"{q.name}: {q.stuck_share:.1%} of the readings sit in runs of one repeated value.",
            "All but the first reading of a run are cleaned.",
        )
        yield finding("stuck", "act", q.name, text, share=q.stuck_share)
    if q.outlier_share > OUTLIERS:
        burst = f", {q.outlier_bursts:.0%} of them in bursts" if q.outlier_bursts > BURSTS else ""
        text = f"{q.name}: {q.outlier_share:.2%} of the readings are single spikes{burst}.", "Cleaning takes them out."
        yield finding("outliers", "act", q.name, text, share=q.outlier_share, bursts=q.outlier_bursts)
    if q.event_like:
        text = (
            f"{q.name}: spiky, zero-inflated or bursty by nature; its spikes come with flanks or are too many to be faults.",
            "Spikes are kept as signal.",
        )
        yield finding("event_like", "info", q.name, text)
    if q.quantised_step is not None:
        text = f"{q.name}: readings come in steps of {q.quantised_step:g}.", "Smaller changes are not taken for signal."
        yield finding("quantised", "info", q.name, text, step=q.quantised_step)


def _process_findings(q: SensorQuality) -> Iterator[Finding]:
    if q.drift:
        text = (
            f"{q.name}: its level moves {q.drift_score:.0f} times more than its own memory explains (drift or steps of bias).",
            "Cleaning removes a rolling mean of 101 rows.",
        )
        yield finding("drift", "act", q.name, text, score=q.drift_score)
    if q.unit_root:
        text = f"{q.name}: cannot be told from a random walk.", "Links into and from it need care; consider giving its changes instead."
        yield finding("unit_root", "warn", q.name, text)
    if q.noise_share > process.NOISE:
        text = (
            f"{q.name}: about {q.noise_share:.0%} of its variance looks like white measurement noise.",
            "The state space stage allows for it.",
        )
        yield finding("noise", "warn", q.name, text, share=q.noise_share)
    if q.gain_change > process.GAIN_SD:
        text = (
            f"{q.name}: its amplitude changes over time (sd of log amplitude {q.gain_change:.2f}).",
            "Check for changes of gain or season.",
        )
        yield finding("gain", "warn", q.name, text, sd=q.gain_change)
    if q.missing_pattern == "blocks":
        text = f"{q.name}: {q.missing_rate:.1%} missing, in outages.", "Bridged by the state space stage, never used as targets."
        yield finding("missing_blocks", "info", q.name, text, rate=q.missing_rate, ratio=q.missing_ratio)
    elif q.missing_pattern == "mnar":
        text = (
            f"{q.name}: {q.missing_rate:.1%} missing, and readings beside the gaps differ from the rest (z {q.missing_z:.1f}).",
            "Values probably decide what is missing; links of this sensor may be weakened. Find out why cells are lost.",
        )
        yield finding("missing_mnar", "warn", q.name, text, rate=q.missing_rate, z=q.missing_z)
    elif q.missing_rate > 0:
        text = f"{q.name}: {q.missing_rate:.1%} missing, scattered.", "Bridged by the state space stage, never used as targets."
        yield finding("missing_mcar", "info", q.name, text, rate=q.missing_rate)


def table_findings(
    source: str, shape: tuple[int, ...], observed: float, quarantined: Mapping[str, str], aliases: Mapping[str, str]
) -> Iterator[Finding]:
    """What concerns the whole table: size, sensors that cannot take part, near-copies."""
    rows, sensors = shape
    yield finding(
        "table", "info", None, (f"{source}: {rows} rows, {sensors} sensors, {observed:.1%} of the cells observed.", ""),
        rows=rows, sensors=sensors, observed_share=observed,
    )  # fmt: skip
    for name, reason in quarantined.items():
        text = f"{name}: {reason}.", "Quarantined: it keeps its place in the output, and its pairs are undecided."
        yield finding("quarantined", "act", name, text, reason=reason)
    for copy, name in aliases.items():
        text = f"{copy}: a near-copy of {name} (correlation beyond .999).", f"{name} stands for both."
        yield finding("alias", "act", copy, text, stands_for=name)
    active = sensors - len(quarantined) - len(aliases)
    if active < 2:
        text = (
            f"{source}: {active} sensor(s) of {sensors} can take part; links need two.",
            "Give more rows or sensors that move; see the reasons above.",
        )
        yield finding("too_few_sensors", "stop", None, text, active=active)


def gap_findings(series: Series) -> Iterator[Finding]:
    """Steps of time longer than `GAP_FACTOR` median ones, within a recording."""
    if series.time is None or len(series.time) < 2:
        return
    step, inside = np.diff(series.time), np.diff(series.recording) == 0
    if not inside.any():
        return
    usual = float(np.median(step[inside]))
    gaps = np.flatnonzero(inside & (step > GAP_FACTOR * usual))
    if not gaps.size:
        return
    row = int(gaps[np.argmax(step[gaps])])
    start, end = float(series.time[row]), float(series.time[row + 1])
    many = f"{gaps.size} gaps in time are longer than {GAP_FACTOR} steps of {usual:g}; the longest, {end - start:g},"
    one = f"one gap in time is longer than {GAP_FACTOR} steps of {usual:g}: {end - start:g},"
    text = (
        f"{series.source}: {many if gaps.size > 1 else one} from row {row + 1} (time {start:.12g}) to row {row + 2} ({end:.12g}).",
        "Rows on both sides of a gap are not taken for neighbours: no delay reaches across.",
    )
    longest = [row + 1, row + 2]
    yield finding("time_gaps", "info", None, text, gaps=int(gaps.size), usual=usual, longest=end - start, rows=longest, time=[start, end])


def common_finding(score: float) -> Finding:
    """The innovations of all sensors share a disturbance."""
    text = (
        f"All sensors share a same-step disturbance ({score:.0%} of their innovations).",
        "A hidden driver or common interference is likely; same-step links are decided with care.",
    )
    return finding("common_mode", "warn", None, text, score=score)


def computed_finding(group: Sequence[str]) -> Finding:
    """Columns that follow from each other."""
    text = (
        f"{', '.join(group)}: each follows from the others within the row, as a total does from its parts.",
        "Which is computed from which no table can tell: links between them within the row are undecided. Leave the computed column out.",
    )
    return finding("computed", "act", None, text, sensors=list(group))


def range_finding(sensors: Sequence[SensorQuality]) -> Finding:
    """Raw ranges of all sensors: the `before` of standardisation."""
    seen = [q for q in sensors if q.low is not None and q.high is not None]
    low = min((q.low for q in seen if q.low is not None), default=0.0)
    high = max((q.high for q in seen if q.high is not None), default=0.0)
    text = f"Raw readings range from {low:g} to {high:g}.", "Every sensor is standardised on its own."
    return finding("ranges", "info", None, text, low={q.name: q.low for q in seen}, high={q.name: q.high for q in seen})
