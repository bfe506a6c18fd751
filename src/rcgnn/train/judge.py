"""What the held-out blocks say, and what is decided by them: the best state, when to stop, whether links are worth their loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rcgnn.health import HealthRecord
from rcgnn.train.batches import Batches
from rcgnn.train.held_out import HeldOut, closed_is_alone, evaluate
from rcgnn.train.record import open_pairs
from rcgnn.train.stopping import Stopping
from rcgnn.train.training import Training, snapshot

FloatArray = NDArray[np.float64]

EQUAL_LOSS = 1e-5
"""Losses that differ by less are equal."""


@dataclass
class Judge:
    """Held-out blocks and everything that is decided by them; `alone` is the network that the baseline was measured on."""

    blocks: list[Batches]
    baseline: HeldOut | None
    stopping: Stopping
    alone: dict[str, Tensor] | None = None
    best: dict[str, Tensor] | None = None
    best_held_out: HeldOut | None = None

    def everything(self, training: Training, records: Sequence[HealthRecord]) -> dict[str, Any]:
        """All that the next epoch depends on, after one of the phase `links`."""
        mine = {name: getattr(self, name) for name in ("baseline", "alone", "best", "best_held_out")}
        return mine | {"training": training.everything(), "stopping": self.stopping.state_dict(), "records": list(records)}

    def go_on(self, training: Training, saved: dict[str, Any], on_record: Callable[[HealthRecord], None] | None) -> list[HealthRecord]:
        """Inverse of `everything`; the records are handed out again."""
        training.go_on(saved.pop("training"))
        self.stopping.load_state_dict(saved.pop("stopping"))
        records: list[HealthRecord] = saved.pop("records")
        for name, value in saved.items():
            setattr(self, name, value)
        if on_record is not None:
            for record in records:
                on_record(record)
        return records


def hold_out(training: Training, judge: Judge, epoch: int) -> HeldOut | None:
    """Evaluate, remember the best state, decide about stopping; a loss that is not finite brings the last good state back.

    The network with closed links is itself a forecaster from own past. Where it beats the self baseline it takes its
    place, so that longer training of own histories is never sold as a gain of the links.
    """
    found = evaluate(training.network, judge.blocks)
    if found is None:
        return None
    if not found.finite:
        guard = training.controls.guard
        if guard.left_the_box() == "rollback":
            training.roll_back()
        else:
            training.fail(guard.last_rule)
        return None
    lower = judge.baseline is None or bool(found.closed_blocks.mean() < judge.baseline.closed_blocks.mean())
    if judge.baseline is None or (lower and closed_is_alone(training.network, judge.blocks[0])):
        judge.baseline, judge.alone = found, snapshot(training.network)
    training.controls.schedule.evaluated(float(found.blocks.mean()))
    still = judge.stopping.update(epoch, found.blocks, open_pairs(training.network.structure))
    if judge.stopping.is_best(epoch):
        judge.best, judge.best_held_out = snapshot(training.network), found
    if still:
        training.stop("patience")
    return found


def links_cost(judge: Judge) -> bool:
    """Whether the best state's held-out loss is more than one standard error above own past's, paired over blocks."""
    best, baseline = judge.best_held_out, judge.baseline
    if best is None or baseline is None:
        return False
    excess = float(best.blocks.mean() - baseline.closed_blocks.mean())
    return excess > best.stderr_of_gain(baseline) + EQUAL_LOSS


def gain_of(best: HeldOut, baseline: HeldOut | None) -> FloatArray:
    """[N] held-out loss that the links save each sensor; see `TrainResult.gain`."""
    closed = best.closed_sensors if baseline is None else np.fmin(best.closed_sensors, baseline.closed_sensors)
    return np.nan_to_num(closed - best.sensors, nan=0.0)


def finite(found: HeldOut | None) -> HeldOut | None:
    """The evaluation where all of it is finite."""
    return found if found is not None and found.finite else None
