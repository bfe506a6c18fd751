"""The same screen on a table in which no sensor can drive another: each sensor turned round its own circle of time.

Circular shifts keep every sensor's own memory, season and distribution and break every relation between sensors. What the
screen still finds there it finds without a cause: in tables with a shared season, a trend or a unit root that is a lot, and a
real pair must do better. Source: Chandrasekaran & Moore 2013 on circular-shift nulls; Quiroga et al. 2002, surrogate tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rcgnn.config import ScreenConfig
from rcgnn.screen.structural import screen
from rcgnn.series import BoolArray, FloatArray

SPACING = 8
"""Offsets lie at least this many times the longest lag apart."""
FIRST_COPIES = 3
WORTH_MORE = 0.5
"""With fewer chosen pairs than this in a copy, three copies say enough."""


@dataclass(frozen=True)
class Chance:
    """What the screen finds without a cause: `surplus`, the largest evidence of a pair; `pairs`, their number a copy."""

    surplus: float
    pairs: float


def shifted(signal: FloatArray, keep: BoolArray, reach: int, rng: np.random.Generator) -> tuple[FloatArray, BoolArray] | None:
    """Every sensor rolled by its own offset, any two offsets far enough apart that no real link stays in reach.

    Which sensor gets which offset follows its first value, not its column: the order of columns changes nothing.

    Args:
        signal: [S, T, N] draws.
        keep: [T, N] readings that count; rolled along.
        reach: K, the longest lag.
        rng: for the offsets.

    Returns:
        The rolled draws and readings; None where the table is too short for its number of sensors.
    """
    rows, sensors = keep.shape
    if rows < SPACING * max(reach, 1) * sensors:
        return None
    offsets = np.empty(sensors, np.int64)
    offsets[np.argsort(signal[0, 0], kind="stable")] = (rng.permutation(sensors) + rng.random()) * rows / sensors
    turned = np.stack([np.roll(signal[:, :, j], offset, axis=1) for j, offset in enumerate(offsets)], axis=2)
    return turned, np.stack([np.roll(keep[:, j], offset) for j, offset in enumerate(offsets)], axis=1)


def largest_by_chance(
    signal: FloatArray,
    keep: BoolArray,
    segments: Sequence[slice],
    *,
    max_lag: int,
    config: ScreenConfig,
    rngs: Sequence[np.random.Generator],
) -> Chance:
    """The best that the screen chooses without a cause, on circularly shifted copies.

    Args:
        signal: [S, T, N] draws.
        keep: [T, N] readings that count.
        segments: runs of rows.
        max_lag: K.
        config: settings of the screen, with the basis that won on the real table.
        rngs: one for each copy. Copies after the first `FIRST_COPIES` are only made where those showed links.

    Returns:
        The largest evidence and the mean number of pairs over the copies made.
    """
    quick = config.model_copy(update={"joint_rows": False})
    largest, chosen = 0.0, [0]
    for copy, rng in enumerate(rngs):
        turned = None if copy == FIRST_COPIES and np.mean(chosen) < WORTH_MORE else shifted(signal[:1], keep, max_lag, rng)
        if turned is None:
            break
        found = screen(*turned, segments, max_lag=max_lag, config=quick).evidence
        pairs = found.chosen.any(axis=0)
        chosen = [*chosen[copy == 0 :], int(pairs.sum())]
        largest = max(largest, float(found.surplus[pairs].max(initial=0.0)))
    return Chance(largest, float(np.mean(chosen)))
