"""One guarded step, top to bottom:

readable? -> forward -> loss finite? -> backward -> norms finite? -> spike? -> clip -> step -> prox -> parameters finite and in their
box? -> moved by less than their own size?
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from rcgnn.config import TrainConfig
from rcgnn.health import AuxHealth
from rcgnn.losses.reconstruction import gradient_bound, recon_per_sensor
from rcgnn.losses.terms import TERMS, compute
from rcgnn.model.network import CausalNet
from rcgnn.model.output import ModelOutput, NetworkInput
from rcgnn.train.balance import DATA, Balancer
from rcgnn.train.feed import Feed
from rcgnn.train.guard import PARAMETER_BOX, Action, Guard, first_bad, out_of_box
from rcgnn.train.optimizer import AdamW
from rcgnn.train.proximal import proximal_step
from rcgnn.train.schedule import Schedule

WEIGHT_FLOOR = 0.1
"""Root mean square below which a group's weights have no scale of their own to compare a step with: 20 steps of the default rate."""


LARGEST_MOVE = 1.0
"""norm(step) / norm(weights) above which a step is undone: AdamW stays far below it at any sane learning rate."""


@dataclass
class EpochLog:
    """What the steps of one epoch leave behind for the health record."""

    losses: list[float] = field(default_factory=list)
    components: dict[str, float] = field(default_factory=dict)
    norms: list[float] = field(default_factory=list)
    clipped: int = 0
    taken: int = 0
    level: float | None = None
    ratios: list[list[float]] = field(default_factory=list)
    aux: dict[str, AuxHealth] = field(default_factory=dict)
    data_norm: float | None = None
    sensor_share: dict[str, float] = field(default_factory=dict)
    group_grad: dict[str, float] = field(default_factory=dict)
    forecast_share: float | None = None
    accepted_max: float = 0.0
    nonfinite: int = 0
    first_bad: str | None = None
    feed: Feed | None = None


@dataclass
class Controls:
    """What decides about a step: all mutable state of training besides network and optimiser."""

    guard: Guard
    schedule: Schedule
    balancer: Balancer

    def state_dict(self) -> dict[str, Any]:
        """The three parts' numbers."""
        return {"guard": self.guard.state_dict(), "schedule": self.schedule.state_dict(), "balancer": self.balancer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.guard.load_state_dict(state["guard"])
        self.schedule.load_state_dict(state["schedule"])
        self.balancer.load_state_dict(state["balancer"])


class Stepper:
    """Takes steps on some of the network's parameters.

    Args:
        network: trained in place.
        groups: parameters by part; only these move.
        controls: what decides about a step.
        config: learning rate and weight decay.
        names: sensor names, for messages.
        closed: True to train with every link closed (the self baseline).
    """

    def __init__(
        self,
        network: CausalNet,
        groups: Mapping[str, Sequence[nn.Parameter]],
        controls: Controls,
        config: TrainConfig,
        names: Sequence[str],
        *,
        closed: bool = False,
    ) -> None:
        self.network, self.names = network, names
        self.guard, self.schedule, self.balancer = controls.guard, controls.schedule, controls.balancer
        self.groups = {name: list(members) for name, members in groups.items() if members}
        self.parameters = [p for members in self.groups.values() for p in members]
        moving = {id(p) for p in self.parameters}
        self.named = [(name, p) for name, p in network.named_parameters() if id(p) in moving]
        self.sizes = [sum(p.numel() for p in members) for members in self.groups.values()]
        self.floors = [WEIGHT_FLOOR * math.sqrt(size) for size in self.sizes]
        self.group_of = torch.repeat_interleave(torch.tensor(self.sizes, dtype=torch.long)).to(network.structure.base.device)
        self.optimizer = AdamW(self.parameters, config.lr, config.weight_decay)
        self.closed = closed
        self.log = EpochLog()

    def take(self, batch: NetworkInput) -> Action:
        """One step on one batch; anything but `accept` and `readmit` left network and optimiser as they were.

        After a step that was undone for its size, the weights are the ones before; the moments have taken the gradient in.
        `rollback` and `stop` ask the caller to bring the last good state back.
        """
        self.optimizer.lr = self.schedule.lr
        self.schedule.step()
        if not bool(torch.isfinite(batch.values).all()):
            return self._nonfinite(f"input{self._unreadable(batch)}")
        self._read(batch)
        output = self.network(batch, closed=self.closed)
        terms = (
            compute(output, batch, self.network) if self.balancer.wants_all() else {DATA: TERMS[DATA].value(output, batch, self.network)}
        )
        if (where := bad_term(terms)) is not None:
            return self._nonfinite(f"loss.{where}{self._of_sensor(output, batch)}")
        gradient = self.balancer.gradient(terms, self.parameters, output.prediction)
        norm = float(gradient.double().norm())
        if not math.isfinite(norm):
            return self._nonfinite(self._bad_gradient())
        self.log.norms.append(norm)
        level = self.guard.level()
        action = self.guard.judge(norm)
        if action not in ("accept", "readmit"):
            return action
        if action == "readmit":
            self.schedule.cut(0.5)
            self.optimizer.lr = self.schedule.lr
        self._observe(terms, output, batch, gradient, norm)
        if level is not None and norm > level:
            gradient = gradient * (level / norm)
            self.log.clipped += 1
        before = self.optimizer.flat.clone()
        self.optimizer.step(gradient)
        if not self.closed and self.balancer.proximal:
            proximal_step(self.network.structure, self.optimizer, self.balancer.threshold.to(gradient.device))
        return self._refused(before) or action

    def take_log(self) -> EpochLog:
        """What happened since the last call."""
        log, self.log = self.log, EpochLog()
        log.level = self.guard.level()
        return log

    def _observe(self, terms: Mapping[str, Tensor], output: ModelOutput, batch: NetworkInput, gradient: Tensor, norm: float) -> None:
        """Numbers for the record: the loss at every step, the costlier ones at the first step of an epoch."""
        log = self.log
        log.taken += 1
        log.accepted_max = max(log.accepted_max, norm)
        slope = self.balancer.at_forecast
        with torch.no_grad():
            asked = [recon_per_sensor(output, batch).nanmean()]
            if slope is not None:
                asked += [slope.double().norm(), gradient_bound(batch.mask[:, self.network.max_lag :])]
            loss, *sizes = torch.stack(asked).tolist()  # one wait for the device
        log.losses.append(loss)
        if sizes:
            log.forecast_share = max(log.forecast_share or 0.0, sizes[0] / max(sizes[1], 1e-30))
        if log.taken > 1:
            return
        log.components = {name: float(term.detach()) for name, term in terms.items()}
        log.aux = self.balancer.report(terms, self.parameters)
        log.data_norm = self.balancer.data_norm
        if slope is None and terms[DATA].requires_grad:
            slope = torch.autograd.grad(terms[DATA], [output.prediction], retain_graph=True, allow_unused=True)[0]
        log.sensor_share = {} if slope is None else sensor_shares(slope, self.names)
        parts = torch.split(gradient, self.sizes)
        log.group_grad = {name: float(part.abs().mean()) for name, part in zip(self.groups, parts, strict=True)}

    def _read(self, batch: NetworkInput) -> None:
        feed = Feed.of(batch.values, batch.mask)
        self.log.feed = feed if self.log.feed is None else self.log.feed.plus(feed)

    def _refused(self, before: Tensor) -> Action | None:
        """What to do after a step that left the box or was larger than the weights; None where it may stand.

        No weight is larger than the norm of all, so the box is looked at only where that norm leaves it.
        """
        moved, weights = self._norms(before, self.optimizer.flat)
        step, size = math.hypot(*moved), math.hypot(*weights)
        if not step + size <= PARAMETER_BOX and (where := out_of_box(self.named)) is not None:
            self._note(f"parameter.{where}")
            return self.guard.left_the_box()
        self.log.ratios.append([norm / max(weight, floor) for norm, weight, floor in zip(moved, weights, self.floors, strict=True)])
        if step <= LARGEST_MOVE * max(size, math.hypot(*self.floors)):
            return None
        self.optimizer.flat.copy_(before)
        return self.guard.overshot()

    def _norms(self, before: Tensor, after: Tensor) -> tuple[list[float], list[float]]:
        """By group: norm of the step, and of the weights before it."""
        squares = torch.stack([after - before, before]).double().square_()
        moved, weights = squares.new_zeros(2, len(self.sizes)).index_add_(1, self.group_of, squares).sqrt().tolist()
        return moved, weights

    def _nonfinite(self, where: str) -> Action:
        self._note(where)
        self.balancer.begin_epoch()
        return self.guard.nonfinite()

    def _note(self, where: str) -> None:
        self.log.nonfinite += 1
        self.log.first_bad = self.log.first_bad or where

    def _bad_gradient(self) -> str:
        """The first parameter, and where possible the sensor, whose raw gradient is not finite."""
        sizes = [p.numel() for p in self.parameters]
        for row in self.balancer.rows.values():
            of = {id(p): part.view_as(p) for p, part in zip(self.parameters, torch.split(row, sizes), strict=True)}
            where = first_bad((name, of[id(p)]) for name, p in self.named)
            if where is not None:
                bad = next(of[id(p)] for name, p in self.named if name == where)
                per_sensor = bad.dim() > 1 and len(bad) == len(self.names)
                return f"gradient.{where}" + (self._name(torch.isfinite(bad.flatten(1)).all(1)) if per_sensor else "")
        return "gradient"

    def _of_sensor(self, output: ModelOutput, batch: NetworkInput) -> str:
        """The sensor whose loss is bad although it was observed, as `[name]`."""
        absent = ~batch.mask[:, self.network.max_lag :].any(1).any(0)
        return self._name(torch.isfinite(recon_per_sensor(output, batch).detach()) | absent)

    def _unreadable(self, batch: NetworkInput) -> str:
        return self._name(torch.isfinite(batch.values).all(1).all(0))

    def _name(self, fine: Tensor) -> str:
        bad = (~fine).nonzero().flatten().tolist()
        return f"[{self.names[bad[0]]}]" if bad else ""


def bad_term(terms: Mapping[str, Tensor]) -> str | None:
    """Name of the first loss term that is not finite; one look when all are."""
    if bool(torch.isfinite(torch.stack([term.detach() for term in terms.values()])).all()):
        return None
    return first_bad(terms.items())


def sensor_shares(slope: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Share of each sensor in the squared norm of the data term's gradient at the forecast; empty where that is 0 or not finite.

    Args:
        slope: [B, M, N] the gradient.
        names: of the N sensors.

    Example:
        >>> sensor_shares(torch.tensor([[[3.0, 1.0]]]), ["pump", "flow"])
        {'pump': 0.9, 'flow': 0.1}
    """
    squares = slope.detach().double().square().sum((0, 1))
    total = float(squares.sum())
    return dict(zip(names, (squares / total).tolist(), strict=True)) if 0 < total < math.inf else {}
