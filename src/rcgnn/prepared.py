"""The table as the learning stages see it: cleaned, scaled, without what cannot take part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rcgnn.config import Config
from rcgnn.data.cleaning import Cleaned
from rcgnn.data.counts import counts, stabilised
from rcgnn.data.quality import QualityReport
from rcgnn.data.scaling import Scaler, ranges
from rcgnn.data.windows import split_blocks
from rcgnn.mapped import in_turn
from rcgnn.series import BoolArray, FloatArray, Series
from rcgnn.signal.interpolate import interpolate

FAR = 1e30
"""Scaled readings beyond this stand at it: their squares must stay finite in double precision."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """The table as the learning stages see it.

    Attributes:
        report: what was wrong with the readings.
        cleaned: all sensors, cleaned, in sensor units.
        active: sensors that take part, as indices into the table.
        scaled: the active sensors, scaled.
        held: [T] True = held out for validation.
        scaler: units of the active sensors.
    """

    report: QualityReport
    cleaned: Cleaned
    active: NDArray[np.int64]
    scaled: Series
    held: BoolArray
    scaler: Scaler

    @cached_property
    def counted(self) -> BoolArray:
        """[n] active sensors that read like counts."""
        return counts(self.cleaned.series.sensors(self.active.tolist()))

    def filled(self) -> FloatArray:
        """[T, n] readings without the state space: gaps bridged by straight lines, counts as square roots, unit variance."""
        filled = interpolate(self.scaled.values, self.scaled.mask, self.scaled.segments())
        for column in in_turn(filled.T, filled):
            spread = column.std()
            column[:] = (column - column.mean()) / (spread if spread > 0 else 1.0)
        return stabilised(filled[None], self.scaled, self.counted)[0]

    def ranges(self, series: Series) -> dict[str, list[list[float | None]]]:
        """Lowest and highest reading of every sensor of the table before cleaning and scaling, and after."""
        after = {name: (low, high) for name, low, high in ranges(self.scaled)} if len(self.active) else {}
        return {name: [_finite(low, high), _finite(*after[name]) if name in after else [None, None]] for name, low, high in ranges(series)}


def prepare(series: Series, report: QualityReport, cleaned: Cleaned, config: Config) -> Prepared:
    """Leave out what cannot take part, hold out blocks, scale by the training rows."""
    out = {*report.quarantined, *report.aliases}
    active = np.array([i for i, name in enumerate(series.names) if name not in out], np.int64)
    held = split_blocks(series, config.data.valid_share, config.data.valid_blocks)
    if not len(active):
        return Prepared(report, cleaned, active, series, held, Scaler.fit(series, ~held))
    taking_part = cleaned.series.sensors(active.tolist())
    scaler = Scaler.fit(taking_part, ~held) if config.data.scale else Scaler(np.zeros(len(active)), np.ones(len(active)), taking_part.names)
    return Prepared(report, cleaned, active, scaler.transform(taking_part, FAR), held, scaler)


def _finite(*numbers: float) -> list[float | None]:
    return [float(x) if np.isfinite(x) else None for x in numbers]
