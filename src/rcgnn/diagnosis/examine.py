"""Everything that `rcgnn diagnose` says about one run, as one value: verdict, findings, where the gradient comes from, causes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rcgnn.config import Config
from rcgnn.diagnosis import diagnose
from rcgnn.diagnosis.attribution import TermShare, sensor_shares, term_shares
from rcgnn.diagnosis.causes import Cause, causes, unstable
from rcgnn.diagnosis.records import Records
from rcgnn.health import Finding

Verdict = Literal["untrained", "healthy", "doubtful", "unstable"]
"""`untrained`: there is no epoch to judge; `doubtful`: a finding of severity warn, and nothing worse."""


@dataclass(frozen=True)
class Examination:
    """What is known about one run.

    Attributes:
        verdict: in one word.
        headline: in one sentence.
        findings: what the rules say, the gravest first.
        terms: the gradient by loss term.
        sensors: the gradient by sensor, the largest part first.
        causes: ranked; empty unless the run is unstable.
    """

    verdict: Verdict
    headline: str
    findings: list[Finding]
    terms: list[TermShare]
    sensors: dict[str, float]
    causes: list[Cause]


def examine(records: Records, config: Config) -> Examination:
    """Read one run.

    Args:
        records: health records, oldest first; may be empty.
        config: the run's settings.

    Example:
        >>> examine([], Config()).verdict
        'untrained'
    """
    findings = standing(records, config)
    worst = {finding.severity for finding in findings}
    verdict: Verdict = "unstable" if unstable(records, findings) else "doubtful" if "warn" in worst else "healthy"
    if not records and verdict == "healthy":
        verdict = "untrained"
    why = causes(records, config, findings)
    return Examination(verdict, _headline(verdict, records, why), findings, term_shares(records), sensor_shares(records), why)


def standing(records: Records, config: Config) -> list[Finding]:
    """What holds at the end of the run: the rules' findings, and those that the run itself noted where no rule speaks.

    A finding that a remedy has put right is `info`. The gravest come first.
    """
    found = {finding.code: finding for finding in diagnose(records, config)}
    noted = {finding.code: finding for record in records for finding in record.diagnoses if finding.applied}
    for finding in noted.values():
        healed = {"severity": "info", "message": f"put right: {finding.message}"}
        found.setdefault(finding.code, finding.model_copy(update=healed))
    for finding in records[-1].diagnoses if records else ():
        if finding.code not in found or found[finding.code].severity == "info":
            found[finding.code] = finding
    order = ("stop", "act", "warn", "info")
    return sorted(found.values(), key=lambda finding: order.index(finding.severity))


def _headline(verdict: Verdict, records: Records, why: list[Cause]) -> str:
    word = verdict.capitalize()
    if why:
        return f"{word}: " + "; ".join(cause.sentence for cause in why) + "."
    if not records:
        return f"{word}: there is no epoch to judge."
    losses = [r.loss.train for r in records if r.loss.train is not None]
    course = f", loss {losses[0]:.4g} -> {losses[-1]:.4g}" if losses else ""
    return f"{word}: {len(records)} epoch(s){course}, {records[-1].grad.clip_share:.0%} of the last one's steps clipped."
