"""The guard: decides about every step from its gradient norm, and remembers how to get back to a good state.

Order inside one step: forward -> loss finite? -> backward -> norms finite? -> spike? -> clip -> step -> parameters
finite and in their box? The guard holds numbers only; the caller holds tensors and carries the decision out.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from statistics import median
from typing import Any, Literal

import torch
from torch import Tensor

from rcgnn.health import GuardHealth

Action = Literal["accept", "skip", "readmit", "rollback", "stop"]

WINDOW = 128
"""Accepted log norms that the median and the MAD are taken over."""
ARMED_AFTER = 8
"""Accepted steps before a spike can be called; the level is unknown until then."""
SPIKE_MADS = 6.0
CLIP_MADS = 3.0
MAD_FLOOR = 0.25
"""Least MAD of log norms: a very even run does not call its next ordinary step a spike (6 x .25 = a factor of 4.5)."""
LEVEL_SHIFT = 8
"""Spikes in a row after which the new level is taken for real."""
INCIDENTS, INCIDENT_SPAN = 3, 100
"""So many incidents within so many steps roll the run back."""
KEPT_STATES = 3
PARAMETER_BOX = 1e4
"""Largest magnitude a parameter may reach; inputs are standardised, so a healthy one stays below 10."""
TINY_NORM, LARGEST_LOG = 1e-30, 700.0
"""Norms outside this range (700: just below overflow) are taken as its ends."""


class Guard:
    """Accepted-only statistics of log gradient norms, and the way back.

    With m and s the median and the MAD of the last 128 accepted log norms: a step is a spike when `log norm > m + 6 s`
    (from the 9th accepted step on) or its norm is above the certificate, and is clipped at `exp(m + 3 s)`. Skipped steps
    never enter the statistics, so one bad step neither raises the bar for the next nor (as mean and
    standard deviation do) blinds the guard.
    A run of spikes counts as one incident; every non-finite step counts as one.

    Args:
        certificate: upper bound of the clip level, or None.
        clip: a fixed clip level instead (the origin's recipes), or None.
        max_rollbacks: returns to a good state before `stop`.

    Source: median/MAD step guards as in OLMo-core's `SkipStepOptimizer`, with a robust scale in place of mean and standard deviation.

    Example:
        >>> guard = Guard()
        >>> [guard.judge(1.0 + 0.1 * (i % 3)) for i in range(9)][-1]
        'accept'
        >>> guard.judge(1e8), guard.judge(float("nan")), guard.judge(1.0)
        ('skip', 'skip', 'accept')
    """

    def __init__(self, *, certificate: float | None = None, clip: float | None = None, max_rollbacks: int = 3) -> None:
        self.certificate = certificate
        self.clip = clip
        self.max_rollbacks = max_rollbacks
        self.window: deque[float] = deque(maxlen=WINDOW)
        self.incidents: deque[int] = deque(maxlen=INCIDENTS)
        self.step = 0
        self.spikes_in_a_row = 0
        self.rollbacks = 0
        self.last_rule = ""
        self.counts = GuardHealth()
        self._states: deque[Any] = deque(maxlen=KEPT_STATES)

    def judge(self, norm: float) -> Action:
        """What to do with a step of this gradient norm; the norm enters the statistics only when the step is taken."""
        if not math.isfinite(norm):
            return self.nonfinite()
        self.step += 1
        log_norm = math.log(max(norm, TINY_NORM))
        if not self._is_spike(log_norm):
            return self._accept(log_norm)
        self.spikes_in_a_row += 1
        if self.spikes_in_a_row >= LEVEL_SHIFT:
            self.window.clear()
            self._accept(log_norm)
            self._count("readmitted")
            return "readmit"
        self._count("skipped_spike")
        return self._incident("SPIKE") if self.spikes_in_a_row == 1 else "skip"

    def nonfinite(self) -> Action:
        """A loss, a gradient or an updated parameter was not finite: skip, or roll back when it keeps happening."""
        self.step += 1
        self._count("skipped_nonfinite")
        return self._incident("NONFINITE")

    def overshot(self) -> Action:
        """A step that `judge` accepted would have moved the weights by more than their own size; the caller has put them back."""
        self.counts = self.counts.model_copy(update={"accepted": max(0, self.counts.accepted - 1)})
        self._count("undone")
        return self._incident("UPDATE_RATIO")

    def left_the_box(self) -> Action:
        """A step was taken and a parameter is not finite, or far too large, after it: there is no skipping, only going back."""
        self._count("skipped_nonfinite")
        return self.roll_back("NONFINITE")

    def level(self) -> float | None:
        """Norm to clip at: the fixed one, else exp(median + 3 MAD) under the certificate; None while nothing is known."""
        if self.clip is not None:
            return self.clip
        if len(self.window) < ARMED_AFTER:
            return self.certificate
        middle, spread = self._statistics()
        level = math.exp(min(middle + CLIP_MADS * spread, LARGEST_LOG))
        return level if self.certificate is None else min(level, self.certificate)

    def _statistics(self) -> tuple[float, float]:
        """Median and MAD of the window, floored; asked for twice a step."""
        norms = sorted(self.window)
        middle = median(norms)
        return middle, max(median(abs(norm - middle) for norm in norms), MAD_FLOOR)

    def _is_spike(self, log_norm: float) -> bool:
        if self.certificate is not None and log_norm > math.log(self.certificate):
            return True
        if len(self.window) < ARMED_AFTER:
            return False
        middle, spread = self._statistics()
        return log_norm > middle + SPIKE_MADS * spread

    def _accept(self, log_norm: float) -> Action:
        self.spikes_in_a_row = 0
        self.window.append(log_norm)
        self._count("accepted")
        return "accept"

    def _count(self, name: str) -> None:
        self.counts = self.counts.model_copy(update={name: getattr(self.counts, name) + 1})

    def _incident(self, rule: str) -> Action:
        self.last_rule = rule
        self.incidents.append(self.step)
        if len(self.incidents) < INCIDENTS or self.step - self.incidents[0] >= INCIDENT_SPAN:
            return "skip"
        return self.roll_back(rule)

    def roll_back(self, rule: str) -> Action:
        """Ask for the last good state at once; `stop` when the budget of returns is spent."""
        self.last_rule = rule
        if self.rollbacks >= self.max_rollbacks:
            return "stop"
        self.rollbacks += 1
        self.incidents.clear()
        self.spikes_in_a_row = 0
        self._count("rollbacks")
        return "rollback"

    @property
    def failure(self) -> str:
        """The verdict when the guard said `stop`."""
        return f"refinement failed: {self.last_rule}"

    @property
    def calm(self) -> bool:
        """True when no step was skipped since the counts were last taken: a state worth keeping."""
        return self.counts.skipped_spike + self.counts.skipped_nonfinite + self.counts.undone == 0

    def keep(self, *states: Any) -> None:
        """Remember good states; the oldest beyond three are forgotten."""
        self._states.extend(states)

    def good(self) -> list[Any]:
        """The good states that are remembered, the oldest first."""
        return list(self._states)

    def last_good(self) -> Any:
        """The newest good state; it is used up unless it is the only one, so a second return goes further back.

        Raises:
            LookupError: nothing was kept.
        """
        if not self._states:
            raise LookupError("guard: no good state was kept before a return was asked for; call keep() before the first step.")
        return self._states.pop() if len(self._states) > 1 else self._states[0]

    def take_counts(self) -> GuardHealth:
        """Counts since the last call: one epoch's worth for the health record."""
        counts, self.counts = self.counts, GuardHealth()
        return counts

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers; the good states, which hold tensors, and the certificate are not part of it."""
        return {
            "window": list(self.window),
            "incidents": list(self.incidents),
            "step": self.step,
            "spikes_in_a_row": self.spikes_in_a_row,
            "rollbacks": self.rollbacks,
            "last_rule": self.last_rule,
            "counts": self.counts.model_dump(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.window = deque(state["window"], maxlen=WINDOW)
        self.incidents = deque(state["incidents"], maxlen=INCIDENTS)
        self.step = int(state["step"])
        self.spikes_in_a_row = int(state["spikes_in_a_row"])
        self.rollbacks = int(state["rollbacks"])
        self.last_rule = str(state["last_rule"])
        self.counts = GuardHealth(**state["counts"])


def first_bad(tensors: Iterable[tuple[str, Tensor | None]]) -> str | None:
    """Name of the first tensor that holds NaN or an infinity, or None.

    Example:
        >>> first_bad([("a", torch.zeros(2)), ("b", None), ("c", torch.tensor([1.0, float("inf")]))])
        'c'
    """
    return next((name for name, tensor in tensors if tensor is not None and not bool(torch.isfinite(tensor).all())), None)


def out_of_box(parameters: Iterable[tuple[str, Tensor]], box: float = PARAMETER_BOX) -> str | None:
    """Name of the first parameter that is not finite or larger than `box` in magnitude, or None.

    One reduction over all parameters; names are looked for only when something is wrong.
    """
    named = [(name, parameter.detach()) for name, parameter in parameters if parameter.numel()]
    if not named or bool(torch.cat([tensor.flatten() for _, tensor in named]).abs().max() <= box):
        return None
    return next(name for name, tensor in named if not bool(tensor.abs().max() <= box))
