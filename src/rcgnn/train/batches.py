"""Windows as tensors on the device, once; batches by index. Every random number comes from a generator handed in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rcgnn.data.windows import Windows
from rcgnn.model.output import NetworkInput

HIDDEN_SHARE = 0.1
"""Share of observed cells hidden from the encoders in each training batch."""
FOR_GOOD = 2**31
"""Epoch until which a window with an unreadable cell is set aside."""


def hide(mask: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Observed cells to hide: each with probability `share`, drawn on the CPU so that every device sees the same.

    Example:
        >>> mask = torch.tensor([[[True, False]]])
        >>> hide(mask, 1.0, torch.Generator()).tolist()
        [[[True, False]]]
    """
    drawn = torch.rand(mask.shape, generator=generator) < share
    return mask & drawn.to(mask.device)


@dataclass(frozen=True, eq=False)
class Batches:
    """All windows of one part of the table.

    Attributes:
        values: [W, L, N] float32, 0 where not observed.
        mask: [W, L, N] True where observed.
        regime: [W] long.
        target: [W, L] True for rows that count when each row may count once: held-out losses use it.
        start: [W] row of the table at which each window begins.
    """

    values: Tensor
    mask: Tensor
    regime: Tensor
    target: Tensor
    start: NDArray[np.int64]

    @classmethod
    def of(cls, windows: Windows, device: torch.device) -> Batches:
        """Copy the windows to the device as float32; a cell beyond its range becomes infinite, and the guard meets it."""
        mask = np.asarray(windows.mask, dtype=bool)
        with np.errstate(over="ignore"):
            values = np.where(mask, windows.values, 0.0).astype(np.float32)
        return cls(
            torch.from_numpy(values).to(device),
            torch.from_numpy(mask.copy()).to(device),
            torch.from_numpy(np.array(windows.regime, dtype=np.int64)).to(device),
            torch.from_numpy(np.array(windows.target, dtype=bool)).to(device),
            np.array(windows.start, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.start)

    @property
    def rows(self) -> int:
        """L."""
        return self.values.shape[1]

    @property
    def observed_share(self) -> float:
        """Share of cells that were observed; 0 without windows."""
        return float(self.mask.double().mean()) if self.mask.numel() else 0.0

    @cached_property
    def input_range(self) -> dict[str, float]:
        """`input_low` and `input_high`: the extremes of the observed finite cells, in scaled units; empty where there is none."""
        cells = self.values[self.mask & torch.isfinite(self.values)]
        return {"input_low": float(cells.min()), "input_high": float(cells.max())} if cells.numel() else {}

    def take(self, index: Tensor, hidden: Tensor | None = None) -> NetworkInput:
        """The windows at `index` as one batch."""
        return NetworkInput(
            self.values.index_select(0, index), self.mask.index_select(0, index), self.regime.index_select(0, index), hidden
        )

    def chunks(self, size: int) -> Iterator[tuple[NetworkInput, Tensor]]:
        """All windows in order, nothing hidden, at most `size` at a time; with each the cells that count once, [B, L, N]."""
        for first in range(0, len(self), size):
            part = self.part(first, first + size)
            yield NetworkInput(part.values, part.mask, part.regime), part.mask & part.target[:, :, None]

    def epoch(self, size: int, keep: Tensor, order: torch.Generator, hiding: torch.Generator) -> Iterator[tuple[Tensor, NetworkInput]]:
        """One pass in random order with fresh hidden cells.

        Args:
            size: windows in a batch; a last batch of fewer than half of it is dropped when there is another one.
            keep: [W] bool on the CPU, windows that may be used.
            order: source of the permutation.
            hiding: source of the hidden cells.

        Yields:
            Index of the windows (CPU) and the batch.
        """
        shuffled = torch.randperm(len(self), generator=order)
        index = shuffled[keep[shuffled]]
        for first in range(0, len(index), size):
            chosen = index[first : first + size]
            if first and len(chosen) < size / 2:
                return
            there = chosen.to(self.values.device)
            yield chosen, self.take(there, hide(self.mask.index_select(0, there), HIDDEN_SHARE, hiding))

    def blocks(self, least: int) -> list[Batches]:
        """Runs of neighbouring windows; a single run is cut into `least` pieces so that an error can be formed.

        Neighbours begin at most one window length apart. Windows keep their order.
        """
        if len(self) == 0:
            return []
        breaks = np.flatnonzero(np.abs(np.diff(self.start)) > self.rows) + 1
        parts = np.split(np.arange(len(self)), breaks)
        if len(parts) < 2:
            parts = np.array_split(np.arange(len(self)), min(least, len(self)))
        return [self.part(int(p[0]), int(p[-1]) + 1) for p in parts]

    def readable(self) -> Batches:
        """The windows in which every observed cell is finite."""
        fine = torch.isfinite(self.values).flatten(1).all(1)
        if bool(fine.all()):
            return self
        here = fine.nonzero().flatten()
        return Batches(self.values[here], self.mask[here], self.regime[here], self.target[here], self.start[here.cpu().numpy()])

    def part(self, first: int, last: int) -> Batches:
        """Windows `first` to `last - 1`, without copying."""
        here = slice(first, last)
        return Batches(self.values[here], self.mask[here], self.regime[here], self.target[here], self.start[here])


class Quarantine:
    """Windows set aside after a step that was not finite.

    A window with an unreadable observed cell is set aside for good; where a batch has none, all of it sits out the next
    epoch. Readable windows never sit out when fewer than half of all would be left: a fault of the program, unlike one
    of the data, follows every batch, and must reach the guard's count instead of emptying the table.

    Args:
        count: W.
    """

    def __init__(self, count: int) -> None:
        self.until = torch.zeros(count, dtype=torch.long)

    def keep(self, epoch: int) -> Tensor:
        """[W] True for windows that may be used in this epoch."""
        fit = self.until < epoch
        return fit if 2 * int(fit.sum()) >= len(fit) else self.until < FOR_GOOD

    def add(self, index: Tensor, batch: NetworkInput, epoch: int) -> None:
        """Set the windows of a bad batch aside."""
        broken = (~torch.isfinite(batch.values) & batch.mask).any(dim=2).any(dim=1).cpu()
        away = torch.where(broken, torch.tensor(FOR_GOOD), torch.tensor(0 if bool(broken.any()) else epoch + 1))
        self.until[index] = torch.maximum(self.until[index], away)

    def count(self, epoch: int) -> int:
        """Windows set aside in this epoch."""
        return int((~self.keep(epoch)).sum())
