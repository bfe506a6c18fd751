"""Which cells are stuck, sentinels or spikes: one pass, used by the report and by the cleaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from rcgnn.data import quality_rules as rule
from rcgnn.mapped import in_turn, spacious
from rcgnn.series import BoolArray, FloatArray, IntArray, Series, sensor_blocks

KEPT, STUCK, SENTINEL, SPIKE = 0, 1, 2, 3
CODE_NAMES = {STUCK: "stuck", SENTINEL: "sentinel", SPIKE: "spike"}
SMALLEST = 1e-50
"""Share of a sensor's largest reading. What is less, and differences of it, would overflow what they divide, or its fourth power."""
ZERO_INFLATED = 0.2
"""A sensor is event-like when one value starts more than this share of its runs (and the value is no quantisation step among many)."""


@dataclass(frozen=True, eq=False)
class Marks:
    """Suspect cells of a series, and why.

    Attributes:
        codes: [T, N] int8: 0 kept, 1 stuck, 2 sentinel, 3 spike.
        stuck_share: [N] share of readings in stuck runs; 0 where the rule is off.
        sentinels: [N] value or None.
        steps: [N] quantisation step or None.
        outlier_share: [N] share of readings that are spikes without a flank.
        outlier_bursts: [N] share of those spikes that have another one beside them.
        event_like: [N] spiky, zero-inflated or bursty by nature.
    """

    codes: NDArray[np.int8]
    stuck_share: FloatArray
    sentinels: tuple[float | None, ...]
    steps: tuple[float | None, ...]
    outlier_share: FloatArray
    outlier_bursts: FloatArray
    event_like: BoolArray

    def cleaned(self, values: FloatArray) -> FloatArray:
        """A copy of the values [T, N] with NaN in every marked cell."""
        return np.where(self.codes == KEPT, values, np.nan)

    @classmethod
    def joined(cls, parts: Sequence[Marks], codes: NDArray[np.int8]) -> Marks:
        """Marks of neighbouring sensors, side by side; `codes` [T, N] are theirs already, see `block_by_block`."""
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("stuck_share", "outlier_share")}
        joined |= {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("outlier_bursts", "event_like")}
        sentinels, steps = (tuple(chain.from_iterable(values)) for values in zip(*((p.sentinels, p.steps) for p in parts), strict=True))
        return cls(codes, sentinels=sentinels, steps=steps, **joined)


def segment_number(series: Series) -> IntArray:
    """[T] number of the segment that each row belongs to."""
    number = np.zeros(len(series.values), np.int64)
    number[[segment.start for segment in series.segments()[1:]]] = 1
    return np.cumsum(number)


def unit_size(series: Series) -> tuple[FloatArray, FloatArray]:
    """Readings [T, N] divided by a power of two per sensor [N], exactly, so that no rule can overflow; NaN where not observed.

    What is smaller than `SMALLEST` then is 0: rules divide by spreads.
    """
    x = np.where(series.mask, series.values, np.nan)
    largest = np.maximum(np.fmax.reduce(x, axis=0, initial=0.0), -np.fmin.reduce(x, axis=0, initial=0.0))
    unit = np.ldexp(1.0, np.clip(np.frexp(largest)[1], -1000, 1000))
    np.divide(x, unit, out=x)
    x[np.abs(x) < SMALLEST] = 0.0
    return x, unit


def _in_units(values: tuple[float | None, ...], unit: FloatArray) -> tuple[float | None, ...]:
    largest = np.finfo(np.float64).max
    with np.errstate(over="ignore"):
        return tuple(None if v is None else float(np.clip(v * size, -largest, largest)) for v, size in zip(values, unit, strict=True))


def mark(series: Series, *, everything: bool = False) -> Marks:
    """Suspect cells; with `everything` also below the shares from which a rule speaks, and for event-like sensors."""
    codes = spacious(series.shape, np.int8)
    return Marks.joined([found for _, _, found in block_by_block(series, codes, everything=everything)], codes)


def block_by_block(series: Series, codes: NDArray[np.int8], *, everything: bool = False) -> Iterator[tuple[slice, Series, Marks]]:
    """Blocks of neighbouring sensors, their readings and their marks; the codes of each go into `codes` [T, N]."""
    for b in in_turn(sensor_blocks(series.shape), series.values, series.mask, codes):
        part = series.sensors(range(b.start, b.stop))
        found = marked(part, everything=everything)
        codes[:, b] = found.codes
        yield b, part, replace(found, codes=codes[:, b])


def marked(series: Series, *, everything: bool = False) -> Marks:
    """`mark` on all sensors at once."""
    segment = segment_number(series)
    x, unit = unit_size(series)
    codes = np.zeros(x.shape, np.int8, order="F")
    sentinels = tuple(rule.sentinel(column, float(size)) for column, size in zip(x.T, unit, strict=True))
    for j, value in enumerate(sentinels):
        codes[x[:, j] == value, j] = SENTINEL if value is not None else KEPT
    x[codes != KEPT] = np.nan
    found = [rule.Stuck.of(column, segment) for column in x.T]
    moving = np.array([np.unique(column[np.isfinite(column)]).size > 1 for column in x.T])
    share = np.array([0.0 if s.by_nature or not alive else s.share for s, alive in zip(found, moving, strict=True)])
    for j, s in enumerate(found):
        if moving[j] and ((share[j] > rule.STUCK_SHARE) or (everything and s.share > 0)):
            codes[s.cells, j] = STUCK
    x[codes != KEPT] = np.nan
    steps = tuple(rule.quantised_step(column) for column in x.T)
    zero_inflated = np.array([s.favourite > ZERO_INFLATED for s in found]) & moving
    hampel = rule.Hampel.of(x, segment, series.segments(), steps)
    faults = hampel.spikes if everything else hampel.faults & ~zero_inflated
    codes[faults] = SPIKE
    observed = np.maximum(series.mask.sum(axis=0), 1)
    return Marks(
        codes,
        share,
        _in_units(sentinels, unit),
        _in_units(steps, unit),
        faults.sum(axis=0) / observed,
        _beside(faults, segment),
        (hampel.spiky & moving) | zero_inflated,
    )


def _beside(faults: BoolArray, segment: IntArray) -> FloatArray:
    """[N] share of faults with another one in the row before or after."""
    pair = faults[1:] & faults[:-1] & (segment[1:] == segment[:-1])[:, None]
    beside = np.zeros_like(faults)
    beside[1:] |= pair
    beside[:-1] |= pair
    return np.asarray(beside.sum(axis=0) / np.maximum(faults.sum(axis=0), 1))
