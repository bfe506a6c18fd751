"""Root causes of an unstable run: what lies how far past what is healthy, ranked.

A cause is a pure function from the records of one run, oldest first, to a `Cause` or nothing. To add one: the function, one row in
`CAUSES`, one row in docs/diagnose.md. A cause whose numbers a log does not hold stays silent.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean, median, median_low
from typing import Any

from pydantic import Field

from rcgnn.config import Config
from rcgnn.diagnosis.attribution import sensor_shares, term_shares
from rcgnn.diagnosis.records import TAIL, Records, log_errors
from rcgnn.health import Finding, Part

CLIPPED_SHARE, CLIPPED_HARD = 0.2, 0.5
"""Share of clipped steps above which a run is unstable; and from which the learning rate should have come down."""
RISEN = 0.1
"""Rise of the training loss in log errors (about 10 % of the error) above its lowest level."""
SAME_PULL, AGAINST_DATA = 1.0, 0.3
"""Healthy at most: a term's gradient over the data term's; the part of it that opposes the data."""
WIDEST_INPUT = 30.0
"""Standardised readings stay below this in magnitude."""
SENSOR_TIMES = 3.0
"""Healthy at most: one sensor's part of the squared gradient, in equal shares 1 / N."""
JUMP = 10.0
"""Healthy at most: an epoch's largest norm over the median norm of the last `JUMP_SPAN` epochs."""
JUMP_SPAN = 8
LARGEST = 1e300
"""Largest ratio that is told apart."""


class Cause(Part):
    """One cause.

    Attributes:
        code: its name in `CAUSES`.
        factor: how many times past what is healthy.
        sentence: what was measured, without a full stop.
        remedy: what to do.
        evidence: the numbers.
    """

    code: str
    factor: float
    sentence: str
    remedy: str
    evidence: dict[str, Any] = Field(default_factory=dict)


CauseRule = Callable[[Records, Config], Cause | None]


def term_out_of_proportion(records: Records, config: Config) -> Cause | None:
    """A loss term pulls harder than the data term: weighted gradient norm over the data term's, median over epochs, above 1."""
    if config.losses.balance == "hierarchy":
        return None  # projected and capped
    terms = [term for term in term_shares(records) if term.ratio is not None and term.ratio > SAME_PULL and not term.data]
    if not terms:
        return None
    top = max(terms, key=lambda term: term.ratio or 0.0)
    others = [f"{term.name} {term.ratio:.2g} x" for term in terms if term is not top]
    return Cause(
        code="TERM_OUT_OF_PROPORTION",
        factor=(top.ratio or 0.0) / SAME_PULL,
        sentence=f"{top.name} is {top.ratio:.2g} x the data term in gradient norm" + (f" ({', '.join(others)})" if others else ""),
        remedy=f"Lower the weight of {top.name}, make every term a mean, or cap auxiliaries at a share of the data gradient.",
        evidence={"term": top.name, "ratio": top.ratio, "norm": top.norm},
    )


def opposed_terms(records: Records, config: Config) -> Cause | None:
    """A loss term pulls against the data term: ratio of norms times -cosine, median over epochs, above .3."""
    if config.losses.balance == "hierarchy":
        return None
    parts = {t.name: -t.ratio * t.cosine for t in term_shares(records) if t.ratio is not None and t.cosine is not None and not t.data}
    if not parts or max(parts.values()) <= AGAINST_DATA:
        return None
    top = max(parts, key=lambda name: parts[name])
    return Cause(
        code="OPPOSED_TERMS",
        factor=parts[top] / AGAINST_DATA,
        sentence=f"{top} pulls against the data term with {parts[top]:.2g} of its gradient norm",
        remedy=f"Project the part of {top} that opposes the data gradient off, or lower its weight.",
        evidence={"term": top, "against": parts[top]},
    )


def raw_input_range(records: Records, _config: Config) -> Cause | None:
    """Readings enter the network unscaled: largest magnitude above 30."""
    lows = [r.data["input_low"] for r in records if "input_low" in r.data]
    highs = [r.data["input_high"] for r in records if "input_high" in r.data]
    if not lows + highs:
        return None
    low, high = min(lows + highs), max(highs + lows)
    largest = max(abs(low), abs(high))
    if largest <= WIDEST_INPUT:
        return None
    return Cause(
        code="RAW_INPUT_RANGE",
        factor=largest / WIDEST_INPUT,
        sentence=f"raw range {low:.6g}..{high:.6g} reaches the network, where standardised readings stay below {WIDEST_INPUT:g}",
        remedy="Standardise every sensor by mean and standard deviation of the training rows (here: data.scale=true).",
        evidence={"low": low, "high": high},
    )


def one_sensor(records: Records, _config: Config) -> Cause | None:
    """One sensor carries the residual: its part of the squared gradient above 3 / N."""
    shares = sensor_shares(records)
    if len(shares) < 2:
        return None
    top = max(shares, key=lambda name: shares[name])
    times = shares[top] * len(shares)
    if times <= SENSOR_TIMES:
        return None
    return Cause(
        code="ONE_SENSOR",
        factor=times / SENSOR_TIMES,
        sentence=f"{top} alone carries {shares[top]:.0%} of the squared residual, where each of {len(shares)} sensors would have "
        f"{1 / len(shares):.0%}",
        remedy=f"Look at {top}: unit, outliers, a stuck or sentinel value; scale it like the others or leave it out.",
        evidence={"sensor": top, "share": shares[top], "sensors": len(shares)},
    )


def rate_never_lowered(records: Records, _config: Config) -> Cause | None:
    """The learning rate stood still through 3 epochs or more of trouble: over half of the steps clipped, or the loss not falling."""
    rates = [r.lr for r in records if r.lr is not None]
    if len(rates) < TAIL or min(rates) < max(rates):
        return None
    clipped = [r.grad.clip_share for r in records if r.grad.clip_share > CLIPPED_HARD]
    losses = log_errors(records, [r.loss.train for r in records if r.loss.train is not None])
    stalled = len(losses) - 1 - losses.index(min(losses)) if losses else 0
    if len(clipped) >= TAIL:
        factor, why = fmean(clipped) / CLIPPED_SHARE, f"{fmean(clipped):.0%} of the steps clipped in {len(clipped)} epochs"
    elif stalled >= TAIL:
        factor, why = stalled / TAIL, f"no lower loss for {stalled} epochs"
    else:
        return None
    return Cause(
        code="RATE_NEVER_LOWERED",
        factor=factor,
        sentence=f"learning rate never lowered ({rates[0]:.3g} throughout) in spite of {why}",
        remedy="Lower the learning rate when the loss stands still (train.schedule=plateau), or start lower.",
        evidence={"lr": rates[0], "clipped_epochs": len(clipped), "stalled_epochs": stalled},
    )


def norm_jumps(records: Records, _config: Config) -> Cause | None:
    """Single steps far above the rest: an epoch's largest norm over the median of the last 8 epochs' medians, above 10.

    The first epoch is not judged: there the norm falls from that of the random start.
    """
    worst, where = 0.0, 0
    for position, record in list(enumerate(records))[1:]:
        levels = [r.grad.raw_median for r in records[max(0, position + 1 - JUMP_SPAN) : position + 1] if r.grad.raw_median]
        times = min((record.grad.raw_max or 0.0) / median_low(levels), LARGEST) if levels else 0.0
        worst, where = (times, record.epoch) if times > worst else (worst, where)
    if worst <= JUMP:
        return None
    return Cause(
        code="NORM_JUMPS",
        factor=worst / JUMP,
        sentence=f"single steps reach {worst:.2g} x the usual gradient norm (epoch {where})",
        remedy="Look for outliers in the batches of that epoch; skip such steps instead of clipping them.",
        evidence={"times": worst, "epoch": where},
    )


def not_finite(records: Records, _config: Config) -> Cause | None:
    """Readings, losses or gradients that are NaN or infinite: every one is one too many."""
    bad = [r for r in records if r.grad.nonfinite or r.guard.skipped_nonfinite]
    if not bad:
        return None
    count = sum(max(r.grad.nonfinite, r.guard.skipped_nonfinite) for r in bad)
    where = next((r.grad.first_bad for r in bad if r.grad.first_bad), None)
    return Cause(
        code="NOT_FINITE",
        factor=float(count),
        sentence=f"{count} step(s) not finite, first in epoch {bad[0].epoch}" + (f" ({where})" if where else ""),
        remedy="Look at the first bad step: infinite readings, a division, a logarithm of zero; skip it before the optimiser sees it.",
        evidence={"steps": count, "first_epoch": bad[0].epoch, "first_bad": where},
    )


CAUSES: dict[str, CauseRule] = {
    "TERM_OUT_OF_PROPORTION": term_out_of_proportion,
    "OPPOSED_TERMS": opposed_terms,
    "RAW_INPUT_RANGE": raw_input_range,
    "ONE_SENSOR": one_sensor,
    "RATE_NEVER_LOWERED": rate_never_lowered,
    "NORM_JUMPS": norm_jumps,
    "NOT_FINITE": not_finite,
}
"""Code -> cause."""


def causes(records: Records, config: Config, findings: list[Finding] | None = None) -> list[Cause]:
    """What made the run unstable, the largest factor first; empty for a run that is not unstable.

    Args:
        records: health records of the run, oldest first; may be empty.
        config: the run's settings.
        findings: what the rules say about it; looked up where not given.

    Example:
        >>> causes([], Config())
        []
    """
    if findings is None:
        from rcgnn.diagnosis import diagnose

        findings = diagnose(records, config)
    if not unstable(records, findings):
        return []
    found = [cause for rule in CAUSES.values() if (cause := rule(records, config)) is not None]
    return sorted(found, key=lambda cause: -cause.factor)


def unstable(records: Records, findings: list[Finding]) -> bool:
    """A finding that asks to act or stop, more than 20 % of the last 3 epochs' steps clipped, or a training loss that has risen."""
    if any(finding.severity in ("act", "stop") for finding in findings):
        return True
    clipped = [r.grad.clip_share for r in records[-TAIL:]]
    return bool(clipped and fmean(clipped) > CLIPPED_SHARE) or loss_rises(records)


def loss_rises(records: Records) -> bool:
    """The training loss ends more than .1 log errors above its lowest level; a level is the median of up to 3 epochs."""
    losses = log_errors(records, [r.loss.train for r in records if r.loss.train is not None])
    span = TAIL if len(losses) > TAIL else 1
    levels = [median(losses[i : i + span]) for i in range(len(losses) - span + 1)]
    return bool(levels and levels[-1] > min(levels) + RISEN)
