"""What the batches of one epoch held, beside the training windows they were cut from: a sensor must not change under the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

NOTHING = 1e-3
"""Added to every reading's size (robust sd) before the logarithm."""
MOVES, EXPECTED = 0.1, 20.0
"""A sensor is missed when it stands still only if a tenth of its readings differ from the one before, and 20 changes were to come."""


@dataclass(frozen=True, eq=False)
class Feed:
    """Sums over cells, so that it does not matter how windows were put into batches; each [N] float64.

    Attributes:
        cells: observed cells.
        logs: sum over them of `log(|x| + .001)`.
        pairs: neighbouring rows of a window in which both cells were observed.
        changes: those with two different readings.
    """

    cells: Tensor
    logs: Tensor
    pairs: Tensor
    changes: Tensor

    @classmethod
    def of(cls, values: Tensor, mask: Tensor) -> Feed:
        """Of some windows, [B, L, N].

        Example:
            >>> feed = Feed.of(torch.tensor([[[1.0], [1.0], [2.0]]]), torch.ones(1, 3, 1, dtype=torch.bool))
            >>> feed.cells.item(), feed.pairs.item(), feed.changes.item()
            (3.0, 2.0, 1.0)
        """
        logs = (values.abs() + NOTHING).log().masked_fill(~mask, 0.0)
        pair = mask[:, 1:] & mask[:, :-1]
        moved = pair & (values[:, 1:] != values[:, :-1])
        return cls(*(part.sum((0, 1), dtype=torch.float64) for part in (mask, logs, pair, moved)))

    def plus(self, other: Feed) -> Feed:
        """Both together."""
        return Feed(self.cells + other.cells, self.logs + other.logs, self.pairs + other.pairs, self.changes + other.changes)

    def shift(self, usual: Feed) -> Tensor:
        """[N] difference of the mean log sizes: log 1000 after a unit change from m to mm; 0 where one of them has no cell."""
        both = (self.cells > 0) & (usual.cells > 0)
        mean = self.logs / self.cells.clamp(min=1) - usual.logs / usual.cells.clamp(min=1)
        return torch.where(both, mean, 0.0)

    def still(self, usual: Feed) -> Tensor:
        """[N] True where no reading differed from the one before although many should have."""
        share = usual.changes / usual.pairs.clamp(min=1)
        return (self.changes == 0) & (share >= MOVES) & (share * self.pairs >= EXPECTED)


def compared(feed: Feed | None, usual: Feed, names: Sequence[str]) -> dict[str, object]:
    """`feed_shift` by sensor and `feed_still`, the sensors that stood still, for the health record; nothing where no batch came."""
    if feed is None:
        return {}
    still = zip(names, feed.still(usual).tolist(), strict=True)
    return {
        "feed_shift": dict(zip(names, feed.shift(usual).tolist(), strict=True)),
        "feed_still": [name for name, stands in still if stands],
    }
