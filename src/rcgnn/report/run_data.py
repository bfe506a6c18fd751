"""What the page knows about a run beside its graph: table, training, findings, how sure, how to repeat it. Plain JSON values."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcgnn.config import Config
from rcgnn.graph import LINK, CausalGraph
from rcgnn.health import Finding, HealthRecord
from rcgnn.report.graph_data import short, shorts

SEVERITIES = ("stop", "act", "warn", "info")
"""The gravest first."""
BINS = 10
RELIABILITY = (
    "Confidence is a probability calibrated on simulated tables: over 7,361 candidates of fresh seeds its expected error was .018 and the "
    "largest gap of a bin .099; on your table it is as good as those resemble it."
)
"""The reliability figure of docs/roadmap.md in one sentence."""
Arrays = Mapping[str, NDArray[Any]]


def table_data(graph: CausalGraph, summary: Mapping[str, Any], traces: Arrays) -> dict[str, Any]:
    """Raw ranges, the missingness map and the thinned traces, by sensor; what the run does not hold is null.

    Args:
        graph: for the order of the sensors.
        summary: `ranges` are read from it.
        traces: arrays of traces.npz; empty in runs without.
    """
    ranges = summary.get("ranges", {})
    raw = [shorts(ranges.get(name, [[None, None]])[0], 6) for name in graph.names]
    stored = traces["names"].tolist() if "names" in traces else []
    place = {name: number for number, name in enumerate(stored)}
    observed = [traces["observed"][place[name]].tolist() if name in place else None for name in graph.names]
    drawn = [_trace(traces, place[name]) if name in place else None for name in graph.names]
    start = traces["bin_start"].tolist() if stored else []
    return {"rows": summary.get("rows"), "ranges": raw, "bin_start": start, "observed": observed, "traces": drawn}


def _trace(traces: Arrays, n: int) -> dict[str, Any]:
    """One sensor's trace in sensor units; a part that is nowhere known is null."""
    level = float(traces["level"][n])
    parts = {name: traces[name][n].astype(float) for name in ("raw", "clean", "bias", "noise")}
    shifted = {name: part + (level if name != "noise" else 0.0) for name, part in parts.items()}
    spread = float(np.nanmax(parts["raw"], initial=0.0) - np.nanmin(parts["raw"], initial=0.0))
    digits = _digits(abs(level), spread)
    told = {name: shorts(part, digits) if np.isfinite(part).any() else None for name, part in shifted.items()}
    return {"row": traces["row"][n].tolist(), "removed": traces["removed"][n].tolist(), **told}


def _digits(size: float, spread: float) -> int:
    """Digits that show a thousandth of the spread of numbers of this size.

    Example:
        >>> _digits(1e6, 1.0), _digits(1.0, 1.0)
        (10, 4)
    """
    return 4 if spread <= 0 else int(min(16, 4 + max(0, np.ceil(np.log10(max(size, spread) / spread)))))


def training_data(records: Sequence[HealthRecord]) -> dict[str, Any] | None:
    """The health log as columns, one entry an epoch; null where no network was trained."""
    if not records:
        return None
    terms = sorted({name for record in records for name in record.loss.components})
    return {
        "epoch": [record.epoch for record in records],
        "attempt": [record.attempt for record in records],
        "scale": records[-1].loss.scale,
        "train": [short(record.loss.train) for record in records],
        "val": [short(record.loss.val) for record in records],
        "self": [short(record.loss.self_baseline) for record in records],
        "terms": {name: [short(record.loss.components.get(name)) for record in records] for name in terms},
        "grad_median": [short(record.grad.raw_median) for record in records],
        "grad_max": [short(record.grad.raw_max) for record in records],
        "clip_level": [short(record.grad.clip_level) for record in records],
        "bound": [short(record.grad.certificate) for record in records],
        "clip_share": [short(record.grad.clip_share) for record in records],
        "lr": [short(record.lr) for record in records],
        "links": [record.graph.edges if record.graph else None for record in records],
        "events": [event for number, record in enumerate(records) for event in _events(number, record)],
    }


def _events(number: int, record: HealthRecord) -> list[dict[str, Any]]:
    """What happened in one epoch: findings, returns, steps that were skipped."""
    counts = {
        "step(s) skipped as a spike": record.guard.skipped_spike,
        "step(s) not finite": record.guard.skipped_nonfinite,
        "step(s) undone": record.guard.undone,
        "return(s) to a good state": record.guard.rollbacks,
    }
    told = [f"{count} {what}" for what, count in counts.items() if count]
    return [{"at": number, "text": text} for text in [*told, *(f"{f.code}: {f.message}" for f in record.diagnoses)]]


def findings_data(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """All findings, the gravest first; those that differ in the sensor alone are one entry with several messages."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for f in sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)):
        kind = f.evidence.get("kind") if f.sensor is not None else f.message
        groups.setdefault((f.severity, f.code, str(kind), f.remedy, f.applied), []).append(f.message)
    return [
        {"severity": severity, "code": code, "messages": messages, "remedy": remedy, "applied": applied}
        for (severity, code, _, remedy, applied), messages in groups.items()
    ]


def sure_data(graph: CausalGraph, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Histogram of the confidence of links, and of candidates that were turned down; the power of the run."""
    confidence = [float(graph.confidence[key]) for key in graph.links()]
    links = confidence if any(confidence) else []
    others = graph.confidence[(graph.verdict != LINK) & (graph.confidence > 0)]
    edges = np.linspace(0.0, 1.0, BINS + 1)
    return {
        "edges": shorts(edges),
        "links": np.histogram(links, edges)[0].tolist(),
        "others": np.histogram(others, edges)[0].tolist(),
        "detectable": short(summary.get("detectable_share")),
        "reliability": RELIABILITY,
    }


def repeat_data(summary: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """What is needed to have the run again."""
    command = shlex.join(["rcgnn", "fit", str(summary.get("table")), "--config", "RUN/config.yaml", "--out", "AGAIN"])
    versions = {"rcgnn": summary.get("version")} | dict(summary.get("packages", {}))
    told = {"recipe": summary.get("recipe"), "seed": summary.get("seed"), "data_digest": summary.get("data_digest")}
    return {"command": command, "versions": versions, **told, "settings": config.to_yaml()}
