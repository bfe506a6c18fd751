"""Learning-rate schedules. State is a few numbers; `cut` is the one door through which remedies act."""

from __future__ import annotations

import math
from typing import Any

from rcgnn.config import TrainConfig

WARMUP_SHARE = 0.1
"""Share of all steps over which the rate rises from near 0 to its highest."""
FINAL_SHARE = 0.02
"""Cosine ends at this share of the highest rate."""
PLATEAU_FACTOR, PLATEAU_PATIENCE, PLATEAU_COOLDOWN = 0.5, 3, 1
"""The origin's ReduceLROnPlateau."""
PLATEAU_GAIN = 1e-4
"""Relative gain below which an evaluation counts as no better (torch's default threshold)."""


def cosine(step: int, total: int, warmup: int) -> float:
    """`(step + 1) / warmup` while warming up, then a half cosine from 1 down to `FINAL_SHARE`.

    Example:
        >>> round(cosine(0, 100, 10), 3), cosine(9, 100, 10), round(cosine(100, 100, 10), 3)
        (0.1, 1.0, 0.02)
    """
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, total - warmup))
    return FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * done))


class Constant:
    """`lr = base x scale`; `scale` only ever changes through `cut`.

    Args:
        base: highest learning rate.
        total: optimiser steps the run may take.

    Example:
        >>> schedule = Constant(1e-3, total=10)
        >>> schedule.cut(0.5); schedule.step(); schedule.lr
        0.0005
    """

    def __init__(self, base: float, total: int) -> None:
        self.base = base
        self.total = max(1, total)
        self.scale = 1.0
        self.steps = 0

    def shape(self) -> float:
        """Multiple of `base x scale` at the current step."""
        return 1.0

    @property
    def lr(self) -> float:
        """Learning rate of the next step."""
        return self.base * self.scale * self.shape()

    def step(self) -> None:
        """One optimiser step was offered (taken or skipped)."""
        self.steps += 1

    def evaluated(self, loss: float) -> None:
        """A held-out loss is known; only `Plateau` listens."""

    def cut(self, factor: float) -> None:
        """Multiply every later rate: .5 after a level shift or a return, 2 when updates vanish."""
        self.scale *= factor

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        for name in vars(self):
            setattr(self, name, state[name])


class Cosine(Constant):
    """Warm-up over a tenth of the steps, then a half cosine down to 2 %."""

    def shape(self) -> float:
        """See `cosine`."""
        return cosine(self.steps, self.total, max(1, round(WARMUP_SHARE * self.total)))


class Plateau(Constant):
    """The origin's schedule: halve after more than 3 evaluations without gain, then wait one evaluation.

    It reads the held-out loss; the origin's read the true graph.

    Source: `torch.optim.lr_scheduler.ReduceLROnPlateau(factor=.5, patience=3, cooldown=1)`.
    """

    def __init__(self, base: float, total: int) -> None:
        super().__init__(base, total)
        self.best = math.inf
        self.bad = 0
        self.cooldown = 0

    def evaluated(self, loss: float) -> None:
        """Count evaluations without gain; cut when there were too many."""
        if loss < self.best - PLATEAU_GAIN * abs(self.best if math.isfinite(self.best) else 0.0):
            self.best, self.bad = loss, 0
        else:
            self.bad += 1
        if self.cooldown > 0:
            self.cooldown -= 1
            self.bad = 0
        if self.bad > PLATEAU_PATIENCE:
            self.cut(PLATEAU_FACTOR)
            self.cooldown, self.bad = PLATEAU_COOLDOWN, 0


Schedule = Constant

SCHEDULES: dict[str, type[Constant]] = {"cosine": Cosine, "plateau": Plateau, "constant": Constant}
"""`train.schedule` -> class."""


def make_schedule(config: TrainConfig, total: int) -> Schedule:
    """The schedule the config names, for a run of `total` optimiser steps."""
    return SCHEDULES[config.schedule](config.lr, total)
