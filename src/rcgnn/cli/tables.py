"""The answer as text: one renderer for `fit` and `show`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from rcgnn.cli.console import safe
from rcgnn.cli.links import print_links, print_regimes
from rcgnn.graph import CausalGraph
from rcgnn.health import Finding, Severity

SHOWN_FINDINGS = 10
WORST_FIRST = tuple(reversed(get_args(Severity)))


def print_answer(to: Console, graph: CausalGraph, findings: Sequence[Finding], summary: Mapping[str, Any], files: Sequence[Path]) -> None:
    """Conclusion, links, open questions, findings, files; the links are those of `graph.links()`, all of them."""
    to.print(safe(graph.conclusion or f"Verdict: {summary.get('verdict', 'unknown')}."))
    if "evidence_by_max_lag" in summary:
        to.print(f"Longest delay looked at: {graph.max_lag} rows, chosen from the table.")
    if "network" in summary:
        to.print(safe(f"Network {summary['network']}."))
    rows = graph.rows()
    links = [row for row in rows if row["verdict"] == "link"]
    if links:
        print_links(to, links)
        for reason, count in Counter(row["reason"] for row in links if row["reason"]).items():
            to.print(f"  of these {count} x {safe(reason)}")
    print_regimes(to, [row for row in graph.regime_rows() if row["differs"]])
    print_undecided(to, [row for row in rows if row["verdict"] == "undecided"])
    for name, why in graph.quarantined.items():
        to.print(safe(f"Left out: {name}: {why}"))
    for copy, original in graph.aliases.items():
        to.print(safe(f"Near-copy: {copy}; {original} stands for it."))
    print_findings(to, findings)
    to.print("\nFiles:")
    for file in files:
        to.print(f"  {safe(file)}")


def print_undecided(to: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """How many pairs are open, and why; one whose delays are open for two reasons counts under both."""
    pairs = {(row["cause"], row["effect"]) for row in rows}
    if pairs:
        to.print(f"\nUndecided: {len(pairs)} pair{'' if len(pairs) == 1 else 's'}")
        reasons = Counter(reason for *_, reason in {(row["cause"], row["effect"], row["reason"]) for row in rows})
        for reason, count in sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0])):
            to.print(f"  {count} x {safe(reason or 'no reason given')}")


def print_findings(to: Console, findings: Sequence[Finding]) -> None:
    """The worst first, one line a kind: the first sensor in full, the others by name; the first `SHOWN_FINDINGS` kinds."""
    kinds: dict[tuple[int, str, str], list[Finding]] = {}
    for number, finding in enumerate(findings):
        kind = (WORST_FIRST.index(finding.severity), finding.code, str(finding.evidence.get("kind", number)))
        kinds.setdefault(kind, []).append(finding)
    ranked = sorted(kinds.items(), key=lambda entry: entry[0][0])
    if ranked:
        to.print("\nFindings:")
    for _, same in ranked[:SHOWN_FINDINGS]:
        first, others = same[0], [str(finding.sensor) for finding in same[1:]]
        to.print(safe(f"  {first.severity:<4}  {first.code}: {first.message} {first.remedy}").rstrip())
        if others:
            to.print(safe(f"        and {len(others)} more alike: {', '.join(others)}"))
    if len(ranked) > SHOWN_FINDINGS:
        hidden = sum(len(same) for _, same in ranked[SHOWN_FINDINGS:])
        to.print(f"  ... and {hidden} more in findings.json")
