"""`Training`: the mutable state of one run and what can happen to it: an epoch, a return, a restart, an end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rcgnn.config import Config
from rcgnn.errors import ConfigError
from rcgnn.model.network import CausalNet
from rcgnn.numerics import generator
from rcgnn.train.balance import make_balancer
from rcgnn.train.batches import Batches, Quarantine
from rcgnn.train.feed import Feed
from rcgnn.train.guard import Guard
from rcgnn.train.schedule import make_schedule
from rcgnn.train.step import Controls, Stepper

State = dict[str, Any]
NUMBERS = ("order", "lr_changes", "restarts", "steps", "taken", "batch")
"""Plain numbers among what `Training` changes."""


class Training:
    """One phase of training on one part of the table.

    Args:
        network: trained in place.
        data: training windows.
        config: the run's settings.
        names: sensor names.
        phase: `self` trains own histories with every link closed, `links` trains everything; part of every random stream.
        epochs: most epochs, which the schedule is laid over.
    """

    def __init__(self, network: CausalNet, data: Batches, config: Config, names: Sequence[str], phase: str, epochs: int) -> None:
        self.network, self.data, self.config, self.phase, self.epochs = network, data, config, phase, epochs
        self.batch = min(config.train.batch, max(1, len(data)))
        self.controls = Controls(
            Guard(clip=config.train.clip, max_rollbacks=config.train.max_rollbacks),
            make_schedule(config.train, epochs * max(1, round(len(data) / self.batch))),
            make_balancer(config),
        )
        closed = phase == "self"
        groups: Mapping[str, Sequence[nn.Parameter]] = {"self": network.self_parameters()} if closed else network.groups()
        self.stepper = Stepper(network, groups, self.controls, config.train, names, closed=closed)
        self.quarantine = Quarantine(len(data))
        readable = data.readable()
        self.usual = Feed.of(readable.values, readable.mask)
        self.order = self.lr_changes = self.restarts = self.steps = self.taken = 0
        self.failed: str | None = None
        self.stopped: str | None = None
        self.start = self.state()
        self.controls.guard.keep(self.start)

    def epoch(self, number: int) -> None:
        """One pass over the windows that are not set aside; it ends early when the last good state was brought back."""
        self.controls.balancer.begin_epoch()
        order = generator(self.config.seed, f"{self.phase}-order-{self.order}", number)
        hiding = generator(self.config.seed, f"{self.phase}-hidden-{self.order}", number)
        for index, batch in self.data.epoch(self.batch, self.quarantine.keep(number), order, hiding):
            bad_before = self.stepper.log.nonfinite
            action = self.stepper.take(batch)
            self.steps += 1
            self.taken += action in ("accept", "readmit")
            if self.stepper.log.nonfinite > bad_before:
                self.quarantine.add(index, batch, number)
            if action == "stop":
                self.restore(self.controls.guard.last_good())
                self.fail(self.controls.guard.last_rule)
                return
            if action == "rollback":
                self.roll_back()
                return
        if self.controls.guard.calm:
            self.controls.guard.keep(self.state())

    def roll_back(self) -> None:
        """Back to the last good state, with half the learning rate and a new batch order."""
        self.restore(self.controls.guard.last_good())
        self.controls.schedule.cut(0.5)
        self.order += 1

    def restart(self) -> None:
        """Back to the first state with fresh moments and a new batch order."""
        self.restore(self.start)
        self.restarts += 1
        self.order += 1

    def stop(self, reason: str) -> None:
        """End after this epoch."""
        self.stopped = self.stopped or reason

    def fail(self, rule: str) -> None:
        """End without an answer of this stage; the caller falls back to the screen's graph."""
        self.failed = f"refinement failed: {rule}"
        self.stopped = "failed"

    def state(self) -> State:
        """Copies of network and optimiser state."""
        return {"network": snapshot(self.network), "optimizer": _copied(self.stepper.optimizer.state_dict())}

    def restore(self, state: State) -> None:
        """Inverse of `state`; the state may be restored again later."""
        self.network.load_state_dict(state["network"])
        self.stepper.optimizer.load_state_dict(_copied(state["optimizer"]))

    def everything(self) -> State:
        """All that the next epoch depends on; what a good state shares with another is not copied."""
        guard = self.controls.guard
        return self.state() | {
            "controls": self.controls.state_dict(),
            "certificate": guard.certificate,
            "good": guard.good(),
            "start": self.start,
            "quarantine": self.quarantine.until,
            "numbers": {name: getattr(self, name) for name in NUMBERS},
        }

    def go_on(self, state: State) -> None:
        """Inverse of `everything`."""
        self.restore(state)
        controls = self.controls
        controls.load_state_dict(state["controls"])
        controls.guard.certificate = state["certificate"]
        controls.guard.keep(*state["good"])
        self.start = state["start"]
        self.quarantine.until = state["quarantine"]
        for name, number in state["numbers"].items():
            setattr(self, name, number)


def snapshot(network: CausalNet) -> dict[str, Tensor]:
    """Copies of all weights by name."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _copied(value: Any) -> Any:
    """A copy that shares no tensor; what `copy.deepcopy` does, several times as fast."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def pick_device(name: str) -> torch.device:
    """`auto` takes a CUDA device where there is one.

    Raises:
        ConfigError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device: {name!r} is no device; use auto, cpu or cuda.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device: {name!r} was asked for, but torch sees no CUDA device here; use auto or cpu.")
    return device
