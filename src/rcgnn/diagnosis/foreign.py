"""Training logs as health records: ours, the origin's, and somebody else's as JSON lines or CSV. Pure: text in, records out.

What a foreign line may hold is `lines.FIELDS`; everything in it is optional. Nothing absent is made up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from rcgnn.config import Config
from rcgnn.diagnosis.lines import FIELDS, Line, csv_lines, json_lines, known_fields
from rcgnn.diagnosis.lines import epochs as by_epoch
from rcgnn.diagnosis.merge import finite, merged
from rcgnn.diagnosis.records import is_raw
from rcgnn.errors import InputError
from rcgnn.formats import NewerError, why_not
from rcgnn.health import GradHealth, GraphHealth, HealthRecord, LossHealth

MOST_GROUPS = 100
"""Without `epoch`, a longer log is taken together into about this many groups of lines."""
MEASURES = tuple(name for name in FIELDS if name not in ("epoch", "step", "lr"))
"""At least one of these makes a log worth reading."""


@dataclass(frozen=True)
class Log:
    """One run's log.

    Attributes:
        records: one an epoch, oldest first.
        config: what is known about its settings.
        notes: what was passed over or taken together, one sentence each.
    """

    records: list[HealthRecord]
    config: Config
    notes: list[str] = field(default_factory=list)


def read_log(text: str, where: str) -> Log:
    r"""The records of a log, whatever wrote it.

    Args:
        text: the whole file: a `health.jsonl`, the origin's `training_log_stable.json`, JSON lines, or CSV with a header.
        where: its name, for messages.

    Raises:
        InputError: empty, damaged, or without any field that is known; names file and line.

    Example:
        >>> log = read_log("epoch,loss,grad_norm\n1,0.9,3.0\n2,nan,4.0\n", "log.csv")
        >>> [(r.epoch, r.loss.train, r.grad.nonfinite) for r in log.records]
        [(1, 0.9, 0), (2, None, 1)]
    """
    if not text.strip():
        raise InputError(f"{where}: the file is empty; expected a training log, one line an epoch or a step.")
    if not text.lstrip().startswith(("{", "[")):
        return _foreign(csv_lines(text, where), where)
    whole = _whole(text)
    if isinstance(whole, dict) and isinstance(whole.get("epochs"), list):
        return _origin_log(whole["epochs"], where)
    if isinstance(whole, list):
        raise InputError(f"{where}: expected JSON lines, one object a line, got one JSON array; write one line an epoch or a step.")
    lines, cut = json_lines(text, where)
    if lines and isinstance(lines[0].cells.get("loss"), Mapping):
        return _health_log(lines, where, cut)
    if cut is not None:
        raise InputError(f"{where}: {cut}")
    return _foreign(lines, where)


def config_of(records: list[HealthRecord]) -> Config:
    """What a log by itself says about the settings: recipe auto for our losses, a plain sum of terms for others."""
    last = max((record.epoch for record in records), default=1)
    return Config.parse({"losses": {"balance": "fixed"}, "train": {"epochs": max(1, last)}}) if is_raw(records) else Config()


def from_entry(entry: Mapping[str, Any], *, sensors: int | None = None, seed: int | None = None, step: int = 0) -> HealthRecord:
    """A health record from an epoch of an origin log, so that the diagnosis rules can read old runs; oracle figures are dropped.

    Args:
        entry: one element of `epochs`.
        sensors: N, where it is known: without it there is no density, hence no graph part.
        seed: of the run.
        step: steps so far.
    """
    edges, loss = int(entry["edge_count"]), finite(entry["train_loss"])
    components = {name: finite(value) for name, value in entry["train_loss_components"].items()}
    return HealthRecord(
        epoch=entry["epoch"],
        step=step,
        lr=entry["learning_rate"],
        seed=seed,
        wall_s=entry["epoch_time"],
        loss=LossHealth(scale="raw", train=loss, components={name: value for name, value in components.items() if value is not None}),
        grad=GradHealth(clip_share=entry["grad_clip_ratio"], nonfinite=int(loss is None), first_bad="train_loss" if loss is None else None),
        graph=None if sensors is None else GraphHealth(edges=edges, density=edges / max(1, sensors * (sensors - 1))),
    )


def _whole(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _origin_log(entries: list[Any], where: str) -> Log:
    records = []
    for number, entry in enumerate(entries, start=1):
        try:
            records.append(from_entry(entry))
        except KeyError as error:
            raise InputError(f"{where}: entry {number} of 'epochs' lacks {error}; expected the origin's log as it was written.") from error
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"{where}: entry {number} of 'epochs' is damaged; expected the origin's log as it was written.") from error
    if not records:
        raise InputError(f"{where}: 'epochs' is empty; the run ended before its first epoch did.")
    return Log(records, config_of(records))


def _health_log(lines: list[Line], where: str, cut: str | None) -> Log:
    records = []
    for line in lines:
        try:
            records.append(HealthRecord.model_validate(line.cells))
        except ValidationError as error:
            if isinstance(why := why_not(error), NewerError):
                raise InputError(f"{where}: line {line.number}: {why}.") from error
            raise InputError(f"{where}: line {line.number} is not a health record: {why}.") from error
    notes = [] if cut is None else [f"{cut} It was passed over."]
    return Log(records, config_of(records), notes)


def _foreign(lines: list[Line], where: str) -> Log:
    known, ignored = known_fields(lines)
    if not known & set(MEASURES):
        found = ", ".join(sorted(known | ignored)[:8]) or "nothing"
        raise InputError(f"{where}: expected at least one of the fields {', '.join(MEASURES)}, got {found}; see docs/diagnose.md.")
    notes = [f"Ignored, since not known: {', '.join(sorted(ignored))}."] if ignored else []
    size = 1 if "epoch" in known else max(1, -(-len(lines) // MOST_GROUPS))
    if "epoch" not in known:
        together = "line" if size == 1 else f"{size} lines together"
        notes.append(f"No epoch in the log: every {together} counts as one.")
    groups = by_epoch(lines, where, size)
    records: list[HealthRecord] = []
    for epoch, group in groups:
        records.append(merged(epoch, group, records[-1].step if records else 0, where))
    return Log(records, config_of(records), notes)
