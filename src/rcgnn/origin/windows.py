"""Windows as the origin cut and scaled them, without ever storing one: a window is a row of indices into the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rcgnn.config import DataConfig
from rcgnn.errors import InputError
from rcgnn.series import FloatArray, IntArray, Series

Range = tuple[float, float]

_EPS = 1e-8
"""Added to every standard deviation, as the origin did; a constant sensor is left to it."""


@dataclass(frozen=True)
class OriginData:
    """One table, ready to be cut into windows.

    Attributes:
        x: [T, N] float32, scaled when the recipe says so; where not observed, the scaled image of 0.
        mask: [T, N] float32, 1 where observed.
        starts: [W] first row of every training window, in time order.
        held_out: rows of the other windows that no training window touches.
        window: rows in a window.
        raw_range: smallest and largest training reading, missing counted as 0.
        range: the same after scaling.
        names: of the N sensors.
    """

    x: Tensor
    mask: Tensor
    starts: Tensor
    held_out: Tensor
    window: int
    raw_range: Range
    range: Range
    names: tuple[str, ...]


def prepare(series: Series, data: DataConfig, device: str = "cpu") -> OriginData:
    """Fill, cut and scale as the origin did: missing = 0 and masked, the first windows for training, sd over all their cells.

    Formula:
        x' = (x - m) / (s + 1e-8), m and s the mean and the n - 1 standard deviation over the cells of all training
        windows, zeros included. (That zeros take part is the origin's flaw; it is kept because its figures depend on it.)

    Raises:
        InputError: fewer than two windows fit into the table.

    Example:
        >>> s = Series.of(np.arange(60.0).reshape(30, 2))
        >>> p = prepare(s, DataConfig(window=24, valid_share=0.3))
        >>> len(p.starts), p.held_out.tolist(), p.raw_range
        (4, [27, 28, 29], (0.0, 53.0))
    """
    starts = _starts(series, data.window, data.stride or 1)
    if len(starts) < 2:
        raise InputError(
            f"{series.source}: the origin network needs two windows of {data.window} rows without a break, found {len(starts)} in "
            f"{series.shape[0]} rows. Give a longer table, or shorten data.window."
        )
    count = min(max(1, int((1 - data.valid_share) * len(starts))), len(starts) - 1)
    uses = _uses(starts[:count], data.window, series.shape[0])
    rest = _uses(starts[count:], data.window, series.shape[0])
    filled = np.where(series.mask, series.values, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):  # what does not fit into float32 becomes infinite; its steps are skipped
        scaled = _standardised(filled, uses) if data.scale else filled
        x = torch.from_numpy(scaled.astype(np.float32))
    seen = uses > 0
    return OriginData(
        x=x.to(device),
        mask=torch.from_numpy(series.mask.astype(np.float32)).to(device),
        starts=torch.from_numpy(starts[:count]),
        held_out=torch.from_numpy(np.flatnonzero((rest > 0) & ~seen)).to(device),
        window=data.window,
        raw_range=(float(filled[seen].min()), float(filled[seen].max())),
        range=(float(scaled[seen].min()), float(scaled[seen].max())),
        names=series.names,
    )


def _starts(series: Series, window: int, stride: int) -> IntArray:
    parts = [np.arange(part.start, part.stop - window + 1, stride) for part in series.segments()]
    return np.concatenate(parts).astype(np.int64)


def _uses(starts: IntArray, window: int, rows: int) -> IntArray:
    """[T] number of windows that hold each row."""
    step = np.bincount(starts, minlength=rows + 1) - np.bincount(starts + window, minlength=rows + 1)
    return np.cumsum(step)[:rows]


def _standardised(filled: FloatArray, uses: IntArray) -> FloatArray:
    weight = uses[:, None] / uses.sum()
    mean = (weight * filled).sum(0)
    variance = (weight * (filled - mean) ** 2).sum(0) * (uses.sum() / (uses.sum() - 1))
    return np.asarray((filled - mean) / (np.sqrt(variance) + _EPS))


def shuffled_rows(data: OriginData, draw: torch.Generator) -> Tensor:
    """[W * window] row indices of all training windows in a new order, window after window.

    The order is the one `torch.utils.data.DataLoader(..., shuffle=True)` takes when the global generator is in the state of
    `draw`: one number for its workers, one to seed the permutation.
    """
    _number(draw)
    order = torch.randperm(len(data.starts), generator=torch.Generator().manual_seed(_number(draw)))
    return (data.starts[order, None] + torch.arange(data.window)).reshape(-1).to(data.x.device)


def skip_draws(draw: torch.Generator, count: int) -> None:
    """Advance `draw` by `count` numbers."""
    for _ in range(count):
        _number(draw)


def _number(draw: torch.Generator) -> int:
    return int(torch.empty((), dtype=torch.int64).random_(generator=draw).item())
