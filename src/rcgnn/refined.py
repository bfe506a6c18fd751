"""`Refined`: what the network says, in plain arrays; reading it needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcgnn.health import NOT_LEARNING, OPEN, HealthRecord
from rcgnn.series import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Refined:
    """What the network says.

    Attributes:
        records: one health record an epoch.
        gain: [N, N] held-out gain of every candidate pair.
        stderr: [N, N] its standard error.
        candidates: [K+1, N, N] links the network had.
        weights: [R, K+1, N, N] their weights.
        state: network weights by name.
        failed: why the network was given up, or None.
        stopped: why training ended.
        thinned: (rows it was trained and judged on, rows of the table) where these differ.
    """

    records: list[HealthRecord]
    gain: FloatArray
    stderr: FloatArray
    candidates: BoolArray
    weights: FloatArray
    state: dict[str, NDArray]
    failed: str | None
    stopped: str
    thinned: tuple[int, int] | None = None

    @property
    def links(self) -> int | None:
        """Open pairs of the network, 0 where it was given up by COLLAPSE.

        None where there is nothing to count: no candidate, another failure, or links closed since they cost held-out loss.
        """
        if self.failed is not None:
            return 0 if self.failed.endswith(": COLLAPSE") else None
        if not self.candidates.any() or self.stopped == NOT_LEARNING:
            return None
        norms = np.sqrt(np.square(self.weights).sum(axis=1)).max(axis=0)
        return int((norms > OPEN).sum())
