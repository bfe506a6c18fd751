"""Early stopping from held-out blocks and a still graph. The true graph is never read, and there is no way to hand it in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

STILL = 0.98
"""Jaccard overlap of the links of two evaluations from which the graph counts as still."""


def jaccard(a: BoolArray, b: BoolArray) -> float:
    """`|a and b| / |a or b|`; 1 when both are empty.

    Example:
        >>> jaccard(np.array([True, True, False]), np.array([True, False, False]))
        0.5
    """
    union = int((a | b).sum())
    return 1.0 if union == 0 else float((a & b).sum() / union)


def mean_and_stderr(values: FloatArray) -> tuple[float, float]:
    """Mean and its standard error, sd / sqrt(n); the error of a single value is 0 (nothing is known of it).

    Example:
        >>> mean_and_stderr(np.array([1.0, 3.0]))
        (2.0, 1.0)
    """
    spread = float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else 0.0
    return float(values.mean()), spread


class Stopping:
    """Stop when the held-out loss has not gained and the graph has not moved for `patience` evaluations.

    Gain is paired over held-out blocks, `d_b = loss_b(reference) - loss_b(now)`: an evaluation gains when
    `mean d > stderr d`, so that easy and hard blocks cancel. The reference moves only when there is a gain; the best
    state is the one of lowest mean loss.

    Args:
        patience: evaluations without gain, with a still graph, before stopping.

    Example:
        >>> stop, links = Stopping(patience=2), np.array([True])
        >>> [stop.update(epoch, np.array([loss, loss]), links) for epoch, loss in enumerate([3.0, 1.0, 1.0, 1.1])]
        [False, False, False, True]
        >>> stop.best_epoch
        1
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best_loss = math.inf
        self.best_epoch: int | None = None
        self.quiet = 0
        self.overlap: float | None = None
        self.unsettled: int | None = None
        self._reference: FloatArray | None = None
        self._links: BoolArray | None = None

    def update(self, epoch: int, blocks: FloatArray, links: BoolArray) -> bool:
        """Take one evaluation in; True when training should stop.

        Args:
            epoch: epoch just evaluated.
            blocks: [blocks] held-out loss of each block, finite.
            links: present links, any shape, the same at every call.
        """
        self.overlap = None if self._links is None else jaccard(self._links, links)
        self.unsettled = None if self._links is None else int((self._links != links).sum())
        self._links = links.copy()
        if float(blocks.mean()) < self.best_loss:
            self.best_loss, self.best_epoch = float(blocks.mean()), epoch
        gained = True
        if self._reference is not None:
            gain, error = mean_and_stderr(self._reference - blocks)
            gained = gain > error
        if gained:
            self._reference = blocks.copy()
        still = self.overlap is not None and self.overlap >= STILL
        self.quiet = self.quiet + 1 if still and not gained else 0
        return self.quiet >= self.patience

    def is_best(self, epoch: int) -> bool:
        """True when the evaluation of this epoch has the lowest loss so far."""
        return self.best_epoch == epoch

    def restart(self) -> None:
        """Forget the quiet evaluations: something changed (a return, a restart, another learning rate)."""
        self.quiet = 0

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return {
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "quiet": self.quiet,
            "overlap": self.overlap,
            "unsettled": self.unsettled,
            "reference": None if self._reference is None else self._reference.tolist(),
            "links": None if self._links is None else self._links.tolist(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.best_loss, self.best_epoch = state["best_loss"], state["best_epoch"]
        self.quiet, self.overlap, self.unsettled = state["quiet"], state["overlap"], state["unsettled"]
        self._reference = None if state["reference"] is None else np.array(state["reference"], np.float64)
        self._links = None if state["links"] is None else np.array(state["links"], np.bool_)
