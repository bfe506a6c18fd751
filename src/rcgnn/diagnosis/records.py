"""What the rules share: how records are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rcgnn.config import Config
from rcgnn.health import Finding, HealthRecord

Records = Sequence[HealthRecord]
Rule = Callable[[Records, Config], Finding | None]

WARMUP_SHARE = 0.1
"""Share of the epochs in which shares and ratios are not judged yet."""
TAIL = 3
"""Epochs that a trailing median is taken over."""


def last_attempt(records: Records) -> Records:
    """Records of the last attempt: one before it was given up, and says nothing about what the run ended with."""
    return [r for r in records if r.attempt == records[-1].attempt]


def since_remedy(records: Records, code: str) -> Records:
    """Records after the last one in which a remedy for this code was applied."""
    at = [i for i, r in enumerate(records) if any(f.code == code and f.applied for f in r.diagnoses)]
    return records[at[-1] + 1 :] if at else records


def warm(records: Records, config: Config) -> Records:
    """Records after the first `WARMUP_SHARE` of the epochs."""
    return [r for r in records if r.epoch > WARMUP_SHARE * config.train.epochs]


def evaluated_of(records: Records) -> list[tuple[HealthRecord, float]]:
    """Records with a held-out loss, and that loss."""
    return [(r, r.loss.val) for r in records if r.loss.val is not None]
