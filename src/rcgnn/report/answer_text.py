"""The answer of a run in three sentences: what was found, how sure it is, what to watch out for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rcgnn.graph import CausalGraph
from rcgnn.health import Finding

SURE = 0.9
"""Confidence from which a link counts as sure."""
LEAST_FALSE = 0.1
"""Expected number of false links from which it is told."""
POWER = 0.9
"""Probability of being found that `detectable_share` of summary.json stands for."""
FAILED = "refinement failed"
MOST_WARNINGS = 3
KINDS = {
    "hidden_drivers": "hidden drivers that were never measured act on several sensors",
    "common_mode": "all sensors share a disturbance within the row",
    "chance": "the sensors share a season, a trend or a unit root",
    "joint_rows": "some pairs were hardly ever read together",
    "too_few_sensors": "too few sensors can take part",
    "unit_root": "{n} that cannot be told from a random walk",
    "missing_mnar": "readings that hide themselves in {n}",
    "regimes": "links differ between operating modes",
    "drift": "drift in {n}",
    "stuck": "stuck readings in {n}",
    "outliers": "spikes in {n}",
    "sentinel": "a number that means `missing` in {n}",
    "noise": "noise in {n}",
    "gain": "changing amplitude in {n}",
}
"""What a finding of INPUT means for the reader, the gravest first; `{n}` becomes the number of sensors."""


def answer(graph: CausalGraph, summary: Mapping[str, Any], findings: Sequence[Finding]) -> list[dict[str, str]]:
    """Three entries with `head` and `text`.

    Example:
        >>> [entry["head"] for entry in answer(CausalGraph.empty(("a", "b"), 1), {"verdict": "no links found"}, [])]
        ['What was found', 'How sure', 'Watch out for']
    """
    return [
        {"head": "What was found", "text": _found(graph, summary)},
        {"head": "How sure", "text": _sure(graph, summary)},
        {"head": "Watch out for", "text": _watch(graph, summary, findings)},
    ]


def _found(graph: CausalGraph, summary: Mapping[str, Any]) -> str:
    said = graph.conclusion or f"{counted(len(graph.links()), 'link')} among {len(graph.names)} sensors."
    given_up = str(summary.get("verdict", ""))
    return f"{said} The network was given up ({given_up}); the graph is the screen's." if given_up.startswith(FAILED) else said


def _sure(graph: CausalGraph, summary: Mapping[str, Any]) -> str:
    links = graph.links()
    if not links:
        return _power(graph, summary)
    confidence = [float(graph.confidence[key]) for key in links]
    if not any(confidence):
        return "This recipe gives no confidence; take the links as candidates."
    _, i, j = links[confidence.index(min(confidence))]
    wrong = sum(1 - c for c in confidence)
    told = f"{sum(c >= SURE for c in confidence)} of {counted(len(links), 'link')} have a confidence of {SURE} or more"
    least = f"the least sure is {graph.names[i]} to {graph.names[j]} ({min(confidence):.2f})"
    false = f"about {wrong:.1f}" if wrong >= LEAST_FALSE else f"fewer than {LEAST_FALSE}"
    return f"{told}, {least}; taken together, {false} of them are expected to be false."


def _power(graph: CausalGraph, summary: Mapping[str, Any]) -> str:
    """How sure "no link" is."""
    if summary.get("verdict") == "undecidable":
        return f"Nothing can be said about any pair: {'; '.join(_reasons(graph)) or 'too few sensors can take part'}."
    share = summary.get("detectable_share")
    if share is None:
        return "How weak a link would have been found is not recorded in this run."
    weak = f"Links that explain less than {100 * share:.1f} % of a sensor's variance may have been missed"
    return f"{weak}; from there on the probability of being found is {100 * POWER:.0f} % or more."


def _watch(graph: CausalGraph, summary: Mapping[str, Any], findings: Sequence[Finding]) -> str:
    said = [f"the network failed in training ({summary['verdict']})"] if str(summary.get("verdict", "")).startswith(FAILED) else []
    pairs = len({(i, j) for _, i, j in graph.undecided()})
    if pairs:
        said.append(f"{counted(pairs, 'pair')} undecided ({'; '.join(_reasons(graph)[:2])})")
    out = len({*graph.quarantined, *graph.aliases})
    if out:
        said.append(f"{counted(out, 'sensor')} took no part")
    kinds = Counter(str(f.evidence.get("kind")) for f in findings if f.severity != "info")
    said += [meaning.format(n=counted(kinds[kind], "sensor")) for kind, meaning in KINDS.items() if kinds[kind]]
    codes = sorted({f.code for f in findings if f.severity in ("act", "stop") and f.code != "INPUT"})
    said += [f"training raised {', '.join(codes)}"] if codes else []
    if not said:
        return "Nothing in the table or in training stood out; that all common causes are in the table remains an assumption."
    more = len(said) - MOST_WARNINGS
    text = "; ".join(said[:MOST_WARNINGS]) + (f"; and {more} more under Findings" if more > 0 else "")
    return f"{text[0].upper()}{text[1:]}."


def _reasons(graph: CausalGraph) -> list[str]:
    """Why pairs are undecided, the most frequent first."""
    return [reason for reason, _ in Counter(graph.reasons[key] for key in graph.undecided() if key in graph.reasons).most_common()]


def counted(number: int, what: str) -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "link"), counted(3, "pair")
        ('1 link', '3 pairs')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"
