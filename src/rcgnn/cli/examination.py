"""An `Examination` as text and as one JSON object."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from rcgnn.cli.console import print_table, safe
from rcgnn.diagnosis.examine import Examination
from rcgnn.diagnosis.foreign import Log

SHOWN_SENSORS = 5


def print_examination(to: Console, log: Log, seen: Examination) -> None:
    """Verdict, findings, where the gradient comes from, causes."""
    to.print(safe(seen.headline))
    for note in log.notes:
        to.print(safe(f"Note: {note}"))
    if seen.findings:
        to.print("\nFindings:")
    for finding in seen.findings:
        to.print(safe(f"  {finding.severity:<4}  {finding.code}: {finding.message} {finding.remedy}").rstrip())
        to.print(safe(f"        docs/rules/{finding.code}.md"))
    if seen.terms or seen.sensors:
        to.print("\nWhere the gradient comes from (first steps of the epochs; terms: median, sensors: sum of squares):")
    if seen.terms:
        rows = ([t.name, _short(t.norm), _share(t.share), _short(t.ratio), _short(t.cosine)] for t in seen.terms)
        print_table(to, ("term", "weight x norm", "share", "x data term", "cosine"), rows)
    if seen.sensors:
        top = list(seen.sensors.items())[:SHOWN_SENSORS]
        names = log.records[-1].loss.per_sensor
        rows = ([name, _share(share), _short(share * len(seen.sensors)), _short(names.get(name))] for name, share in top)
        print_table(to, ("sensor", "share", "x equal share", "last loss"), rows)
        if len(seen.sensors) > SHOWN_SENSORS:
            to.print(f"  ... and {len(seen.sensors) - SHOWN_SENSORS} more with --json")
    if seen.causes:
        to.print("\nCauses, by how far past what is healthy:")
    for number, cause in enumerate(seen.causes, start=1):
        to.print(safe(f"  {number}. x {cause.factor:.3g}  {cause.sentence}."))
        to.print(safe(f"     {cause.remedy}"))


def as_object(path: Path, log: Log, seen: Examination) -> dict[str, Any]:
    """The same, complete, for machines."""
    return {
        "schema_version": 1,
        "source": str(path),
        "epochs": len(log.records),
        "verdict": seen.verdict,
        "headline": seen.headline,
        "notes": log.notes,
        "findings": [{**finding.model_dump(), "page": f"docs/rules/{finding.code}.md"} for finding in seen.findings],
        "terms": [asdict(term) for term in seen.terms],
        "sensors": seen.sensors,
        "causes": seen.causes,
    }


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
