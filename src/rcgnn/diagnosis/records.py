"""What the rules share: how records are read."""

from __future__ import annotations

import math
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


def is_raw(records: Records) -> bool:
    """Whether the losses are not our mean log errors: the origin's recipes, or somebody else's training. No remedy was applied there."""
    return bool(records) and records[-1].loss.scale == "raw"


def log_errors(records: Records, losses: Sequence[float]) -> list[float]:
    """Losses in log errors, where a difference of .1 is about 10 % of an error, whatever their unit.

    Ours are that already. Of others half the logarithm is taken (they are squared errors, as a rule); where one is not
    positive they are divided by their range instead.

    Example:
        >>> log_errors([], [-0.5, -0.6])
        [-0.5, -0.6]
    """
    if not is_raw(records) or not losses:
        return list(losses)
    if min(losses) > 0:
        return [0.5 * math.log(loss) for loss in losses]
    low, high = min(losses), max(losses)
    return [loss / (high - low) if 0 < high - low < math.inf else 0.0 for loss in losses]


def training_error(record: HealthRecord) -> float | None:
    """What compares with the held-out loss: ours as it is; of others the data term alone, where it is known."""
    return record.loss.train if record.loss.scale == "log" else record.loss.components.get("recon", record.loss.train)


def norms_of(records: Records) -> list[tuple[int, float]]:
    """(epoch, gradient norm) in order: every step's where the log holds them, else the largest of each epoch."""
    found = []
    for record in records:
        largest = [] if record.grad.raw_max is None else [record.grad.raw_max]
        found += [(record.epoch, norm) for norm in record.numeric.get("norms", largest)]
    return found
