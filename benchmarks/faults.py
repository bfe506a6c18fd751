"""`FAULTS`: what is made to go wrong inside one training run, and the code of the rule that must name it.

    with injected("gradient_nan", step=20):
        fit_series(series, config)

Only the second phase of training (links open) is hit; its steps are counted from 0. Nothing in `src` knows of this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rcgnn.model.output import NetworkInput
from rcgnn.train.guard import Action
from rcgnn.train.step import Stepper

Take = Callable[[Stepper, NetworkInput], Action]
Strike = Callable[[Take, Stepper, NetworkInput], Action]
"""Takes one step in which something goes wrong."""

SENSOR = 0
"""The sensor that faults of one sensor hit."""
GRADIENT, READINGS, UNIT, RATE = 1e8, 1e4, 1e3, 1e4
"""Factors."""


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        doc: what goes wrong.
        code: the rule that must name it.
        strike: one step that goes wrong.
        steps: how many steps are hit; None: all from the first one on.
    """

    doc: str
    code: str
    strike: Strike
    steps: int | None = 1


def gradient_nan(take: Take, stepper: Stepper, batch: NetworkInput) -> Action:
    """The gradient of one tensor is NaN in its first entry."""
    _, parameter = stepper.named[0]
    first = torch.zeros(parameter.numel(), dtype=torch.bool)
    first[0] = True
    hook = parameter.register_hook(lambda gradient: gradient.masked_fill(first.view_as(gradient), torch.nan))
    try:
        return take(stepper, batch)
    finally:
        hook.remove()


def gradient_large(take: Take, stepper: Stepper, batch: NetworkInput) -> Action:
    """All gradients are 1e8 times as large."""
    hooks = [parameter.register_hook(lambda gradient: GRADIENT * gradient) for parameter in stepper.parameters]
    try:
        return take(stepper, batch)
    finally:
        for hook in hooks:
            hook.remove()


def rate_large(take: Take, stepper: Stepper, batch: NetworkInput) -> Action:
    """The learning rate is 1e4 times as large."""
    stepper.schedule.scale *= RATE
    try:
        return take(stepper, batch)
    finally:
        stepper.schedule.scale /= RATE


def _with(change: Callable[[Tensor, Tensor], Tensor]) -> Strike:
    """A step on other readings: `change(values, mask)`, both [B, L, N]; cells that were not read stay 0."""

    def strike(take: Take, stepper: Stepper, batch: NetworkInput) -> Action:
        values = torch.where(batch.mask, change(batch.values, batch.mask), batch.values)
        return take(stepper, replace(batch, values=values))

    return strike


def _of_one(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    def changed(values: Tensor, _mask: Tensor) -> Tensor:
        values = values.clone()
        values[:, :, SENSOR] = change(values[:, :, SENSOR])
        return values

    return changed


def _spoilt(values: Tensor, _mask: Tensor) -> Tensor:
    """Every seventh cell is NaN, every fifth infinite."""
    flat = values.clone().flatten()
    flat[::5], flat[::7] = torch.inf, torch.nan
    return flat.view_as(values)


FAULTS: dict[str, Fault] = {
    "gradient_nan": Fault("NaN in the gradient of one tensor", "NONFINITE", gradient_nan),
    "gradient_large": Fault("all gradients x 1e8", "SPIKE", gradient_large),
    "loss_spike": Fault("all readings of one batch x 1e4", "SPIKE", _with(lambda values, _mask: READINGS * values)),
    "corrupted_batch": Fault("infinite and NaN cells in one batch", "NONFINITE", _with(_spoilt)),
    "rate_large": Fault("learning rate x 1e4 for three steps", "UPDATE_RATIO", rate_large, 3),
    "dead_sensor": Fault("one sensor stands still from here on", "INPUT", _with(_of_one(lambda x: torch.full_like(x, 0.5))), None),
    "unit_change": Fault("one sensor's readings x 1000 from here on", "INPUT", _with(_of_one(lambda x: UNIT * x)), None),
}
"""Name -> what goes wrong and which rule must say so."""


@contextmanager
def injected(name: str, step: int) -> Iterator[list[int]]:
    """Every training run inside suffers the fault at this step of its second phase.

    Args:
        name: a row of `FAULTS`.
        step: first step that is hit, counted from 0.

    Yields:
        The steps that were hit, as they are: a run may end before.
    """
    fault, taken, struck = FAULTS[name], dict[Stepper, int](), list[int]()
    last = None if fault.steps is None else step + fault.steps

    def strike(take: Take, stepper: Stepper, batch: NetworkInput) -> Action:
        now = taken[stepper] = taken.get(stepper, -1) + 1
        hit = not stepper.closed and now >= step and (last is None or now < last)
        if not hit:
            return take(stepper, batch)
        struck.append(now)
        return fault.strike(take, stepper, batch)

    with wrapped(strike):
        yield struck


@contextmanager
def wrapped(around: Strike) -> Iterator[None]:
    """Every step of every run inside goes through `around(take, stepper, batch)`."""
    take = Stepper.take
    Stepper.take = lambda stepper, batch: around(take, stepper, batch)
    try:
        yield
    finally:
        Stepper.take = take
