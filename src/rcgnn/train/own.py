"""Phase 1: every sensor from its own past, all links closed. It knows no candidate, so it can be done before there are any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from rcgnn.config import Config
from rcgnn.health import Progress
from rcgnn.model.network import CausalNet
from rcgnn.train.batches import Batches
from rcgnn.train.checkpoint import States
from rcgnn.train.held_out import HeldOut, evaluate
from rcgnn.train.judge import finite
from rcgnn.train.stopping import Stopping
from rcgnn.train.training import Training, snapshot

EPOCHS, PATIENCE = 20, 4
"""Most epochs (never more than the run's own), and epochs without gain before it stops."""


@dataclass(frozen=True, eq=False)
class Own:
    """What phase 1 leaves behind.

    Attributes:
        parameters: those that the forecast uses when every link is closed, by name.
        baseline: held-out evaluation of these; None where nothing is held out.
        useless: why there is nothing to go on from; None where there is.
    """

    parameters: dict[str, Tensor]
    baseline: HeldOut | None
    useless: str | None

    def given_to(self, network: CausalNet) -> dict[str, Tensor]:
        """All weights of the network, once it has these parameters."""
        network.load_state_dict(self.parameters, strict=False)
        return snapshot(network)


def own_histories(  # noqa: PLR0913 - as `train`
    network: CausalNet,
    data: Batches,
    blocks: Sequence[Batches],
    config: Config,
    *,
    names: Sequence[str],
    progress: Progress,
    states: States,
    over: Callable[[], bool] = lambda: False,
) -> Own:
    """Own histories and encoders, every link closed, under the same guard as links, until the held-out loss stands still.

    Args:
        network: left in its best state; its candidates do not matter.
        data: training windows.
        blocks: held-out ones.
        config: the run's settings.
        names: N sensor names.
        progress: told about every epoch.
        states: where the state after an epoch is kept, and found again.
        over: asked after every epoch; True ends it, as where time is short.
    """
    training = Training(network, data, config, names, "self", min(EPOCHS, config.train.epochs))
    baseline = _fitted(training, blocks, progress, over, states)
    useless = training.failed is not None or training.taken == 0
    parameters = {name: parameter.detach().clone() for name, parameter in training.stepper.named}
    return Own(parameters, baseline, training.controls.guard.last_rule or "no training window" if useless else None)


def _fitted(training: Training, blocks: Sequence[Batches], progress: Progress, over: Callable[[], bool], states: States) -> HeldOut | None:
    """The held-out evaluation of the best state, in which the network is left; None where nothing is held out."""
    stopping, best, found, first = Stopping(PATIENCE), None, None, 1
    if (saved := states.load("self")) is not None:
        training.go_on(saved["training"])
        stopping.load_state_dict(saved["stopping"])
        best, found, first = saved["best"], saved["found"], saved["epoch"] + 1
    for epoch in range(first, training.epochs + 1):
        training.epoch(epoch)
        log = training.stepper.take_log()
        progress(
            "train",
            {"message": "own histories", "done": epoch, "total": training.epochs, **({"loss": log.losses[-1]} if log.losses else {})},
        )
        if training.failed is not None:
            break
        now = finite(evaluate(training.network, blocks, closed=True))
        if now is None:
            continue
        still = stopping.update(epoch, now.closed_blocks, np.zeros(1, np.bool_))
        if stopping.is_best(epoch):
            best, found = training.state(), now
        if still or over():
            break
        part = {"stopping": stopping.state_dict(), "best": best, "found": found, "epoch": epoch}
        states.save("self", partial(_with, training, part))
    if best is not None:
        training.restore(best)
    return found


def _with(training: Training, part: dict[str, Any]) -> dict[str, Any]:
    return part | {"training": training.everything()}
