"""Adam on one flat vector, and the learning-rate schedules.

Written out: torch's own optimiser loads its compiler first (seconds) and costs more per step than the whole update.
A test holds both against torch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from rcgnn.config import TrainConfig
from rcgnn.numerics import adam_step

BETAS = (0.9, 0.999)

Schedule = Callable[[float | None], float]
"""Called at each evaluation with the held-out loss (None where there is none); returns the learning rate from then on."""


class Adam:
    """Adam with L2 weight decay (added to the gradient, not decoupled), as the origin used it.

    Formula:
        g = gradient + weight_decay x;  m = .9 m + .1 g;  v = .999 v + .001 g^2;
        x = x - lr (m / (1 - .9^t)) / (sqrt(v / (1 - .999^t)) + 1e-8).

    Attributes:
        lr: learning rate of the next step.

    Source: Kingma & Ba 2015, algorithm 1.
    """

    def __init__(self, x: Tensor, lr: float, weight_decay: float) -> None:
        self.x, self.lr, self.weight_decay = x, lr, weight_decay
        self.steps = 0
        self.mean, self.square = torch.zeros_like(x), torch.zeros_like(x)

    def step(self, gradient: Tensor) -> None:
        """Move `x` in place; `gradient` is left as it is."""
        self.steps += 1
        slope = torch.add(gradient, self.x, alpha=self.weight_decay)
        adam_step(self.x, (self.mean, self.square), slope, steps=self.steps, lr=self.lr, betas=BETAS)


class Plateau:
    """Halve the learning rate when the loss has not fallen for more than 3 evaluations, then wait one (the origin's settings).

    A loss counts as lower when it is below the lowest so far by one part in 10,000.

    Example:
        >>> schedule = Plateau(1.0)
        >>> [schedule(5.0) for _ in range(6)]
        [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]
    """

    FACTOR, PATIENCE, COOLDOWN, MARGIN = 0.5, 3, 1, 1e-4

    def __init__(self, lr: float) -> None:
        self.lr, self.best, self.bad, self.waiting = lr, math.inf, 0, 0

    def __call__(self, loss: float | None) -> float:
        """The learning rate after one more evaluation."""
        if loss is None:
            return self.lr
        lower = loss < self.best * (1 - self.MARGIN)
        self.best, self.bad = (loss, 0) if lower else (self.best, self.bad + 1)
        if self.waiting:
            self.waiting, self.bad = self.waiting - 1, 0
        if self.bad > self.PATIENCE:
            self.lr, self.waiting, self.bad = self.lr * self.FACTOR, self.COOLDOWN, 0
        return self.lr


def schedule(train: TrainConfig) -> Schedule:
    """The schedule of `train.schedule`; `plateau` is the origin's cure, `constant` its failure."""
    if train.schedule == "plateau":
        return Plateau(train.lr)
    if train.schedule == "constant":
        return lambda _loss: train.lr
    evaluations = iter(range(1, train.epochs + 1))
    last = max(1, train.epochs // train.eval_every)
    return lambda _loss: train.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, next(evaluations) / last)))
