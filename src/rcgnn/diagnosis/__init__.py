"""Diagnosis: pure functions from the health log to findings, each with its evidence and a remedy.

A rule reads the records of one run, oldest first, and answers with a `Finding` or nothing. It never sees tensors, data
or the true graph, so a stored `health.jsonl` gives the same findings again. Rules about incidents (NONFINITE, SPIKE,
CERTIFICATE) count over all records; the others look at what holds since their own remedy was last applied.
"""

from __future__ import annotations

from rcgnn.config import Config
from rcgnn.diagnosis.advice import advised
from rcgnn.diagnosis.feed import changed_feed
from rcgnn.diagnosis.graph import bypass, collapse, dense, unstable_graph
from rcgnn.diagnosis.records import Records, Rule, is_raw, last_attempt
from rcgnn.diagnosis.training import (
    aux_dominates,
    certificate,
    clipped_often,
    nonfinite,
    not_learning,
    oscillation,
    overfit,
    spike,
    update_ratio,
    vanishing,
)
from rcgnn.health import Finding

RULES: dict[str, Rule] = {
    "NONFINITE": nonfinite,
    "SPIKE": spike,
    "CERTIFICATE": certificate,
    "CLIPPED_OFTEN": clipped_often,
    "VANISHING": vanishing,
    "UPDATE_RATIO": update_ratio,
    "NOT_LEARNING": not_learning,
    "OSCILLATION": oscillation,
    "OVERFIT": overfit,
    "COLLAPSE": collapse,
    "BYPASS": bypass,
    "DENSE": dense,
    "AUX_DOMINATES": aux_dominates,
    "UNSTABLE_GRAPH": unstable_graph,
    "INPUT": changed_feed,
}
"""Code -> rule. INPUT also comes from `data.quality`; DIRECTION_UNCLEAR from `answer`: records cannot decide them."""


def diagnose(records: Records, config: Config) -> list[Finding]:
    """Every rule's answer to one run, in the order of `RULES`; of a run with several attempts to the last one.

    Args:
        records: health records of the run, oldest first; may be empty.
        config: the run's settings.

    Example:
        >>> diagnose([], Config())
        []
    """
    judged = last_attempt(records)
    found = [finding for rule in RULES.values() if (finding := rule(judged, config)) is not None]
    return [advised(finding) for finding in found] if is_raw(judged) else found
