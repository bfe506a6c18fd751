"""States of training on disk, from which it goes on as if nothing had happened: safetensors, never pickle.

Every epoch draws its random numbers from hash(seed, purpose, epoch), so the state after an epoch is all that the next one needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rcgnn.config import Config
from rcgnn.health import Finding, HealthRecord
from rcgnn.pack import kinds
from rcgnn.store import Pace, Store, keep
from rcgnn.train.held_out import HeldOut

KINDS = kinds(HeldOut, HealthRecord, Finding)
NAME = "training"
LAYOUT = 3
"""Of a state; one of another layout is not found, and training begins anew. 2: the optimiser as one row. 3: auxiliary
gradients every eighth step."""


@dataclass(eq=False)
class States:
    """The states of one training; the newest and the one before it are on disk.

    Attributes:
        store: where they are kept; None: nowhere.
        key: digest of layout, settings and kind: a state of an earlier attempt, with other losses, or of another network is of no use.
    """

    store: Store | None = None
    key: str = ""
    pace: Pace = field(default_factory=Pace)

    @classmethod
    def of(cls, store: Store | None, config: Config, kind: str = "") -> States:
        """Those of a training with these settings, of networks of one kind."""
        return cls(store, hashlib.sha256(f"{LAYOUT} {config.model_dump_json()}{kind}".encode()).hexdigest())

    def load(self, phase: str) -> dict[str, Any] | None:
        """The newest state, where it is of this phase: `self` or `links`."""
        found = None if self.store is None else self.store.get(NAME, KINDS)
        if found is None or found[1] != {"phase": phase, "key": self.key}:
            return None
        return dict(found[0])

    def save(self, phase: str, state: Callable[[], dict[str, Any]]) -> None:
        """Keep a state, where there is time to write it; only then it is asked for."""
        if self.store is not None and self.pace.allows():
            keep(self.store, self.pace, NAME, state(), KINDS, {"phase": phase, "key": self.key}, rolling=True)


def got_to_links(store: Store | None) -> bool:
    """Is the newest state of a training one of its links, whatever its settings?"""
    about = None if store is None else store.about(NAME)
    return about is not None and about["phase"] == "links"
