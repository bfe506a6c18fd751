"""What the trainer does about a finding. Every remedy is an event with before and after; budgets bound self-healing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rcgnn.health import Finding
from rcgnn.train.record import typical

if TYPE_CHECKING:
    from rcgnn.train.training import Training

LR_CHANGES, RESTARTS = 3, 1
"""Learning-rate changes and restarts a run may spend on itself."""

Change = dict[str, Any]
Remedy = Callable[["Training", Finding], Change | None]
"""Changes the training; what it changed as {"before": ..., "after": ...}, or None when nothing was done."""


def change_lr(training: Training, factor: float) -> Change | None:
    """Multiply the learning rate, at most `LR_CHANGES` times a run."""
    if training.lr_changes >= LR_CHANGES:
        return None
    training.lr_changes += 1
    schedule = training.controls.schedule
    before = schedule.lr
    schedule.cut(factor)
    return {"before": {"lr": before}, "after": {"lr": schedule.lr}}


def halve_lr(training: Training, finding: Finding) -> Change | None:
    """CLIPPED_OFTEN: lr / 2 when it is severe enough to act."""
    return change_lr(training, 0.5) if finding.severity == "act" else None


def smoother(training: Training, finding: Finding) -> Change | None:
    """OSCILLATION: lr / 2 and twice the batch."""
    del finding
    change = change_lr(training, 0.5)
    if change is None:
        return None
    change["before"]["batch"] = training.batch
    training.batch = min(2 * training.batch, max(training.batch, len(training.data)))
    change["after"]["batch"] = training.batch
    return change


def resize(training: Training, finding: Finding) -> Change | None:
    """UPDATE_RATIO: lr / 2 when steps are too large, x 2 when they are too small; nothing more where the step was undone."""
    if finding.applied:
        return None
    return change_lr(training, 0.5 if finding.evidence["high"] else 2.0)


def stop_and_restore(training: Training, finding: Finding) -> Change | None:
    """OVERFIT: stop; the best state is restored as at every end."""
    del finding
    training.stop("OVERFIT")
    return {"before": {}, "after": {"stopped": "OVERFIT"}}


def restart(training: Training, finding: Finding) -> Change | None:
    """VANISHING: once, back to the screen's start."""
    del finding
    if training.restarts >= RESTARTS:
        return None
    training.restart()
    return {"before": {}, "after": {"restarts": training.restarts}}


def restart_gentler(training: Training, finding: Finding) -> Change | None:
    """COLLAPSE: once, back to the screen's start with half the threshold; then the screen's graph is the answer."""
    balancer = training.controls.balancer
    before = typical(balancer.threshold)
    if training.restarts >= RESTARTS:
        training.fail(finding.code)
        return {"before": {"threshold": before}, "after": {"answer": "screen"}}
    training.restart()
    balancer.threshold = balancer.threshold / 2
    return {"before": {"threshold": before}, "after": {"threshold": before / 2}}


def give_up(training: Training, finding: Finding) -> Change | None:
    """CERTIFICATE: the neural stage ends, the screen's graph is the answer."""
    training.fail(finding.code)
    return {"before": {}, "after": {"answer": "screen"}}


REMEDIES: dict[str, Remedy] = {
    "CLIPPED_OFTEN": halve_lr,
    "OSCILLATION": smoother,
    "UPDATE_RATIO": resize,
    "OVERFIT": stop_and_restore,
    "VANISHING": restart,
    "COLLAPSE": restart_gentler,
    "CERTIFICATE": give_up,
}
"""Code -> what the trainer does. Codes that are not here are reported, or handled inside a step by the guard and the balancer."""


def treat(training: Training, finding: Finding) -> Finding:
    """The finding after its remedy; `applied` and the change are noted when something was done."""
    remedy = REMEDIES.get(finding.code)
    change = None if remedy is None or training.stopped else remedy(training, finding)
    if change is None:
        return finding
    return finding.model_copy(update={"applied": True, "evidence": {**finding.evidence, **change}})
