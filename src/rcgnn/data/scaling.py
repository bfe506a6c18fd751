"""Standardisation per sensor: z = (x - center) / scale, statistics from the training rows and observed cells only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rcgnn.errors import InputError
from rcgnn.mapped import in_turn, spacious
from rcgnn.series import BoolArray, FloatArray, Series, frozen, sensor_blocks

MAD_TO_SD = 1.4826
IQR_TO_SD = 0.7413
_ROUNDING = 8 * np.finfo(np.float64).eps
"""A spread below this share of the largest reading is rounding, not signal."""


@dataclass(frozen=True, eq=False)
class Scaler:
    """Centre and scale of every sensor.

    Attributes:
        center: [N] in sensor units.
        scale: [N] > 0 in sensor units; 1 where a sensor never moves.
        names: the N sensors.

    Example:
        >>> s = Series.of([[0.0, 5.0], [10.0, 5.0], [20.0, 5.0]])
        >>> z = Scaler.standard(s, np.ones(3, bool))
        >>> z.transform(s).values.round(3).tolist()
        [[-1.225, 0.0], [0.0, 0.0], [1.225, 0.0]]
    """

    center: FloatArray
    scale: FloatArray
    names: tuple[str, ...]

    @classmethod
    def fit(cls, series: Series, rows: BoolArray) -> Scaler:
        """Median and 1.4826 MAD; where the MAD is zero the interquartile range, then the standard deviation, then 1.

        Args:
            series: readings in sensor units.
            rows: [T] True for training rows. A sensor without a reading there is scaled by all it has.
        """
        return cls._by(_robust, series, rows)

    @classmethod
    def standard(cls, series: Series, rows: BoolArray) -> Scaler:
        """Mean and standard deviation over observed cells: the origin's recipe without its zero-filled cells."""
        return cls._by(_moments, series, rows)

    @classmethod
    def _by(cls, rule: Callable[[FloatArray], tuple[float, float]], series: Series, rows: BoolArray) -> Scaler:
        rows = np.asarray(rows, bool)
        if rows.shape != series.values.shape[:1]:
            raise InputError(f"scaling: {rows.size} row marks for {len(series.values)} rows; give one per row.")
        pairs = []
        for column, observed in series.by_sensor():
            chosen = column[observed & rows]
            pairs.append(_guarded(rule, chosen if chosen.size else column[observed]))
        center, scale = np.array(pairs).T
        return cls(center, scale, series.names)

    def transform(self, series: Series, far: float = np.finfo(np.float64).max) -> Series:
        """The same readings in units of `scale` around `center`; beyond `far` they stand at it.

        Raises:
            InputError: other sensors than the scaler was fitted on.
        """
        if series.names != self.names:
            raise InputError(f"{series.source}: scaler knows {list(self.names)[:4]}..., the table has {list(series.names)[:4]}...")
        values = spacious(series.shape)
        for b in in_turn(sensor_blocks(series.shape), values, series.values):
            half = (series.values[:, b] * 0.5 - self.center[b] * 0.5) / self.scale[b]  # halves cannot overflow where x - center could
            values[:, b] = 2 * np.clip(half, -far / 2, far / 2)
        return series.with_values(frozen(values), series.mask)

    def inverse(self, values: ArrayLike) -> FloatArray:
        """Scaled values [..., N] in sensor units."""
        return np.asarray(values, np.float64) * self.scale + self.center

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, for JSON; `from_dict` gives the scaler back exactly."""
        return {"names": list(self.names), "center": self.center.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Scaler:
        """Inverse of `to_dict`.

        Raises:
            InputError: a part is missing or not finite.
        """
        try:
            names = tuple(str(name) for name in raw["names"])
            center, scale = np.array(raw["center"], np.float64), np.array(raw["scale"], np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"scaler: expected names, center and scale, one entry per sensor ({error!r}).") from error
        agree = center.shape == scale.shape == (len(names),)
        if not agree or not np.isfinite(center).all() or not np.isfinite(scale).all() or not (scale > 0).all():
            raise InputError(f"scaler: center and scale must hold one finite number for each of {len(names)} sensors, scale above 0.")
        return cls(center, scale, names)


def ranges(series: Series) -> list[tuple[str, float, float]]:
    """(name, lowest, highest) reading of every sensor; NaN where nothing was observed.

    Example:
        >>> ranges(Series.of([[1.0], [4.0]]))
        [('x0', 1.0, 4.0)]
    """
    low, high = np.full(len(series.names), np.nan), np.full(len(series.names), np.nan)
    for j, (column, seen) in enumerate(series.by_sensor()):
        if seen.any():
            low[j], high[j] = np.fmin.reduce(column), np.fmax.reduce(column)
    return list(zip(series.names, low.tolist(), high.tolist(), strict=True))


def _guarded(rule: Callable[[FloatArray], tuple[float, float]], x: FloatArray) -> tuple[float, float]:
    """The rule on readings divided by a power of two, so that nothing overflows and no digit is lost."""
    if not x.size:
        return 0.0, 1.0
    largest = float(np.abs(x).max())
    unit = 2.0 ** min(int(np.frexp(largest)[1]), 1023)
    center, spread = rule(x / unit)
    scale = spread * unit
    moves = spread > _ROUNDING * largest / unit and np.isfinite(scale) and 1 / scale < np.inf if scale > 0 else False
    return center * unit, scale if moves else 1.0


def _robust(x: FloatArray) -> tuple[float, float]:
    center = float(np.median(x))
    mad = MAD_TO_SD * float(np.median(np.abs(x - center)))
    if mad > _ROUNDING * float(np.abs(x).max()):
        return center, mad
    low, high = np.quantile(x, [0.25, 0.75])
    iqr = IQR_TO_SD * float(high - low)
    return center, iqr if iqr > _ROUNDING * float(np.abs(x).max()) else float(x.std())


def _moments(x: FloatArray) -> tuple[float, float]:
    center = float(x.mean())
    return center, float((x - center).std())
