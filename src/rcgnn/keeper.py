"""`Keeper`: results of stages that take long are kept as they are made, and not made again when a run goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from rcgnn.budget import Budget
from rcgnn.pack import Kinds
from rcgnn.store import Pace, Store, keep

T = TypeVar("T")


@dataclass(eq=False)
class Keeper:
    """Asked by the stages of one fit.

    Attributes:
        store: where results are kept; None: nowhere.
        known: classes that may be in them.
        budget: told of the seconds that a result took when it was made, and of what was left out in it.
        interrupted: the stage in which the fit was asked to end; empty: it was not.
    """

    store: Store | None
    known: Kinds
    budget: Budget
    interrupted: str = ""
    pace: Pace = field(default_factory=Pace)

    def kept(self, name: str, make: Callable[[], T]) -> T:
        """The result of that name: what was kept, or a new one, which is kept where there is time to write it."""
        if self.store is None:
            return make()
        found = self.store.get(name, self.known)
        if found is not None:
            value, about = found
            self.budget.credit(about["seconds"], about["cut"])
            return value
        began = self.budget.spent()
        value = make()
        about = {"seconds": round(self.budget.spent() - began, 3), "cut": self.budget.cuts()}
        keep(self.store, self.pace, name, value, self.known, about)
        return value

    def unless_interrupted(self, make: Callable[[], T], instead: Callable[[], T]) -> T:
        """What `make` gives; where the fit was asked to end, now or before, what is known anyway.

        Without a store nobody could go on later: then the interruption is the caller's.
        """
        if self.interrupted:
            return instead()
        try:
            return make()
        except KeyboardInterrupt:
            if self.store is None:
                raise
            self.interrupted = self.budget.stage_now
            return instead()
