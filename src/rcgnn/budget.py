"""How much time a fit has left, and what that was too short for. The one clock of a fit: stages are timed by it too."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rcgnn.data.findings import finding
from rcgnn.delay import span_seconds
from rcgnn.health import Finding, Progress

CUT = {
    "reach": "choosing the longest delay (the least one was taken: later links are missing)",
    "smooth": "the state space (gaps were bridged by straight lines, noise was taken for signal: links of such sensors need care)",
    "iterations": "some iterations of the state space (its draws are rougher)",
    "curves": "curves (links that are no straight lines may be missing)",
    "copies": "shifted copies, some or all (a shared season or trend may show as links)",
    "pieces": "the look at the table piece by piece (small misfits may show as links)",
    "opinions": "further opinions on the score (confidence and links rest on one search)",
    "train": "the network (it changes no verdict)",
    "epochs": "some epochs of the network (it changes no verdict)",
}
"""What can be left out or shortened, and what that means for the answer; in the order of the stages."""


class Budget:
    """The time one fit may take. Stages ask before they begin; the first ones, which every answer needs, do not.

    Args:
        seconds: None: no limit, and every question is answered with yes.
        clock: seconds that only rise; tests bring their own.

    Attributes:
        seconds: the limit.
        took: seconds of every stage so far.
        stage_now: the stage that goes on, or was the last.

    Example:
        >>> now = iter([0.0, 4.0, 4.0, 9.0])
        >>> budget = Budget(10.0, clock=lambda: next(now))
        >>> budget.left(), budget.allows("curves", 5.0), budget.allows("train", 5.0)
        (6.0, True, False)
    """

    def __init__(self, seconds: float | None = None, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = seconds
        self.took: dict[str, float] = {}
        self.stage_now = ""
        self._clock, self._began = clock, clock()
        self._cut: set[str] = set()

    @classmethod
    def of(cls, written: str | float | None) -> Budget:
        """The budget that a setting asks for, from now on."""
        return cls(None if written is None else span_seconds(written))

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self.seconds is not None

    @property
    def half(self) -> float:
        """Half of the whole budget, in seconds."""
        return 0.5 * self.seconds if self.seconds is not None else 0.0

    def spent(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    def left(self) -> float:
        """Seconds left; below 0 when the time is over, infinite without a limit."""
        return math.inf if self.seconds is None else self.seconds - self.spent()

    def allows(self, what: str, seconds: float = 0.0) -> bool:
        """True when more than so many seconds are left; otherwise `what`, a key of `CUT`, is noted as left out."""
        if self.left() > seconds:
            return True
        self._cut.add(what)
        return False

    def cut(self, name: str) -> bool:
        """Was this left out?"""
        return name in self._cut

    def copies(self, wanted: int, seconds: float) -> int:
        """How many of the wanted repetitions, of so many seconds each, fit into half of what is left."""
        if not self.limited or wanted * seconds <= 0.5 * self.left():
            return wanted
        self._cut.add("copies")
        return max(int(0.5 * self.left() / max(seconds, 1e-3)), 0)

    def cuts(self) -> list[str]:
        """Everything left out so far."""
        return sorted(self._cut)

    def credit(self, seconds: float, cut: Iterable[str]) -> None:
        """A part of the work was done before, in so many seconds, and these were left out in it."""
        self._began -= seconds
        self._cut |= set(cut)

    @contextmanager
    def stage(self, name: str, progress: Progress) -> Iterator[None]:
        """One stage, told and timed."""
        self.stage_now = name
        progress(name, {"left": self.left()} if self.limited else {})
        began = self.spent()
        yield
        self.took[name] = round(self.spent() - began, 3)

    def findings(self) -> list[Finding]:
        """What was left out, in one finding; nothing where the time was enough."""
        if self.seconds is None or not (self._cut or self.left() < 0):
            return []
        cut = [name for name in CUT if name in self._cut]
        out = f"Left out or shortened: {'; '.join(CUT[name] for name in cut)}." if cut else "Nothing was left out."
        over = f" What every answer needs took longer than the budget: {self.spent():.0f} s." if self.left() < 0 else ""
        text = f"The budget of {self.seconds:g} s was too short for everything.{over} {out}", "Give a longer --budget, or none."
        made = finding("budget", "warn", None, text, seconds=self.seconds, left_out=cut)
        return [made.model_copy(update={"applied": True})]
